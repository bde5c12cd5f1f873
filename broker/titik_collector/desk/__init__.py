"""What people enter about alerts: acknowledgements, silences, maintenance, remarks."""
