"""The ten thousand routers of `city10k`, two thousand at each site."""

from bench import city10k
from bench.results import Length, Result

COMMAND = "python -m bench.run --only city10k_wide"
PER_SITE = 2000


def run(length: Length) -> list[Result]:
    """Every figure of `city10k`."""
    return city10k.run(length, PER_SITE if length != "quick" else 100, COMMAND)
