"""When places were away in the last days, as anybody may see it; no visitor is in it.

Rule: a place is away while all of its routers are, and only while it is open.
Rule: a router counts from when anything is known of it, and not while its access is revoked.
Rule: an agent that stopped is no outage here, because the Wi-Fi may have gone on.
Rule: of a cause leaves what `suppression.publish` lets through.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from titik_collector.figures.scope import FOR_EVER_MS
from titik_collector.figures.stretches import length, shared, united, without
from titik_collector.figures.windows import Calendar, Span
from titik_collector.public.public_past import HOURS_DAYS
from titik_collector.public.suppression import Raw, publish
from titik_collector.queries import day_strip, site_facts
from titik_collector.store import membership, outages, revocations
from titik_collector.store.database import Database
from titik_collector.store.outages import Outage

NAMED = 5  # outages of a place, so that its page stays short
AGENTS = ("agent crash", "agent restart", "agent stopped")


class PublicOutage(NamedTuple):
    """One time that a place was away."""

    spans: tuple[Span, ...]  # in its opening hours
    cause: str | None  # None: not known, or not for everybody

    @property
    def goes_on(self) -> bool:
        """The place is away now."""
        return self.spans[-1].end_ms == FOR_EVER_MS


class OutageSums(NamedTuple):
    """In some time."""

    outages: int
    away_ms: int  # together


def how_often(known: Sequence[PublicOutage], start_ms: int, end_ms: int) -> OutageSums:
    """From then to then; one that goes on counts until its end."""
    found = [
        sum(length(shared(span, Span(start_ms, end_ms))) for span in one.spans) for one in known
    ]
    return OutageSums(sum(one > 0 for one in found), sum(found))


def to_name(known: Sequence[PublicOutage], now_ms: int) -> Sequence[PublicOutage]:
    """NAMED of them at most: the newest, and the longest."""
    longest = max(known, key=lambda one: how_often([one], 0, now_ms).away_ms, default=None)
    newest = known[:NAMED]
    return newest if longest is None or longest in newest else (*newest[:-1], longest)


def read(
    db: Database, hours: Mapping[int, str | None], zone: ZoneInfo, now_ms: int
) -> dict[int, tuple[PublicOutage, ...]]:
    """Of each site, the newest first. `hours`: its opening hours, by its id."""
    # The night before the first day has hours of its own.
    days = day_strip.last_days(Calendar(zone), now_ms, HOURS_DAYS + 1)
    whole = Span(days[1].start_ms, now_ms)
    there = _there(db, hours, whole)
    away = _away(db, [one.router_id for site in hours for one in there[site]], whole)
    return {
        site: tuple(_of_site(there[site], away, whole, _closed(text, days, zone)))
        for site, text in hours.items()
    }


class _There(NamedTuple):
    """A router at a site, able to serve it."""

    router_id: int
    span: Span


def _there(db: Database, sites: Collection[int], whole: Span) -> Mapping[int, list[_There]]:
    """By site."""
    revoked: defaultdict[int, list[Span]] = defaultdict(list)
    found: defaultdict[int, list[_There]] = defaultdict(list)
    for router_id, span in revocations.spans(db):
        revoked[router_id].append(span)
    stays = [one for one in membership.stays(db) if one.site_id in sites]
    first = day_strip.first_known(db, sorted({one.router_id for one in stays}))
    for number, site, from_ms, to_ms in stays:
        if number in first:
            span = shared(Span(max(from_ms, first[number]), to_ms), whole)
            parts = without([span], united(revoked[number]))
            found[site] += [_There(number, one) for one in parts]
    return found


def _away(db: Database, routers: Sequence[int], whole: Span) -> Mapping[int, list[Outage]]:
    found: defaultdict[int, list[Outage]] = defaultdict(list)
    for router_id, one in outages.of_routers(db, sorted(set(routers)), whole):
        if one.cause not in AGENTS:
            found[router_id].append(one)
    return found


def _closed(hours: str | None, days: Sequence[Span], zone: ZoneInfo) -> list[Span]:
    """When the place is not open; by the clocks of the zone, which a day may set."""
    whole = Span(days[0].start_ms, days[-1].end_ms)
    return without([whole], site_facts.opened(hours, days, zone))


def _of_site(
    there: Sequence[_There],
    away: Mapping[int, Sequence[Outage]],
    whole: Span,
    closed: Sequence[Span],
) -> Iterator[PublicOutage]:
    online = united(
        span
        for router_id, time in there
        for span in without([time], united(map(_span, away[router_id])))
    )
    gone = without(united(time for _, time in there), online)
    causes = _causes(gone, [one for router_id, _ in there for one in away[router_id]])
    for span, of in zip(reversed(gone), reversed(causes), strict=True):
        spans = without([span], closed)
        if spans:
            if spans[-1].end_ms == whole.end_ms:
                spans[-1] = Span(spans[-1].start_ms, FOR_EVER_MS)
            yield PublicOutage(tuple(spans), _published(of))


def _causes(gone: Sequence[Span], away: Iterable[Outage]) -> list[set[str]]:
    """Of each stretch, which follow each other: why routers were away in it."""
    ends, found = [one.end_ms for one in gone], [set[str]() for _ in gone]
    for one in away:
        start_ms, end_ms = _span(one)
        for number in range(bisect_right(ends, start_ms), len(gone)):
            if gone[number].start_ms >= end_ms:
                break
            found[number].add(one.cause)
    return found


def _span(one: Outage) -> Span:
    return Span(one.from_ms, FOR_EVER_MS if one.to_ms is None else one.to_ms)


def _published(causes: set[str]) -> str | None:
    """Where all of its routers have the same."""
    only = causes.pop() if len(causes) == 1 else None
    return publish([Raw(cause=only)]).cells[0].cause
