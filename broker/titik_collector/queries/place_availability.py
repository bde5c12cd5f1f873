"""The availability of each place in a stretch of time, as the store has it.

Rule: a place counts from when anything is known of one of its routers, and not while it has none.
A router counts not while its access is revoked.
Rule: what the place was then counts: a site that changed its provider has a part with each.
Rule: days are read, and hours where outages do not explain a day; so a month of a city is quick.
Rule: where maintenance begins or ends in an hour whose internet failed now and then, its minutes
show on which side that was.
Rule: time is excluded where all routers of a place are under maintenance. How it would be without
that is kept beside it.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from titik_collector.alerts.desk_facts import Maintenance
from titik_collector.figures import stretches
from titik_collector.figures.windows import Calendar, Span
from titik_collector.limits import MAX_EVENTS, MAX_EVIDENCE
from titik_collector.queries import availability, day_strip, site_facts
from titik_collector.queries.availability import (
    Availability,
    AwayTime,
    Interruption,
    ServiceTime,
    WindowEvidence,
)
from titik_collector.queries.site_facts import NO_FACTS, SiteFacts
from titik_collector.store import (
    membership,
    outages,
    revocations,
    rollups,
    server_outages,
    site_fact_rows,
    subject_names,
)
from titik_collector.store.database import Database
from titik_collector.store.outages import Outage
from titik_collector.store.rollups import KnownTime
from titik_collector.store.subject_names import NamedSite
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS

FAILED_MS = 3 * MINUTE_MS  # of a day without internet; from then on it is worth knowing when
MISSING = 0.01  # of a day; likewise of what no sample covers
LEAST_MS = MINUTE_MS  # an interruption that is shorter is not named


@dataclass(frozen=True, slots=True)
class NamedInterruption:
    """A place was not available, with what shows the cause."""

    interruption: Interruption
    evidence: str | None  # in words; None: the cause alone
    routers: int  # of the place, at that time


@dataclass(frozen=True, slots=True)
class PlaceService:
    """A place, while its provider, circuit, district and hours did not change."""

    site: NamedSite
    span: Span
    facts: SiteFacts
    availability: Availability
    regardless: Availability  # as if nothing were excluded
    interruptions: tuple[NamedInterruption, ...]


class _KnownRouters(NamedTuple):
    """What the store has of all routers."""

    windows: Mapping[int, Sequence[WindowEvidence]]
    away: Mapping[int, Sequence[Outage]]
    deaf: Sequence[Span]


class _RouterStay(NamedTuple):
    """A router at a site, able to serve it."""

    router_id: int
    span: Span


def read(
    db: Database,
    whole: Span,
    zone: ZoneInfo,
    maintenance: Sequence[Maintenance] = (),
    sites: Collection[int] | None = None,
) -> list[PlaceService]:
    """Of every site that had a router then, or of some; in order of their ids and of time."""
    there = _there(db, whole, sites)
    known = _known(db, whole, Calendar(zone), there)
    names = {one.id: one for one in subject_names.sites(db)}
    facts = _facts(db, whole)
    spans = _MaintenanceSpans(db, maintenance)
    planned = {site: spans.of(names[site].name, its) for site, its in there.items()}
    known = known._replace(windows=_cut(db, known.windows, planned.values()))
    # The night before the first day has hours of its own.
    calendar = Calendar(zone)
    days = [calendar.day_before(whole.start_ms), *calendar.days(*whole)]
    hours: dict[str | None, list[Span]] = {}
    found = []
    for site_id, its in sorted(there.items()):
        for span, of in facts.get(site_id) or [(whole, NO_FACTS)]:
            if of.hours not in hours:
                hours[of.hours] = site_facts.opened(of.hours, days, zone)
            opened = list(stretches.overlaps(span, hours[of.hours]))
            place = _PlaceTimes(names[site_id], its, known, planned[site_id])
            found.append(place.service(span, of, opened))
    return [one for one in found if one.regardless.span_ms]


class _PlaceTimes:
    """One site, while it is measured."""

    def __init__(
        self,
        site: NamedSite,
        there: Sequence[_RouterStay],
        known: _KnownRouters,
        planned: Mapping[int, Sequence[Span]],
    ) -> None:
        self._site, self._there, self._known, self._planned = site, there, known, planned

    def service(self, span: Span, facts: SiteFacts, opened: Sequence[Span]) -> PlaceService:
        """In one part of the time."""
        parts = self._parts(span, {})
        regardless = availability.measured(parts, opened)
        found = regardless
        if any(self._planned.values()):
            parts = self._parts(span, self._planned)
            excluded = stretches.without(
                stretches.united(stretches.shared(one.span, span) for one in self._there),
                stretches.united(one.span for one in parts),
            )
            found = availability.measured(parts, opened, excluded)
        named = availability.interruptions(parts, opened, LEAST_MS)
        return PlaceService(
            self._site, span, facts, found, regardless, tuple(map(self._named, named))
        )

    def _parts(self, span: Span, planned: Mapping[int, Sequence[Span]]) -> list[ServiceTime]:
        known, routers = self._known, []
        for one in self._there:
            away = [AwayTime(_span(out), out.cause) for out in known.away.get(one.router_id, ())]
            windows = known.windows.get(one.router_id, ())
            found = availability.of_router(one.span, windows, away, known.deaf)
            routers.append(availability.without(found, planned.get(one.router_id, ())))
        return availability.within(availability.of_place(routers), span) if routers else []

    def _named(self, one: Interruption) -> NamedInterruption:
        there = {
            router.router_id
            for router in self._there
            if stretches.length(stretches.shared(router.span, one.span))
        }
        evidence = (
            out.evidence
            for router_id in there
            for out in self._known.away.get(router_id, ())
            if out.cause == one.cause and stretches.length(stretches.shared(_span(out), one.span))
        )
        text = "; ".join(dict.fromkeys(text for text in evidence if text))
        return NamedInterruption(one, text or None, len(there))


def _span(one: Outage) -> Span:
    return Span(one.from_ms, 2**62 if one.to_ms is None else one.to_ms)


def _there(
    db: Database, whole: Span, sites: Collection[int] | None
) -> Mapping[int, Sequence[_RouterStay]]:
    """By site."""
    revoked: defaultdict[int, list[Span]] = defaultdict(list)
    for router_id, span in revocations.spans(db):
        revoked[router_id].append(span)
    stays = [
        one
        for one in membership.stays(db)
        if (sites is None or one.site_id in sites)
        and one.from_ms < whole.end_ms
        and one.to_ms > whole.start_ms
    ]
    first = day_strip.first_known(db, sorted({one.router_id for one in stays}))
    found: defaultdict[int, list[_RouterStay]] = defaultdict(list)
    for number, site, from_ms, to_ms in stays:
        if number in first:
            span = stretches.shared(Span(max(from_ms, first[number]), to_ms), whole)
            parts = stretches.without([span], stretches.united(revoked[number]))
            found[site] += [_RouterStay(number, one) for one in parts]
    return {site: its for site, its in found.items() if its}


def _known(
    db: Database, whole: Span, calendar: Calendar, there: Mapping[int, Sequence[_RouterStay]]
) -> _KnownRouters:
    routers = sorted({one.router_id for its in there.values() for one in its})
    away: defaultdict[int, list[Outage]] = defaultdict(list)
    for router_id, out in outages.of_routers(db, routers, whole):
        away[router_id].append(out)
    for one in away.values():
        one.sort(key=lambda out: out.from_ms)
    deaf = stretches.united(
        Span(one.from_ms, one.to_ms) for one in server_outages.since(db, whole.start_ms, MAX_EVENTS)
    )
    edges = list(calendar.days(*whole))
    days = Span(edges[0].start_ms, edges[-1].end_ms)
    by_day = _sorted(rollups.known_time(db, "1d", [(one, days) for one in routers]))
    asked = _unexplained(by_day, away, deaf)
    return _KnownRouters(_with_hours(db, by_day, asked), away, deaf)


def _with_hours(
    db: Database, by_day: Mapping[int, list[WindowEvidence]], asked: Sequence[tuple[int, Span]]
) -> Mapping[int, Sequence[WindowEvidence]]:
    """These days by their hours: those that are not whole, and what the day has beside them."""
    if not asked:
        return by_day
    hours = [stretches.length(span) // HOUR_MS for _, span in asked]
    counts = rollups.count_windows(db, "1h", asked)
    are_all = [count == of for count, of in zip(counts, hours, strict=True)]
    of_all = [one for one, is_all in zip(asked, are_all, strict=True) if is_all]
    of_some = [one for one, is_all in zip(asked, are_all, strict=True) if not is_all]
    partly = _sorted(rollups.known_time(db, "1h", of_all, whole_too=False)) if of_all else {}
    every = _sorted(rollups.known_time(db, "1h", of_some)) if of_some else {}
    split, incomplete = set(asked), set(of_some)
    found: dict[int, list[WindowEvidence]] = {}
    for router_id, windows in by_day.items():
        parts = found[router_id] = []
        for day in windows:
            if (router_id, day.span) not in split:
                parts.append(day)
            elif (router_id, day.span) in incomplete:
                parts += _within(day.span, every.get(router_id, ()))
            else:
                parts += _beside(day, _within(day.span, partly.get(router_id, ())))
    return found


def _within(day: Span, hours: Sequence[WindowEvidence]) -> Sequence[WindowEvidence]:
    first = bisect_left(hours, day.start_ms, key=_start)
    return hours[first : bisect_left(hours, day.end_ms, key=_start)]


def _start(one: WindowEvidence) -> int:
    return one.span.start_ms


def _beside(day: WindowEvidence, hours: Sequence[WindowEvidence]) -> Iterator[WindowEvidence]:
    """Some hours of a day, and between them what the day has beyond theirs, by length."""
    rest = (
        [
            max(0, of_day - sum(of_hours))
            for of_day, of_hours in zip(
                day[1:], zip(*(one[1:] for one in hours), strict=True), strict=True
            )
        ]
        if hours
        else list(day[1:])
    )
    left_ms = stretches.length(day.span) - sum(stretches.length(one.span) for one in hours)
    at_ms = day.span.start_ms
    for one in (*hours, None):
        until_ms = day.span.end_ms if one is None else one.span.start_ms
        if until_ms > at_ms:
            covered, aired, rounds, answered = rest
            share = (until_ms - at_ms) / left_ms
            yield WindowEvidence(
                Span(at_ms, until_ms),
                round(covered * share),
                round(aired * share),
                rounds,
                answered,
            )
        if one is not None:
            yield one
            at_ms = one.span.end_ms


def _cut(
    db: Database,
    windows: Mapping[int, Sequence[WindowEvidence]],
    planned: Iterable[Mapping[int, Sequence[Span]]],
) -> Mapping[int, Sequence[WindowEvidence]]:
    """Hours in which some rounds failed, apart where maintenance begins or ends in them."""
    edges: defaultdict[int, set[int]] = defaultdict(set)
    for its in planned:
        for router_id, spans in its.items():
            edges[router_id].update(edge for span in spans for edge in span)
    asked = [
        (router_id, one.span)
        for router_id, times in edges.items()
        for one in windows.get(router_id, ())
        if one.answered < one.rounds
        and stretches.length(one.span) <= HOUR_MS
        and any(one.span.start_ms < edge < one.span.end_ms for edge in times)
    ][:MAX_EVIDENCE]
    if not asked:
        return windows
    counts = rollups.count_windows(db, "1m", asked)
    whole = {
        one
        for one, count in zip(asked, counts, strict=True)
        if count * MINUTE_MS == stretches.length(one[1])
    }
    minutes = _sorted(rollups.known_time(db, "1m", sorted(whole))) if whole else {}
    return {
        router_id: [
            part
            for one in its
            for part in (
                _parts_of(one.span, edges[router_id], _within(one.span, minutes[router_id]))
                if (router_id, one.span) in whole
                else (one,)
            )
        ]
        for router_id, its in windows.items()
    }


def _parts_of(
    whole: Span, edges: Iterable[int], minutes: Sequence[WindowEvidence]
) -> Iterator[WindowEvidence]:
    """A window between these edges, as its minutes are there."""
    inside = sorted(edge for edge in edges if whole.start_ms < edge < whole.end_ms)
    for start_ms, end_ms in pairwise((whole.start_ms, *inside, whole.end_ms)):
        part = Span(start_ms, end_ms)
        shares = [
            (stretches.length(stretches.shared(part, one.span)) / MINUTE_MS, one) for one in minutes
        ]
        rounds = [one for one in minutes if start_ms <= one.span.start_ms < end_ms]
        yield WindowEvidence(
            part,
            round(sum(share * one.covered_ms for share, one in shares)),
            round(sum(share * one.aired_ms for share, one in shares)),
            sum(one.rounds for one in rounds),
            sum(one.answered for one in rounds),
        )


def _sorted(rows: Iterable[KnownTime]) -> dict[int, list[WindowEvidence]]:
    found: defaultdict[int, list[WindowEvidence]] = defaultdict(list)
    for router_id, start_ms, end_ms, covered_ms, observed_ms, rounds, answered in rows:
        aired_ms = min(covered_ms, observed_ms)
        found[router_id].append(
            WindowEvidence(Span(start_ms, end_ms), covered_ms, aired_ms, rounds, answered)
        )
    for windows in found.values():
        windows.sort()
    return found


def _unexplained(
    days: Mapping[int, Sequence[WindowEvidence]],
    away: Mapping[int, Sequence[Outage]],
    deaf: Sequence[Span],
) -> list[tuple[int, Span]]:
    """Days whose hours are worth reading, MAX_EVIDENCE of them at most; the worst first."""
    found = []
    for router_id, windows in days.items():
        gone = [_span(one) for one in away.get(router_id, ())]
        starts = [one.start_ms for one in gone]
        for one in windows:
            if not one.covered_ms:
                continue  # its hours have none either
            failed_ms = one.covered_ms * (1 - one.answered / one.rounds) if one.rounds else 0.0
            missing_ms = stretches.length(one.span) - one.aired_ms
            if failed_ms < FAILED_MS and missing_ms < MISSING * DAY_MS:
                continue
            explained_ms = stretches.within(one.span, deaf) if deaf else 0
            place = max(0, bisect_right(starts, one.span.start_ms) - 1)
            while place < len(gone) and starts[place] < one.span.end_ms:
                explained_ms += stretches.length(stretches.shared(gone[place], one.span))
                place += 1
            left_ms = missing_ms - explained_ms
            if failed_ms >= FAILED_MS or left_ms >= MISSING * DAY_MS:
                found.append((max(failed_ms, left_ms), router_id, one.span))
    found.sort(reverse=True)
    return [(router_id, span) for _, router_id, span in found[:MAX_EVIDENCE]]


def _facts(db: Database, whole: Span) -> Mapping[int, Sequence[tuple[Span, SiteFacts]]]:
    """Of each site that has any, what it was in each part of the time."""
    changes: defaultdict[int, list[site_fact_rows.DatedFact]] = defaultdict(list)
    for one in site_fact_rows.dated(db, whole.end_ms):
        changes[one.site_id].append(one)
    return {site: list(_chapters(its, whole)) for site, its in changes.items()}


def _chapters(
    changes: Sequence[site_fact_rows.DatedFact], whole: Span
) -> Iterator[tuple[Span, SiteFacts]]:
    later = sorted({one.from_ms for one in changes if one.from_ms > whole.start_ms})
    texts: dict[str, str | None] = {}
    begin_ms, facts = whole.start_ms, None
    for start_ms in [whole.start_ms, *later]:
        texts |= {one.name: one.value for one in changes if one.from_ms <= start_ms}
        now = site_fact_rows.from_text(texts)
        if facts is not None and _counted(facts) != _counted(now):
            yield Span(begin_ms, start_ms), facts
            begin_ms = start_ms
        facts = now
    if facts is not None:
        yield Span(begin_ms, whole.end_ms), facts


def _counted(facts: SiteFacts) -> SiteFacts:
    """What of them a part of the time is of; a new contact begins none."""
    return SiteFacts(facts.provider, facts.circuit, facts.district, hours=facts.hours)


class _MaintenanceSpans:
    """Maintenance, by what it is of."""

    def __init__(self, db: Database, maintenance: Sequence[Maintenance]) -> None:
        self._spans: defaultdict[tuple[str, str], list[Span]] = defaultdict(list)
        for one in maintenance:
            name = "" if one.subject.scope == "city" else one.subject.name
            self._spans[one.subject.scope, name].append(Span(one.from_ms, one.to_ms))
        self._names = dict(subject_names.routers(db)) if maintenance else {}

    def of(self, site: str, there: Sequence[_RouterStay]) -> dict[int, list[Span]]:
        """When each router at a site is under maintenance, alone or with the place."""
        if not self._spans:
            return {}
        place = [*self._spans.get(("city", ""), ()), *self._spans.get(("site", site), ())]
        return {
            one.router_id: stretches.united(
                [*place, *self._spans.get(("router", self._names[one.router_id]), ())]
            )
            for one in there
        }
