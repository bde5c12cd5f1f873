"""A believable city of real agents over simulated radios, for the demo and for load."""
