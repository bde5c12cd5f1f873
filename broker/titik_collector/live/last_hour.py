"""What places and routers were in the last hour, from their minutes: for a collector that starts.

Rule: a place or a router is asked for once, when it is first known after the start. Many are one
statement, a few at a look, so that no message waits.
Rule: minutes that are not known, or not yet, are passed over if they are few.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from titik_collector.figures.windows import Span
from titik_collector.store import rollups
from titik_collector.store.database import Database
from titik_collector.store.rollups import KnownTime, SiteWindow
from titik_wire.instant import HOUR_MS, MINUTE_MS

STEP = 200  # places or routers of one look: some milliseconds
LONGEST_MS = HOUR_MS + 10 * MINUTE_MS  # no rule asks for more
ROUNDS_MS = 15 * MINUTE_MS
FEW_MS = 5 * MINUTE_MS


class ReachRound(NamedTuple):
    """A round of `reach`, and when it was."""

    at_ms: int
    answers: bool


def of_sites(db: Database, sites: Sequence[int], now_ms: int) -> Mapping[int, Sequence[SiteWindow]]:
    """Their minutes until now, each in order of time."""
    found: dict[int, list[SiteWindow]] = {one: [] for one in sites}
    for one in rollups.site_minutes(db, sites, _until(now_ms, LONGEST_MS)):
        found[one.site_id].append(one)
    return found


def rounds_of(
    db: Database, routers: Sequence[int], now_ms: int
) -> Mapping[int, Sequence[ReachRound]]:
    """The rounds of routers until now, each in order of time."""
    span = _until(now_ms, ROUNDS_MS)
    minutes = sorted(
        rollups.known_time(db, "1m", [(one, span) for one in routers]),
        key=lambda one: one.start_ms,
    )
    found: dict[int, list[ReachRound]] = {one: [] for one in routers}
    for one in minutes:
        found[one.router_id] += _rounds(one)
    return found


def empty_since_ms(minutes: Iterable[SiteWindow], now_ms: int) -> int | None:
    """Since when nobody was there; None: somebody was, or that is not known."""
    since_ms, until_ms = None, 0
    for one in minutes:
        if one.clients_mean is None:
            continue
        if one.clients_mean or one.clients_max:
            since_ms = None
        elif since_ms is None or one.start_ms - until_ms > FEW_MS:
            since_ms = one.start_ms
        until_ms = one.start_ms + MINUTE_MS
    return since_ms if now_ms - until_ms <= FEW_MS else None


def _until(now_ms: int, length_ms: int) -> Span:
    end_ms = now_ms - now_ms % MINUTE_MS
    return Span(end_ms - length_ms, end_ms)


def _rounds(minute: KnownTime) -> Iterable[ReachRound]:
    """Where some failed and others did not, both are."""
    if minute.answered < minute.rounds:
        yield ReachRound(minute.end_ms, False)
    if minute.answered:
        yield ReachRound(minute.end_ms, True)
