"""How hostapd and ubusd are asked, and what they answer, as data."""
