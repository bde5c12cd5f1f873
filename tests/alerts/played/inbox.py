"""Lines of an inbox: read from an expected file, printed as there, and compared.

Rule: two lines are the same if all columns are; the reason behind `#` does not count.
Rule: in the months of large cities, what is not critical about noise is counted by day.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from tests.alerts.played.script import ROTA, SHIFTS, ZONE, Play
from titik_collector.alerts.alert import Message

HERE = Path(__file__).parent
WAKES = ("firing", "repeat", "escalation")
OF_PLACES = ("site-offline", "group-outage", "flapping")


class InboxLine(NamedTuple):
    """One message that somebody has, by the minute; or so many of a day."""

    minute: str  # `2026-11-27 19:12`, or `2026-11-03 count`
    receiver: str
    what: str
    severity: str
    kind: str = ""
    subject: str = ""
    places: str = ""  # of a count: how many

    @property
    def day(self) -> str:
        """Without the time."""
        return self.minute[:10]

    @property
    def is_count(self) -> bool:
        """Whether it stands for many."""
        return self.minute.endswith("count")

    @property
    def about(self) -> tuple[str, ...]:
        """What stays the same if it only comes at another time, or says other things."""
        return (
            self.receiver,
            self.what,
            self.kind,
            self.subject,
            self.day if self.is_count else "",
        )

    def __str__(self) -> str:
        if self.is_count:
            return f"{self.minute} {self.receiver:8} {self.what:10} {self.severity:8} {self.places}"
        return (
            f"{self.minute} {self.receiver:8} {self.what:10} {self.severity:8} {self.kind:12}"
            f" {self.subject:24} {self.places:>3}"
        )


def expected_file(play: Play) -> Path:
    """Beside this file."""
    return HERE / f"expected_{play.name}_{play.size}.txt"


def read(text: str) -> Iterator[InboxLine]:
    """The lines of an expected file, without remarks."""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[1] == "count":
            day, count, receiver, what, severity, number = words
            yield InboxLine(f"{day} {count}", receiver, what, severity, places=number)
        else:
            yield InboxLine(f"{words[0]} {words[1]}", *words[2:])


def line_of(message: Message, receiver: str, at_ms: int) -> InboxLine:
    """Of a message that somebody got at this moment."""
    subject = f"{message.subject.scope}:{message.subject.name}"
    minute = f"{datetime.fromtimestamp(at_ms / 1000, ZONE):%Y-%m-%d %H:%M}"
    if message.what == "digest":
        return InboxLine(minute, receiver, "digest", "-", "-", subject, f"{message.places or 0}")
    places = "-"
    if message.kind in OF_PLACES and message.subject.scope != "router":
        places = f"{message.places or 1}"
    elif message.places is not None and message.subject.scope in ("group", "city"):
        places = f"{message.places}"
    return InboxLine(
        minute, receiver, message.what, message.severity, message.kind, subject, places
    )


def counted(lines: Iterable[tuple[InboxLine, bool]]) -> list[InboxLine]:
    """With what is noise and not critical counted by day; bool: it is noise."""
    kept: list[InboxLine] = []
    counts: Counter[InboxLine] = Counter()
    for line, is_noise in lines:
        if is_noise and line.severity != "critical":
            counts[InboxLine(f"{line.day} count", line.receiver, line.what, line.severity)] += 1
        else:
            kept.append(line)
    return kept + [line._replace(places=f"{number}") for line, number in counts.items()]


class Difference(NamedTuple):
    """An expected line, and what came in its place; either may be missing."""

    expected: InboxLine | None
    actual: InboxLine | None

    def __str__(self) -> str:
        if self.actual is None:
            return f"missing   {self.expected}"
        if self.expected is None:
            return f"too many  {self.actual}"
        return f"other     {self.expected}\n   came   {self.actual}"


def differences(expected: Iterable[InboxLine], actual: Iterable[InboxLine]) -> list[Difference]:
    """In order of time: first what is the same goes, then what is about the same and nearest."""
    missing, extra = Counter(expected), Counter(actual)
    missing, extra = missing - extra, extra - missing
    left = sorted(extra.elements())
    found: list[Difference] = []
    for line in sorted(missing.elements()):
        alike = [one for one in left if one.about == line.about and one.day == line.day]
        nearest = min(alike, key=lambda one: abs(_minutes(one) - _minutes(line)), default=None)
        if nearest is not None:
            left.remove(nearest)
        found.append(Difference(line, nearest))
    found += [Difference(None, one) for one in left]
    return sorted(found, key=lambda one: (one.expected or one.actual or ("",))[0])


def _minutes(line: InboxLine) -> int:
    found = re.search(r"(\d\d):(\d\d)$", line.minute)
    return int(found[1]) * 60 + int(found[2]) if found else 0


def beside(expected: Sequence[InboxLine], actual: Sequence[InboxLine]) -> list[str]:
    """All lines of both: `=` came as expected, `-` is missing, `+` is too many."""
    wanted, came = Counter(expected), Counter(actual)
    marked = [("=", line) for line in (wanted & came).elements()]
    marked += [("-", line) for line in (wanted - came).elements()]
    marked += [("+", line) for line in (came - wanted).elements()]
    return [f"{mark} {line}" for mark, line in sorted(marked, key=lambda one: (one[1], one[0]))]


def pages_by_shift(lines: Iterable[InboxLine]) -> Counter[tuple[str, str]]:
    """How often each person on call is woken in each shift: (its begin, person)."""
    found: Counter[tuple[str, str]] = Counter()
    for line in lines:
        is_page = line.severity == "critical" and line.what in WAKES
        if is_page and line.receiver in ROTA.receivers:
            found[_shift(line.minute), line.receiver] += 1
    return found


def _shift(minute: str) -> str:
    moment = datetime.strptime(minute, "%Y-%m-%d %H:%M")
    begins = [one for one in SHIFTS if one <= moment.time()]
    if begins:
        return f"{moment:%Y-%m-%d} {begins[-1]:%H:%M}"
    return f"{moment - timedelta(days=1):%Y-%m-%d} {SHIFTS[-1]:%H:%M}"
