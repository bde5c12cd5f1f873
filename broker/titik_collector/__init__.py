"""The server half: stores what routers report, aggregates it, and tells engineers."""
