"""What samples mean, as numbers: pure functions over values, without store or clock."""
