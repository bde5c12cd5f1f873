"""What the collector knows of itself, and what systemd hears of it."""
