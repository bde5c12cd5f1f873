"""What one answer to Prometheus is made of, from the city as the page sees it and the store.

Rule: what cannot be read is None. It gets no series, so that a gap is no zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from titik_collector.figures.windows import Span
from titik_collector.metrics import firing
from titik_collector.metrics.firing import FiringAlert
from titik_collector.metrics.growing import MinutesAsked, RouterTotals
from titik_collector.queries.status import CityStatus
from titik_collector.store import beat_rows, rollups
from titik_collector.store.database import Database
from titik_collector.store.rollups import RouterBytes

STORED, REFUSED = "stored", "refused"
BytesByRouter = Mapping[str, RouterTotals]


class StoreAnswer(NamedTuple):
    """What the store answered to one question."""

    asked: MinutesAsked
    settled: list[RouterBytes]
    still_open: list[RouterBytes]
    alerts: list[FiringAlert]
    beat_ms: int | None  # of the collector; None: there was none yet


@dataclass(frozen=True, slots=True)
class MeasuredCity:
    """A city that can be read now."""

    status: CityStatus
    capacity: Mapping[str, int]  # of sites that have one: visitors it is meant for at once
    lost: Mapping[str, int]  # samples of each router, since the process began
    settled: Mapping[str, int]  # samples that were stored and refused, likewise


@dataclass(frozen=True, slots=True)
class Measured:
    """All that one answer is made of."""

    version: str
    streams: int  # of live figures that are open
    is_connected: bool | None = None  # the collector to its broker
    city: MeasuredCity | None = None
    bytes: BytesByRouter = field(default_factory=dict)
    alerts: Sequence[FiringAlert] = ()
    beat_age_ms: int | None = None


def ask(db: Database, asked: MinutesAsked) -> StoreAnswer:
    """All that is read of the store for one answer."""
    return StoreAnswer(
        asked,
        _bytes(db, asked.settled),
        _bytes(db, asked.open),
        firing.look(db),
        None if (beat := beat_rows.read(db, beat_rows.COLLECTOR)) is None else beat.at_ms,
    )


def _bytes(db: Database, span: Span) -> list[RouterBytes]:
    return rollups.bytes_of_routers(db, span) if span.start_ms < span.end_ms else []
