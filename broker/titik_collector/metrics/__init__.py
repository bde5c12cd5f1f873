"""What Prometheus reads: the city as metrics, in base units, without what is not known."""
