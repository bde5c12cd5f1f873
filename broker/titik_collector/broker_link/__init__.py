"""The connection to the broker: each message is handed over once, and acknowledged when asked."""
