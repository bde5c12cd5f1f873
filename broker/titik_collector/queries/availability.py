"""Whether visitors could use a place: its time as available, not available, not known and excluded.

A place is available while one of its routers is on the air and its internet answers. What samples
say goes before what the server's own line says: a router that could not reach the server, and whose
internet answered, served its visitors.

Rule: the four parts add up to the time in which the place is open and has a router.
Rule: not known is neither: the server was deaf and no sample came later, the agent had stopped, or
the firmware was being upgraded. It widens the bounds; whatever becomes known narrows them.
Rule: what samples say of a window is even over the part of it that no outage explains. Rounds of
`reach` that failed lie in the time without a connection first.
Rule: maintenance is cut out of what is so found; so failures within it stay within it.
Rule: routers of a place share its line, so of two windows the better one has the other's good part.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from titik_collector.figures import stretches
from titik_collector.figures.windows import Span
from titik_collector.languages.codes import marked

Party = Literal["power", "provider", "equipment", "us", "unknown"]
NO_INTERNET: Final = marked("no internet")
UPLINK_LOST: Final = "uplink lost"
# Who has to answer for what; the first of two causes that took as long.
PARTIES: Final[Mapping[str, Party]] = {
    "power cut": "power",
    UPLINK_LOST: "provider",
    NO_INTERNET: "provider",
    "reboot": "us",  # it reported that it stops, and no maintenance was entered
    "unknown": "unknown",
}
# In these the Wi-Fi may have gone on.
NOT_KNOWN: Final = frozenset({"agent crash", "agent restart", "agent stopped", "firmware upgrade"})
WHOLE: Final = (
    0.999  # what samples cover so much of they cover: clocks drift, and outages have edges
)
EXCLUDED_MOST: Final = 0.05  # of the time; above it the figure alone would mislead


class WindowEvidence(NamedTuple):
    """What the samples of one router say of one window."""

    span: Span
    covered_ms: int
    aired_ms: int  # in which its clients were counted, so its Wi-Fi was on
    rounds: int = 0  # of `reach`
    answered: int = 0

    @property
    def air(self) -> float:
        """The share of what is covered in which its Wi-Fi was on."""
        if self.aired_ms >= WHOLE * self.covered_ms:
            return 1.0 if self.covered_ms else 0.0
        return self.aired_ms / self.covered_ms

    @property
    def failed(self) -> float:
        """The share of what is covered in which the internet did not answer."""
        return 1 - self.answered / self.rounds if self.rounds else 0.0


class AwayTime(NamedTuple):
    """An outage of one router; those of one router do not overlap."""

    span: Span
    cause: str


class ServiceTime(NamedTuple):
    """A stretch of a router or a place, with the share of each part; the rest is not known."""

    span: Span
    available: float
    lost: float  # not available
    cause: str | None = None  # of what is lost
    is_checked: bool = True  # `reach` asked the internet


class Interruption(NamedTuple):
    """A place was not available, from then to then, for one cause."""

    span: Span
    lost_ms: int  # of it, while the place was open
    cause: str


class LostTime(NamedTuple):
    """How long a place was not available for one cause."""

    cause: str
    ms: int


@dataclass(frozen=True, slots=True)
class Availability:
    """Time of one place, or of several added up."""

    available_ms: int = 0
    lost: tuple[LostTime, ...] = ()  # the longest first
    unknown_ms: int = 0
    excluded_ms: int = 0
    unchecked_ms: int = 0  # of the available time, in which nobody asked the internet

    @property
    def lost_ms(self) -> int:
        """Not available."""
        return sum(one.ms for one in self.lost)

    @property
    def counted_ms(self) -> int:
        """Without what is excluded."""
        return self.available_ms + self.lost_ms + self.unknown_ms

    @property
    def span_ms(self) -> int:
        """All four parts."""
        return self.counted_ms + self.excluded_ms

    @property
    def ratio(self) -> float | None:
        """Of the time that is known; None: none is."""
        known_ms = self.available_ms + self.lost_ms
        return self.available_ms / known_ms if known_ms else None

    @property
    def least(self) -> float | None:
        """If it was never available while it is not known; None: no time counts."""
        return self.available_ms / self.counted_ms if self.counted_ms else None

    @property
    def most(self) -> float | None:
        """If it always was."""
        if not self.counted_ms:
            return None
        return (self.available_ms + self.unknown_ms) / self.counted_ms

    @property
    def excluded_ratio(self) -> float:
        """Of all time."""
        return self.excluded_ms / self.span_ms if self.span_ms else 0.0

    @property
    def is_grey(self) -> bool:
        """So much is excluded that the figure without it is given, too."""
        return self.excluded_ratio > EXCLUDED_MOST

    @property
    def by_party(self) -> tuple[tuple[Party, int], ...]:
        """How long each party's causes took, the longest first."""
        found: Counter[Party] = Counter()
        for one in self.lost:
            found[party(one.cause)] += one.ms
        return tuple(found.most_common())


