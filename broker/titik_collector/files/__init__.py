"""Files that others may be reading: replaced whole or not at all, by one command at a time."""
