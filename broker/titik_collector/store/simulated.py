"""From when to when the city's past is simulated: two numbers of the store, for all who show it.

A demo has weeks that nobody lived. Its samples are stored like any other, so this alone
distinguishes them.
"""

from titik_collector.figures.windows import Span
from titik_collector.store import settings
from titik_collector.store.database import Database


def span(db: Database) -> Span | None:
    """None: nothing is simulated, as in every real city."""
    from_ms = settings.number(db, "simulated_from_ms")
    to_ms = settings.number(db, "simulated_to_ms")
    return None if from_ms is None or to_ms is None else Span(from_ms, to_ms)


def keep(db: Database, simulated: Span) -> None:
    """Part of the caller's transaction."""
    settings.keep(db, "simulated_from_ms", simulated.start_ms)
    settings.keep(db, "simulated_to_ms", simulated.end_ms)


def touches(simulated: Span | None, one: Span) -> bool:
    """Whether a window has simulated time in it."""
    return (
        simulated is not None
        and one.start_ms < simulated.end_ms
        and simulated.start_ms < one.end_ms
    )