NOTHING: Final = Availability()


def party(cause: str) -> Party:
    """Who has to answer for a cause, probably."""
    return PARTIES.get(cause, "unknown")


def together(each: Iterable[Availability]) -> Availability:
    """Of several places, each minute of each counting once."""
    available = unknown = excluded = unchecked = 0
    lost: Counter[str] = Counter()
    for one in each:
        available += one.available_ms
        unknown += one.unknown_ms
        excluded += one.excluded_ms
        unchecked += one.unchecked_ms
        for cause, ms in one.lost:
            lost[cause] += ms
    return Availability(available, _longest_first(lost), unknown, excluded, unchecked)


def of_router(
    there: Span, windows: Sequence[WindowEvidence], away: Sequence[AwayTime], deaf: Sequence[Span]
) -> list[ServiceTime]:
    """All of a router's time at a place; windows, outages and deafness are each in order."""
    found: list[ServiceTime] = []
    gone = unheard = 0
    for one in _without_gaps(there, windows):
        start_ms, end_ms = one.span
        while gone < len(away) and away[gone].span.end_ms <= start_ms:
            gone += 1
        while unheard < len(deaf) and deaf[unheard].end_ms <= start_ms:
            unheard += 1
        is_plain = (gone == len(away) or away[gone].span.start_ms >= end_ms) and (
            unheard == len(deaf) or deaf[unheard].start_ms >= end_ms
        )
        parts = (_plain(one),) if is_plain else _of_window(one, away[gone:], deaf[unheard:])
        for part in parts:
            last = found[-1] if found else None
            if last and last.available == part.available and last[1:] == part[1:]:
                found[-1] = ServiceTime(Span(last.span.start_ms, part.span.end_ms), *part[1:])
            else:
                found.append(part)
    return found


def without(parts: Sequence[ServiceTime], planned: Sequence[Span]) -> list[ServiceTime]:
    """What of each lies in none of the others, which are apart and in order."""
    found: list[ServiceTime] = []
    for one in parts:
        cut = list(stretches.overlaps(one.span, planned)) if planned else []
        found += [one._replace(span=span) for span in stretches.without([one.span], cut)]
    return found


def within(parts: Iterable[ServiceTime], whole: Span) -> list[ServiceTime]:
    """What of each lies in a stretch."""
    cut = (one._replace(span=stretches.shared(one.span, whole)) for one in parts)
    return [one for one in cut if stretches.length(one.span)]


def _without_gaps(there: Span, windows: Sequence[WindowEvidence]) -> Iterator[WindowEvidence]:
    """The part of each that lies there; a window without samples where there is none."""
    at_ms, until_ms = there
    for one in windows:
        start_ms, end_ms = one.span
        if end_ms <= at_ms or start_ms >= until_ms:
            continue
        if start_ms > at_ms:
            yield WindowEvidence(Span(at_ms, start_ms), 0, 0)
        if start_ms < at_ms or end_ms > until_ms:
            one = one._replace(span=stretches.shared(one.span, there))
        yield one
        at_ms = one.span.end_ms
    if at_ms < until_ms:
        yield WindowEvidence(Span(at_ms, until_ms), 0, 0)


