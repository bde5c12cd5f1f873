"""What the collector reports to the outside, and what keeps one output from stopping the others."""
