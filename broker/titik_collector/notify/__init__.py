"""Messages leave: from the outbox to receivers, a lane for each, and the sign of life outside."""
