"""From sources to one sample: when it is taken, what is counted, and that it fits."""
