"""The systemd units that run the city on this machine."""
