"""What is true now, and how it is published: presence, `now`, and what the collector missed."""
