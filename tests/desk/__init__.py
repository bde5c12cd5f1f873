"""Tests of what people enter about alerts."""
