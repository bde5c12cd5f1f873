"""Tests of who may look at the page."""
