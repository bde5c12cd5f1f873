"""What a terminal shows, drawn from the answers of `queries`."""
