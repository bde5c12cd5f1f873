"""What the noise of a month makes of an expected inbox, by the rules in the head of its file.

Rule: it knows the script and those rules, and nothing of Titik.

`python -m tests.alerts.played.by_rule 400` prints the critical messages, the counted warnings of
each day, and how many things of noise a digest lists.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from tests.alerts.played.script import (
    DIGEST,
    EVENING,
    MORNING,
    OFFICE,
    PLACES,
    QUIET,
    ROTA,
    ZONE,
    Away,
    Place,
    month,
)

WAIT = timedelta(minutes=1)
RESOLVED_AFTER = timedelta(minutes=10)
DAY = timedelta(days=1)


class Outage(NamedTuple):
    """Noise that fires: its place was open, and it was away long enough."""

    fires: datetime
    ends: datetime
    subject: str
    is_critical: bool


class Sent(NamedTuple):
    """A message, by the minute."""

    at: datetime
    receiver: str
    what: str
    severity: str
    subject: str


def is_open(place: Place, moment: datetime) -> bool:
    """No long noise is there when its place opens or closes."""
    clock = moment.time()
    if place.hours == OFFICE[0]:
        return moment.weekday() < 5 and OFFICE[1][0] <= clock < OFFICE[1][1]
    return place.hours != EVENING[0] or clock >= EVENING[1][0] or clock < EVENING[1][1]


def outages(size: int) -> Iterator[Outage]:
    """In order of time."""
    places = {place.name: place for place in PLACES[size]}
    for one in month(size).events:
        if not (isinstance(one, Away) and one.is_noise and one.ends is not None):
            continue
        fires = one.begins + timedelta(minutes=15 if one.router else 5)
        if one.ends > fires and is_open(places[one.place], one.begins):
            critical = places[one.place].tier == 1 and one.router is None
            subject = f"router:{one.router}" if one.router else f"site:{one.place}"
            yield Outage(fires, one.ends, subject, critical)


def next_at(moment: datetime, clock: time) -> datetime:
    """The first time at or after it at which a clock shows this."""
    found = datetime.combine(moment.date(), clock, ZONE)
    return found if found >= moment else found + DAY


def by_day(moment: datetime) -> datetime:
    """Warnings of the night wait for the morning."""
    is_night = moment.time() >= QUIET[0] or moment.time() < MORNING
    return next_at(moment, MORNING) if is_night else moment


def messages(outage: Outage) -> Iterator[Sent]:
    """None of a warning that is over before the morning."""
    due, back = outage.fires + WAIT, outage.ends + RESOLVED_AFTER
    who, severity = "helpdesk", "warning"
    if outage.is_critical:
        week = (due.date() - ROTA.first_monday).days // 7
        who, severity = ROTA.receivers[week % len(ROTA.receivers)], "critical"
    else:
        due, back = by_day(due), by_day(back)
    if outage.ends >= due:
        yield Sent(due, who, "firing", severity, outage.subject)
        yield Sent(back, who, "resolved", severity, outage.subject)


def digests(outage: Outage) -> Iterator[date]:
    """The days whose digest lists it: it was open since the digest before."""
    at = next_at(outage.fires, DIGEST)
    yield at.date()
    while outage.ends >= at:
        at += DAY
        yield at.date()


def lines(size: int) -> list[str]:
    """As in an expected inbox, by day."""
    found = list(outages(size))
    sent = [message for outage in found for message in messages(outage)]
    lines = [
        f"{one.at:%Y-%m-%d %H:%M} {one.receiver:8} {one.what:10} critical {one.subject}"
        for one in sent
        if one.severity == "critical"
    ]
    counted = Counter((one.at.date(), one.what) for one in sent if one.severity == "warning")
    lines += [f"{day} count helpdesk {what:8} warning {n}" for (day, what), n in counted.items()]
    listed = Counter(day for outage in found for day in digests(outage))
    lines += [f"{day} digest: {n} of noise" for day, n in listed.items()]
    return sorted(lines)


if __name__ == "__main__":
    print("\n".join(lines(int(sys.argv[1]))))
