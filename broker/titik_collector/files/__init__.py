"""Files that others read at the same time: replaced whole or not at all, by one command at a time."""
