"""What the city wishes of its routers from a distance, and what became of it."""
