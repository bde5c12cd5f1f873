"""A process of its own that asks the LAN and the uplink with raw sockets."""
