"""What Titik costs, measured: `python -m bench.run`. docs/performance.md is made of its results."""
