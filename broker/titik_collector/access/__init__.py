"""Who may publish and subscribe to what at the broker, as mosquitto's plugin has it."""
