"""Days of a subject at a glance: how much of each it was online, why not, and what is known of it.

Rule: a day is one of the city's zone; it has 23 or 25 hours where the clock is set.
Rule: online is a share of the time in which the routers belonged to the subject and the server
could hear. It begins where anything is known of a router.
Rule: a day without samples and without an outage is a gap, whatever presence believed.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, pairwise
from typing import NamedTuple

from titik_collector.figures import stretches
from titik_collector.figures.windows import REFRESH_MS, Calendar, Span
from titik_collector.limits import MAX_EVENTS
from titik_collector.queries import columnar
from titik_collector.queries.columnar import Columns
from titik_collector.queries.history import Subject
from titik_collector.rollups.worker import GRACE_MS
from titik_collector.store import membership, outages, rollups, server_outages
from titik_collector.store.database import Database
from titik_collector.store.outages import Outage

DAYS = 90
LONGEST = 5  # outages of a day that are named; a city has many


@dataclass(frozen=True, slots=True)
class DayCause:
    """Why routers were away on a day, how often, and how long together."""

    cause: str
    outages: int
    away_ms: int


@dataclass(frozen=True, slots=True)
class StripDay:
    """One day; of the day that goes on, the part that is over."""

    span: Span
    online: float | None  # share of the known time of its routers; None: none is known
    coverage: float | None  # share of the time of its routers that samples cover
    away: float  # share of the whole day in which its routers are known to be away
    causes: tuple[DayCause, ...] = ()  # the one that took longest first
    longest: tuple[Outage, ...] = ()  # the longest of the day first, LONGEST at most
    server_ms: int = 0  # in which the server could not hear

    @property
    def is_gap(self) -> bool:
        """Nothing is known."""
        return self.online is None and not self.coverage

    @property
    def is_known_by_outages(self) -> bool:
        """Nothing but outages is known, and they are a part of the day: it was not all away."""
        return self.online is not None and not self.coverage and self.away < 1


@dataclass(slots=True)
class _DaySums:
    """What is added up for one day."""

    known_ms: int = 0
    away_ms: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    away_by_cause: Counter[str] = field(default_factory=Counter)
    longest: list[tuple[int, Outage]] = field(default_factory=list)

    def add(self, one: Outage, away_ms: int) -> None:
        """An outage, and how much of this day it took."""
        self.away_ms += away_ms
        self.causes[one.cause] += 1
        self.away_by_cause[one.cause] += away_ms
        self.longest.append((away_ms, one))
        if len(self.longest) > 8 * LONGEST:
            self.longest = self.named()

    def named(self) -> list[tuple[int, Outage]]:
        """The longest ones; of equal ones the earliest."""
        return sorted(self.longest, key=lambda one: (-one[0], one[1]))[:LONGEST]


def read(
    db: Database, subject: Subject, calendar: Calendar, now_ms: int, count: int = DAYS
) -> list[StripDay]:
    """The newest so many days, the oldest first; the last one goes on."""
    days = last_days(calendar, now_ms, count)
    whole = Span(days[0].start_ms, now_ms)
    deaf = _deaf(db, whole)
    stays = _stays(db, subject, whole)
    sums = [_DaySums(heard_ms) for heard_ms in _router_time(days, _of_stays(stays), deaf).heard_ms]
    _add_outages(sums, days, stays, deaf, outages.of_routers(db, tuple(stays), whole))
    coverage = _coverage(db, subject, calendar, days, now_ms)
    return [
        _day(day, of_day, share, stretches.within(day, deaf))
        for day, of_day, share in zip(days, sums, coverage, strict=True)
    ]


class KnownShare(NamedTuple):
    """How much of the known time the routers of a subject were online."""

    share: float
    routers: int  # that this is the time of


def online(db: Database, found: Columns, now_ms: int) -> KnownShare | None:
    """Of all its windows together; None: nothing is known of any.

    A window without samples and without an outage is not known, as a day is.
    """
    stays, windows = _by_window(db, found, now_ms)
    known_ms = sum(windows.known_ms)
    if not known_ms:
        return None
    away_ms = sum(away for known, away in zip(*windows, strict=True) if known)
    return KnownShare(max(0.0, 1 - away_ms / known_ms), sum(map(bool, stays.values())))


def each_online(db: Database, found: Columns, now_ms: int) -> tuple[float | None, ...]:
    """Of each of its windows, of the part that is over; None: nothing is known."""
    _, windows = _by_window(db, found, now_ms)
    shares = [
        None if not known_ms else round(max(0.0, 1 - away_ms / known_ms), 4) if away_ms else 1.0
        for known_ms, away_ms in zip(*windows, strict=True)
    ]
    return (*shares, *[None] * (len(found.edges) - len(shares)))


class _KnownWindows(NamedTuple):
    """Time of routers in each window that has begun, in which the server could hear."""

    known_ms: list[int]  # 0 where nothing is known
    away_ms: list[int]


def _by_window(db: Database, found: Columns, now_ms: int) -> "tuple[Stays, _KnownWindows]":
    edges = [
        Span(one.start_ms, min(one.end_ms, now_ms)) for one in found.edges if one.start_ms < now_ms
    ]
    if not edges:
        return {}, _KnownWindows([], [])
    whole = Span(edges[0].start_ms, edges[-1].end_ms)
    deaf, stays = _deaf(db, whole), _stays(db, found.subject, whole)
    away = outages.away_in(db, [(one, stay) for one, some in stays.items() for stay in some])
    there = _router_time(edges, _of_stays(stays), deaf)
    gone = _router_time(edges, _Time(*away), deaf)
    is_known = zip(there.heard_ms, gone.ms, found.figures[columnar.COVERAGE], strict=False)
    known_ms = [ms if coverage or lost_ms else 0 for ms, lost_ms, coverage in is_known]
    return stays, _KnownWindows(known_ms, gone.heard_ms)


def last_days(calendar: Calendar, now_ms: int, count: int) -> list[Span]:
    """The last of them ends now."""
    found = [calendar.day(now_ms)]
    while len(found) < count:
        found.insert(0, calendar.day(found[0].start_ms - 1))
    return [*found[:-1], Span(found[-1].start_ms, now_ms)]


def _deaf(db: Database, whole: Span) -> list[Span]:
    rows = server_outages.since(db, whole.start_ms, MAX_EVENTS)
    return stretches.united(Span(one.from_ms, one.to_ms) for one in rows)


# Of each router, when it belonged to the subject and something was known of it.
Stays = Mapping[int, Sequence[Span]]


def _stays(db: Database, subject: Subject, whole: Span) -> Stays:
    found: dict[int, list[Span]] = defaultdict(list)
    for one in membership.stays(db):
        if subject.scope == "city" or subject.id == getattr(one, f"{subject.scope}_id"):
            found[one.router_id].append(stretches.shared(Span(one.from_ms, one.to_ms), whole))
    first = first_known(db, tuple(found))
    return {
        router_id: [
            span
            for one in spans
            if stretches.length(span := Span(max(one.start_ms, first[router_id]), one.end_ms))
        ]
        for router_id, spans in found.items()
        if router_id in first
    }


def first_known(db: Database, routers: Sequence[int]) -> dict[int, int]:
    """Since when anything is known of each of some routers; nothing of one never heard."""
    hours, away = rollups.first_hours(db, routers), outages.first_ms(db, routers)
    return {
        router_id: min(known)
        for router_id in routers
        if (known := [one[router_id] for one in (hours, away) if router_id in one])
    }


class _RouterTime(NamedTuple):
    """Time of routers in each of some windows, added up."""

    ms: list[int]
    heard_ms: list[int]  # the part in which the server could hear


class _Time:
    """Spans, added up once: what of them lies before an instant follows from two sums."""

    def __init__(self, starts: Iterable[int], ends: Iterable[int]) -> None:
        self._starts, self._ends = sorted(starts), sorted(ends)
        self._start_sums = list(accumulate(self._starts, initial=0))
        self._end_sums = list(accumulate(self._ends, initial=0))

    def before(self, at_ms: int) -> int:
        """How much of all of them lies before it, in milliseconds."""
        begun, over = bisect_right(self._starts, at_ms), bisect_right(self._ends, at_ms)
        since_start = begun * at_ms - self._start_sums[begun]
        return since_start - (over * at_ms - self._end_sums[over])


def _of_stays(stays: Stays) -> _Time:
    spans = list(chain.from_iterable(stays.values()))
    return _Time((one.start_ms for one in spans), (one.end_ms for one in spans))


def _router_time(windows: Sequence[Span], time: _Time, deaf: Sequence[Span]) -> _RouterTime:
    """What lies in each window, however many spans begin at a time of their own.

    A window begins where the one before ends.
    """
    starts = [one.start_ms for one in windows]
    before = [time.before(at_ms) for at_ms in (*starts, windows[-1].end_ms)]
    ms = [end - start for start, end in pairwise(before)]
    heard_ms = ms.copy()
    for one in deaf:
        number = max(0, bisect_right(starts, one.start_ms) - 1)
        while number < len(windows) and starts[number] < one.end_ms:
            missed = stretches.shared(one, windows[number])
            if missed.start_ms < missed.end_ms:
                heard_ms[number] -= time.before(missed.end_ms) - time.before(missed.start_ms)
            number += 1
    return _RouterTime(ms, heard_ms)


def _add_outages(
    sums: Sequence[_DaySums],
    days: Sequence[Span],
    stays: Stays,
    deaf: Sequence[Span],
    found: Iterable[tuple[int, Outage]],
) -> None:
    starts, ends = [one.start_ms for one in days], [one.end_ms for one in days]
    for router_id, one in found:
        away: dict[int, int] = {}  # by the day's number
        for stay in stays[router_id]:
            start_ms = max(one.from_ms, stay.start_ms)
            to_ms = stay.end_ms if one.to_ms is None else min(one.to_ms, stay.end_ms)
            while start_ms < to_ms:
                number = bisect_right(starts, start_ms) - 1
                end_ms = min(ends[number], to_ms)
                away[number] = away.get(number, 0) + _heard_ms(start_ms, end_ms, deaf)
                start_ms = end_ms
        for number, away_ms in away.items():
            sums[number].add(one, away_ms)


def _heard_ms(start_ms: int, end_ms: int, deaf: Sequence[Span]) -> int:
    ms = end_ms - start_ms
    return ms - stretches.within(Span(start_ms, end_ms), deaf) if deaf else ms


def _coverage(
    db: Database, subject: Subject, calendar: Calendar, days: Sequence[Span], now_ms: int
) -> Iterator[float | None]:
    whole = Span(days[0].start_ms, days[-1].end_ms)
    found = columnar.read(db, subject, "1d", whole, calendar, now_ms, ())
    ratios = [value and float(value) for value in found.figures[columnar.COVERAGE]]
    yield from ratios[: len(days) - 1]
    if len(ratios) == len(days):  # at midnight there is no today yet
        yield _so_far(ratios[-1], calendar, found.edges[-1], now_ms)
    else:
        yield None


def _so_far(ratio: float | None, calendar: Calendar, day: Span, now_ms: int) -> float | None:
    """A day that goes on is computed every REFRESH_MS, and counts as if it were over."""
    at_ms = now_ms - GRACE_MS
    over_ms = calendar.refreshed_ms(at_ms) - REFRESH_MS - day.start_ms
    if ratio is None or over_ms <= 0:
        return None
    return min(1.0, round(ratio * stretches.length(day) / over_ms, 4))


def _day(span: Span, of_day: _DaySums, coverage: float | None, server_ms: int) -> StripDay:
    whole_ms = max(of_day.known_ms, stretches.length(span) - server_ms)
    is_known = of_day.known_ms > 0 and (coverage or of_day.causes)
    causes = [
        DayCause(cause, count, of_day.away_by_cause[cause])
        for cause, count in of_day.causes.items()
    ]
    return StripDay(
        span,
        max(0.0, 1 - of_day.away_ms / of_day.known_ms) if is_known else None,
        coverage,
        min(1.0, of_day.away_ms / whole_ms) if whole_ms > 0 else 0.0,
        tuple(sorted(causes, key=lambda one: (-one.away_ms, one.cause))),
        tuple(one for _, one in of_day.named()),
        server_ms,
    )
