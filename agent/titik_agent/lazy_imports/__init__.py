"""Modules that are imported late or not at all, because memory on a router is scarce."""
