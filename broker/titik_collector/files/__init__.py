"""Files that others read meanwhile: replaced whole or not at all, by one command at a time."""
