"""What the collector knows of itself, and what it reports to systemd."""