def _plain(one: WindowEvidence) -> ServiceTime:
    """A window that no outage touches."""
    length_ms, covered_ms = one.span.end_ms - one.span.start_ms, one.covered_ms
    if covered_ms >= WHOLE * length_ms and one.answered == one.rounds:
        if one.aired_ms >= WHOLE * covered_ms:
            return ServiceTime(one.span, 1.0, 0.0, None, one.rounds > 0)
    elif not covered_ms:
        return ServiceTime(one.span, 0.0, 0.0, None, one.rounds > 0)
    covered_ms = min(covered_ms, length_ms)
    found = _known_shares(covered_ms, covered_ms * one.failed, length_ms, one.air)
    return ServiceTime(one.span, found.fine, found.failed, _cause(found.failed), one.rounds > 0)


def _of_window(
    one: WindowEvidence, away: Sequence[AwayTime], deaf: Sequence[Span]
) -> Iterator[ServiceTime]:
    parts = list(_parts(one.span, away, deaf))
    free_ms = sum(length for _, cause, length in parts if cause is None)
    doubtful_ms = sum(length for _, cause, length in parts if cause in _DOUBTFUL)
    covered_ms = min(one.covered_ms, free_ms + doubtful_ms)
    failed_ms = covered_ms * one.failed
    failed_in_doubt_ms = min(failed_ms, doubtful_ms)
    in_doubt_ms = max(covered_ms - free_ms, failed_in_doubt_ms)
    free = _known_shares(covered_ms - in_doubt_ms, failed_ms - failed_in_doubt_ms, free_ms, one.air)
    doubt = _known_shares(in_doubt_ms, failed_in_doubt_ms, doubtful_ms, one.air)
    is_checked = one.rounds > 0
    for span, cause, _ in parts:
        if cause is None:
            yield ServiceTime(span, free.fine, free.failed, _cause(free.failed), is_checked)
        elif cause == _DEAF:
            yield ServiceTime(span, doubt.fine, doubt.failed, _cause(doubt.failed), is_checked)
        elif cause in NOT_KNOWN:
            yield ServiceTime(span, 0.0, 0.0)
        elif cause == UPLINK_LOST and is_checked:
            lost = 1 - doubt.covered + doubt.failed
            yield ServiceTime(span, doubt.fine, lost, cause if lost else None)
        else:
            yield ServiceTime(span, 0.0, 1.0, cause)


_DEAF: Final = "deaf"
_DOUBTFUL: Final = (_DEAF, UPLINK_LOST)  # samples may have come later


class _KnownShares(NamedTuple):
    """Of some time."""

    covered: float
    failed: float  # covered, and the internet did not answer
    fine: float  # covered, and everything worked


def _known_shares(covered_ms: float, failed_ms: float, of_ms: int, air: float) -> _KnownShares:
    if not of_ms:
        return _KnownShares(0.0, 0.0, 0.0)
    covered, failed = covered_ms / of_ms, failed_ms / of_ms
    covered = 1.0 if covered >= WHOLE else covered
    return _KnownShares(covered, failed, (covered - failed) * air)


def _cause(failed: float) -> str | None:
    return NO_INTERNET if failed else None


class _CausePart(NamedTuple):
    """Of a window; cause None: no outage explains it."""

    span: Span
    cause: str | None
    length_ms: int


def _parts(span: Span, away: Sequence[AwayTime], deaf: Sequence[Span]) -> Iterator[_CausePart]:
    """All of a window, in order; deafness goes before an outage."""
    found: list[tuple[Span, str]] = [(one, _DEAF) for one in stretches.overlaps(span, deaf)]
    for one in away:
        if one.span.start_ms >= span.end_ms:
            break
        shared = stretches.shared(one.span, span)
        if shared.end_ms > shared.start_ms:
            found += [(part, one.cause) for part in stretches.without([shared], deaf)]
    at_ms = span.start_ms
    for part, cause in sorted(found):
        if part.start_ms > at_ms:
            yield _CausePart(Span(at_ms, part.start_ms), None, part.start_ms - at_ms)
        yield _CausePart(part, cause, part.end_ms - part.start_ms)
        at_ms = part.end_ms
    if at_ms < span.end_ms:
        yield _CausePart(Span(at_ms, span.end_ms), None, span.end_ms - at_ms)


