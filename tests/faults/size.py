"""How large the store becomes, by the formula of docs/operating.md.

Rule: the figures are those of the page; a test reads them there.
"""

from titik_collector.config.store_table import MINUTES_DAYS, SAMPLES_DAYS
from titik_collector.store.retention import Days

FIGURES_BYTES, FIGURES_BSS_BYTES = 90, 50  # of a sample, and for each BSS
MESSAGE_BYTES, MESSAGE_BSS_BYTES = 220, 60
WINDOW_BYTES = 165  # a minute, an hour, a day
EMPTY_BYTES = 250_000
DEFAULT = Days(1, SAMPLES_DAYS, MINUTES_DAYS)


def predict(kept: Days, routers: int, sites: int, a_day: float, bss: int, days: float) -> int:
    """Bytes after so many days, with `a_day` samples of each router a day."""
    samples = routers * a_day
    sample = FIGURES_BYTES + bss * FIGURES_BSS_BYTES
    message = MESSAGE_BYTES + bss * MESSAGE_BSS_BYTES
    scopes = routers + sites + 1
    return round(
        EMPTY_BYTES
        + samples * min(days, kept.samples + 2) * sample
        + samples * min(days, kept.messages) * message
        + scopes * min(days, kept.minutes) * 1440 * WINDOW_BYTES
        + scopes * days * 25 * WINDOW_BYTES
    )
