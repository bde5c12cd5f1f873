"""A private mosquitto: its folder, its configuration, and how it is written and run."""
