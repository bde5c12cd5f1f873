"""Samples that the collector has not committed: on disk, in order, within a limit."""
