"""Modules that are imported late, because memory on a router is scarce."""