def of_place(routers: Sequence[Sequence[ServiceTime]]) -> list[ServiceTime]:
    """Of each stretch in which any of them is there, what the best of them gave."""
    if len(routers) == 1:
        return list(routers[0])
    edges = sorted({edge for one in routers for part in one for edge in part.span})
    places = [0] * len(routers)
    found: list[ServiceTime] = []
    for start_ms, end_ms in pairwise(edges):
        there = []
        for number, parts in enumerate(routers):
            place = places[number]
            while place < len(parts) and parts[place].span.end_ms <= start_ms:
                place += 1
            places[number] = place
            if place < len(parts) and parts[place].span.start_ms <= start_ms:
                there.append(parts[place])
        if there:
            found.append(_best(Span(start_ms, end_ms), there))
    return found


def _best(span: Span, there: Sequence[ServiceTime]) -> ServiceTime:
    best = max(there, key=lambda one: (one.available, one.is_checked))
    lost = min(one.lost for one in there)
    if not lost:
        return ServiceTime(span, best.available, 0.0, None, best.is_checked)
    causes = Counter(one.cause for one in there if one.cause is not None)
    cause = max(causes, key=lambda one: (causes[one], -_ORDER.get(one, len(_ORDER))))
    return ServiceTime(span, best.available, min(lost, 1 - best.available), cause, best.is_checked)


_ORDER: Final = {cause: place for place, cause in enumerate(PARTIES)}


def measured(
    parts: Iterable[ServiceTime], opened: Sequence[Span], excluded: Sequence[Span] = ()
) -> Availability:
    """How long each part took while the place was open; `excluded` lies in none of `parts`."""
    available = unknown = unchecked = 0
    lost: Counter[str] = Counter()
    always = opened[0] if len(opened) == 1 else Span(0, 0)
    for one in parts:
        start_ms, end_ms = one.span
        if always.start_ms <= start_ms and end_ms <= always.end_ms:
            length_ms = end_ms - start_ms
        else:
            length_ms = stretches.within(one.span, opened)
        lost_ms = round(one.lost * length_ms)
        available_ms = min(round(one.available * length_ms), length_ms - lost_ms)
        available += available_ms
        unknown += length_ms - available_ms - lost_ms
        if not one.is_checked:
            unchecked += available_ms
        if lost_ms:
            lost[one.cause or "unknown"] += lost_ms
    excluded_ms = sum(stretches.within(one, opened) for one in excluded)
    return Availability(available, _longest_first(lost), unknown, excluded_ms, unchecked)


def _longest_first(lost: Mapping[str, int]) -> tuple[LostTime, ...]:
    found = [LostTime(cause, ms) for cause, ms in lost.items() if ms]
    return tuple(sorted(found, key=lambda one: (-one.ms, one.cause)))


def interruptions(
    parts: Iterable[ServiceTime], opened: Sequence[Span], least_ms: int
) -> list[Interruption]:
    """Each time that a place was not available for so long at least, in order."""
    found: list[Interruption] = []
    for one in parts:
        if not one.lost:
            continue
        lost_ms = round(one.lost * stretches.within(one.span, opened))
        cause, last = one.cause or "unknown", found[-1] if found else None
        if last and last.span.end_ms == one.span.start_ms and last.cause == cause:
            span = Span(last.span.start_ms, one.span.end_ms)
            found[-1] = Interruption(span, last.lost_ms + lost_ms, cause)
        else:
            found.append(Interruption(one.span, lost_ms, cause))
    return [one for one in found if one.lost_ms >= least_ms]
