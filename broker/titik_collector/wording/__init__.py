"""How times and text are written for people, and read from them."""
