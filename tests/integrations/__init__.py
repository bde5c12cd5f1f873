"""Other programs, run for real beside a city's broker."""
