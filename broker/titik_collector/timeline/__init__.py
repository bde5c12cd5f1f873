"""When samples were taken: the best that is known now, and better when more is known."""
