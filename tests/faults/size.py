"""How large the store becomes, by the formula of docs/operating.md.

Rule: the figures are those of the page; a test reads them there.
"""

from dataclasses import dataclass

FIGURES_BYTES, FIGURES_BSS_BYTES = 90, 50  # of a sample, and for each BSS
MESSAGE_BYTES, MESSAGE_BSS_BYTES = 220, 60
WINDOW_BYTES = 140  # a minute that is not packed, an hour, a day
PACKED_DAY_BYTES = 45_000  # 1440 minutes
UNPACKED_DAYS = 3
EMPTY_BYTES = 250_000


@dataclass(frozen=True, slots=True)
class Kept:
    """For how long; the defaults of [store]."""

    messages_days: int = 1
    samples_days: int = 30
    minutes_days: int = 90


def predict(kept: Kept, routers: int, sites: int, a_day: float, bss: int, days: float) -> int:
    """Bytes after so many days, with `a_day` samples of each router a day."""
    samples = routers * a_day
    sample = FIGURES_BYTES + bss * FIGURES_BSS_BYTES
    message = MESSAGE_BYTES + bss * MESSAGE_BSS_BYTES
    scopes = routers + sites + 1
    minutes = min(days, kept.minutes_days + 1)
    unpacked = min(minutes, UNPACKED_DAYS)
    return round(
        EMPTY_BYTES
        + samples * min(days, kept.samples_days + 1) * sample
        + samples * min(days, kept.messages_days) * message
        + scopes * unpacked * 1440 * WINDOW_BYTES
        + scopes * (minutes - unpacked) * PACKED_DAY_BYTES
        + scopes * days * 25 * WINDOW_BYTES
    )
