"""The server half: stores what routers report, aggregates it, and publishes it."""
