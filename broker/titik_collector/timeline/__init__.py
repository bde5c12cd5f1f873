"""When samples were taken, as well as is known now; what is too old is deleted."""
