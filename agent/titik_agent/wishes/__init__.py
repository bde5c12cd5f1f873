"""What the city wishes of this router from a distance, and what became of it."""
