"""What only developers run: set-up, the version matrix, and what docs/ generates."""
