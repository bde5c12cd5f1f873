"""Which places were used most in a stretch of the past.

Rule: a mean is by length and of what is known, as in `overall`, so it stands beside the coverage.
Rule: only windows that are over count. One statement adds them up, and they are bounded.
"""

from dataclasses import dataclass

from titik_collector.figures.windows import Calendar, Span, Window, minute
from titik_collector.limits import MAX_RANKED
from titik_collector.queries import history
from titik_collector.rollups.worker import GRACE_MS
from titik_collector.store import membership, rollups, subject_names
from titik_collector.store.database import Database
from titik_collector.store.subject_names import NamedSite
from titik_wire.instant import DAY_MS

HOURS_MS = 8 * DAY_MS  # up to here hours are added up, so that a span begins when it was asked to


@dataclass(frozen=True, slots=True)
class PlaceMean:
    """One site."""

    site: NamedSite
    mean: float | None  # of its devices; None: nothing is known
    coverage: float | None  # of its time; None: it was not there yet


def cost(span: Span, sites: int) -> int:
    """How many windows are added up."""
    return history.count(_window(span), span) * sites


def ranked(db: Database, span: Span, calendar: Calendar, now_ms: int) -> list[PlaceMean] | None:
    """Every registered site, the most used first; None: more than MAX_RANKED windows."""
    sites = subject_names.registered_sites(db)
    if cost(span, len(sites)) > MAX_RANKED:
        return None
    over_ms = minute(now_ms - GRACE_MS).start_ms
    edges = [one for one in history.spans(_window(span), span, calendar) if one.end_ms <= over_ms]
    if not edges:
        return []
    whole = Span(edges[0].start_ms, edges[-1].end_ms)
    sums = rollups.sums_of_sites(db, [one.id for one in sites], _window(span), whole)
    begin = _begin(db)
    found = [_use(one, sums.get(one.id), begin.get(one.id), whole) for one in sites]
    return sorted(found, key=lambda one: (one.mean is None, -(one.mean or 0)))


def _use(
    site: NamedSite, sums: rollups.SiteSums | None, begin_ms: int | None, whole: Span
) -> PlaceMean:
    length_ms = 0 if begin_ms is None else whole.end_ms - max(begin_ms, whole.start_ms)
    if sums is None:
        return PlaceMean(site, None, 0.0 if length_ms > 0 else None)
    mean = sums.device_ms / sums.known_ms if sums.known_ms else None
    return PlaceMean(site, mean, min(1.0, sums.covered_ms / length_ms) if length_ms > 0 else None)


def _begin(db: Database) -> dict[int, int]:
    """When the first router of each site came."""
    found: dict[int, int] = {}
    for one in membership.stays(db):
        found[one.site_id] = min(found.get(one.site_id, one.from_ms), one.from_ms)
    return found


def _window(span: Span) -> Window:
    return "1h" if span.end_ms - span.start_ms <= HOURS_MS else "1d"
