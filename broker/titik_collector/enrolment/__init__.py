"""Who is a router of the city: its certificate, and the one file that brings it to the machine."""
