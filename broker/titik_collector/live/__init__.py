"""What is true now: presence, the `now` topics and the collector's own state, and what was missed."""
