"""From messages to durable samples: one transaction a batch, and every sample counted once."""
