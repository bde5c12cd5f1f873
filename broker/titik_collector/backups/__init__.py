"""The folder of the city's backups: which there are, and what the last look into one found."""
