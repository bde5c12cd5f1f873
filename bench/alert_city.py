"""A city of thirty places for four weeks, minute by minute, with faults whose times are known.

Rule: people and traffic come from the simulated world that the demo has. A seed gives one city.
Rule: a fault is what was injected, or what people wanted. It is never what a rule computes.
Rule: four weeks before give what is usual; nothing is wrong in them.
"""

import math
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from titik_collector.alerts.alert import Kind
from titik_collector.simulation.weeks import WANDER, WANDER_KEEPS, WITHOUT_INTERNET
from titik_collector.simulation.world import (
    BUSY_SHARE,
    DAY_MINUTES,
    DOWN_BPS,
    MOST,
    STAY_MINUTES,
    Day,
    day_of,
    expected_clients,
    kind_of,
)

ZONE = ZoneInfo("Asia/Makassar")
DAYS = 28
FIRST = date(2026, 1, 5)  # a Monday
HOUR, SLOT = 60, 10  # minutes
KINDS = (
    ("taman", 10),
    ("kantor", 7),
    ("perumnas", 5),
    ("pantai", 3),
    ("pusat-kuliner", 3),
    ("rsud", 2),
)
LITTLE_USED = 4  # parks that never have many
TRIES = 100  # for a day of its own; short lengths have too few
FEWEST = 30  # minutes for which more is wanted than there is, before it is a fault
WHAT_GOES_OUT = 21 / 20  # of what visitors download, through the line
FAULTS: dict[Kind, int] = {"radio-stuck": 12, "no-internet": 14, "crowded": 10, "uplink-full": 12}


class Place(NamedTuple):
    """One place with one router, as the configuration has it and as it is."""

    name: str
    size: int  # people that the world has there at most, nearly
    capacity: int
    line_mbps: float
    gives: float  # share of `line_mbps` at which the line is full
    opens: int | None  # minute of the day; None: no hours are configured
    closes: int | None
    is_shut: bool  # while it is closed nobody gets near


class Fault(NamedTuple):
    """What ought to be found."""

    kind: Kind
    begins: int  # minutes since the first day began
    ends: int


class Minute(NamedTuple):
    """What a router would report of one minute."""

    is_online: bool
    clients: int
    down_bps: float
    answers: bool  # the round of `reach`
    usual: float  # clients, at this hour of the week


class Lived(NamedTuple):
    """Four weeks of one place."""

    place: Place
    starts_ms: int
    minutes: Sequence[Minute]
    faults: Sequence[Fault]


class _Spell(NamedTuple):
    """Something that is so for a while."""

    what: str
    begins: int
    ends: int
    size: float = 1.0


def city(seed: int, days: int = DAYS, places: int = 30) -> Iterator[Lived]:
    """Each place after the other; `days` and `places` shorten it."""
    rand = random.Random(f"alerts/{seed}")
    first = FIRST + timedelta(days=2 * DAYS * seed)
    every = [_place(kind, number, rand) for kind, count in KINDS for number in range(count)]
    every = every[:: max(1, len(every) // places)][:places]
    spells = _spells(every, days, first, rand)
    for place in every:
        yield _live(place, spells[place.name], first, days, random.Random(f"{seed}/{place.name}"))


def _place(kind: str, number: int, rand: random.Random) -> Place:
    is_little = kind == "taman" and number < LITTLE_USED
    size = 8 if is_little else rand.randrange(30, 121)
    usual_bps = size * 0.82 * BUSY_SHARE * DOWN_BPS * WHAT_GOES_OUT
    known = kind_of(kind)
    has_hours = known.closes - known.opens < 24 and rand.random() < 0.5
    return Place(
        name=f"{kind}-{number}",
        size=size,
        capacity=round(size * rand.uniform(1.1, 1.5)),
        line_mbps=max(5.0, round(usual_bps * rand.uniform(1.3, 2.2) / 1e6)),
        gives=rand.uniform(0.88, 1.0),
        opens=round(known.opens * HOUR) if has_hours else None,
        closes=round(known.closes * HOUR) if has_hours else None,
        is_shut=kind == "kantor" and number % 2 == 0,
    )


def _spells(
    places: Sequence[Place], days: int, first: date, rand: random.Random
) -> dict[str, list[_Spell]]:
    """What is injected; at most one of the long ones at a place on a day."""
    found: dict[str, list[_Spell]] = {one.name: [] for one in places}
    taken = set[tuple[str, int]]()

    def some_day(where: Sequence[Place]) -> tuple[list[_Spell], int]:
        for _ in range(TRIES):
            place, day = rand.choice(where), rand.randrange(days)
            if (place.name, day) not in taken:
                break
        taken.add((place.name, day))
        return found[place.name], day * DAY_MINUTES

    def times(count: int) -> range:
        return range(max(1, round(count * days * len(places) / DAYS / 30)))

    outdoors = [one for one in places if kind_of(one.name).outdoors]
    for _ in times(FAULTS["radio-stuck"]):
        spells, at = some_day(places)
        begins = at + rand.randrange(DAY_MINUTES)
        spells.append(_Spell("hang", begins, begins + rand.randrange(3 * HOUR, 30 * HOUR)))
    for _ in times(FAULTS["no-internet"]):
        spells, at = some_day(places)
        begins = at + rand.randrange(DAY_MINUTES)
        spells.append(_Spell("cut", begins, begins + round(12 * 30 ** rand.random())))
    for _ in times(FAULTS["crowded"]):  # beyond what it is meant for
        spells, at = some_day(outdoors)
        begins = at + rand.randrange(15 * HOUR, 18 * HOUR)
        ends = begins + rand.randrange(3 * HOUR, 5 * HOUR)
        spells.append(_Spell("crowd", begins, ends, rand.uniform(1.1, 1.6)))
    for _ in times(FAULTS["uplink-full"]):
        spells, at = some_day(places)
        begins = at + rand.randrange(6 * HOUR, 20 * HOUR)
        spells.append(_Spell("bulk", begins, begins + rand.randrange(HOUR, 4 * HOUR)))
    # What is no fault.
    for _ in times(15):  # a market day: many, and they have room
        spells, at = some_day(outdoors)
        begins = at + rand.randrange(7 * HOUR, 12 * HOUR)
        spells.append(_Spell("crowd", begins, begins + 6 * HOUR, rand.uniform(0.7, 0.92)))
    for _ in times(15):  # power cuts and reboots: nothing is known meanwhile
        spells, at = some_day(places)
        begins = at + rand.randrange(DAY_MINUTES)
        spells.append(_Spell("off", begins, begins + rand.choice((4, 30, 90, 240))))
    for _ in times(150):  # updates of phones
        spells, at = found[rand.choice(places).name], rand.randrange(days * DAY_MINUTES)
        spells.append(_Spell("bulk", at, at + rand.randrange(3, 11)))
    for _ in times(200):  # short losses of reach
        spells, at = found[rand.choice(places).name], rand.randrange(days * DAY_MINUTES)
        spells.append(_Spell("cut", at, at + rand.randrange(1, 5)))
    holiday = rand.choice([day for day in range(days) if (first + timedelta(day)).weekday() < 5])
    for place in places:
        if place.name.startswith("kantor"):
            begins = holiday * DAY_MINUTES
            found[place.name].append(_Spell("holiday", begins, begins + DAY_MINUTES))
            for day in rand.sample(range(days), max(1, 3 * days // DAYS)):  # people come late
                opens = day * DAY_MINUTES + round(kind_of(place.name).opens * HOUR)
                found[place.name].append(_Spell("holiday", opens, opens + rand.randrange(5, 40)))
    for day in range(days):  # a radio link in the rain
        if day_of(first + timedelta(day)).has_rain:
            for place in rand.sample(outdoors, max(1, len(outdoors) // 5)):
                at = day * DAY_MINUTES + 15 * HOUR
                found[place.name].append(_Spell("weak", at, at + 70, rand.uniform(0.1, 0.4)))
    return found


def _live(
    place: Place, spells: Sequence[_Spell], first: date, days: int, rand: random.Random
) -> Lived:
    count = days * DAY_MINUTES
    wander = _wander(count, rand)
    wanted = [
        expected * wander[day * DAY_MINUTES // SLOT + minute // SLOT]
        for day in range(days)
        for minute, expected in enumerate(_day(place, _what(first + timedelta(day))))
    ]
    lost, hang, cut, off, bulk = (bytearray(count) for _ in range(5))
    for what, begins, ends, size in spells:
        for minute in range(begins, min(ends, count)):
            if what == "crowd":
                ramp = min(1.0, (minute - begins + 1) / 30, (ends - minute) / 30)
                wanted[minute] = max(wanted[minute], size * ramp * place.capacity)
            elif what == "holiday":
                closed = expected_clients(place.name, place.size, 0)
                wanted[minute] = 0.0 if place.is_shut else closed
            elif what == "weak":
                lost[minute] |= rand.random() < size
            else:
                {"hang": hang, "cut": cut, "off": off, "bulk": bulk}[what][minute] = 1
    before, usual = _usual_before(place, first, rand), 0.0
    minutes, is_full = [], bytearray(count)
    clients, hours = round(wanted[0]), list[float]()
    hour_sum = hour_known = 0
    stay, per_client = 1 / STAY_MINUTES, BUSY_SHARE * DOWN_BPS * WHAT_GOES_OUT
    line_bps = place.line_mbps * 1e6 * place.gives
    for minute in range(count):
        if minute % HOUR == 0:
            usual = _usual(before, hours)
        if off[minute] or hang[minute]:
            clients = 0
        else:
            come = min(wanted[minute], MOST * place.capacity)
            come *= WITHOUT_INTERNET if cut[minute] else 1.0
            clients += _poisson(rand, come * stay) - min(clients, _poisson(rand, clients * stay))
        wanted_bps = clients * per_client
        has_traffic = not (cut[minute] or off[minute])
        if has_traffic and (wanted_bps >= line_bps or bulk[minute]):
            is_full[minute] = 1
            down_bps = line_bps * rand.uniform(0.97, 1.0)
        else:
            down_bps = min(line_bps, wanted_bps * rand.uniform(0.7, 1.3)) if has_traffic else 0.0
        minutes.append(
            Minute(
                not off[minute],
                clients,
                down_bps,
                not (cut[minute] or lost[minute]),
                usual,
            )
        )
        if not off[minute]:
            hour_sum, hour_known = hour_sum + clients, hour_known + 1
        if minute % HOUR == HOUR - 1:
            hours.append(hour_sum / hour_known if hour_known else 0.0)
            hour_sum = hour_known = 0
    faults = [
        Fault("radio-stuck", s.begins, min(s.ends, count)) for s in spells if s.what == "hang"
    ]
    faults += [
        Fault("no-internet", s.begins, min(s.ends, count))
        for s in spells
        if s.what == "cut" and s.ends - s.begins >= SLOT
    ]
    many = bytearray(w >= place.capacity and not o for w, o in zip(wanted, off, strict=True))
    faults += [Fault("crowded", *span) for span in stretches(many)]
    faults += [Fault("uplink-full", *span) for span in stretches(is_full)]
    starts = datetime(first.year, first.month, first.day, tzinfo=ZONE).astimezone(UTC)
    return Lived(place, round(starts.timestamp() * 1000), minutes, faults)


def _wander(count: int, rand: random.Random) -> list[float]:
    """How far a place is from what is expected, for each slot."""
    at, found = rand.gauss(0, 2 * WANDER), []
    for _ in range(0, count, SLOT):
        at = WANDER_KEEPS * at + rand.gauss(0, WANDER)
        found.append(max(0.0, 1 + at))
    return found


def _normal(place: Place, day: date, minute: int) -> float:
    return _day(place, _what(day))[minute]


@cache
def _what(day: date) -> Day:
    return day_of(day)


@cache
def _day(place: Place, day: Day) -> list[float]:
    """How many are expected in each minute of such a day."""
    kind = kind_of(place.name)
    found = [expected_clients(place.name, place.size, one, day) for one in range(DAY_MINUTES)]
    if place.is_shut:
        closed = [not kind.opens <= one / HOUR < kind.closes for one in range(DAY_MINUTES)]
        found = [0.0 if shut else one for shut, one in zip(closed, found, strict=True)]
    return found


def _usual_before(place: Place, first: date, rand: random.Random) -> list[float]:
    """The mean of each hour of the four weeks before."""
    wander = _wander(DAYS * DAY_MINUTES, rand)
    found = []
    for hour in range(-DAYS * 24, 0):
        day, at = first + timedelta(days=hour // 24), hour % 24 * HOUR
        mean = sum(_normal(place, day, at + minute) for minute in range(5, HOUR, SLOT)) / 6
        found.append(mean * wander[hour * HOUR // SLOT])
    return found


def _usual(before: Sequence[float], hours: Sequence[float]) -> float:
    """The median of the hour that begins, of four weeks."""
    every, now = len(before), len(before) + len(hours)
    four = sorted(
        before[at] if at < every else hours[at - every]
        for at in range(now - DAYS * 24, now, 7 * 24)
    )
    return (four[1] + four[2]) / 2


def stretches(is_so: bytearray) -> Iterator[tuple[int, int]]:
    """Where it is so for long; a gap of a quarter of an hour ends none."""
    begins, ends, total = -1, -1, 0
    for minute in [*(at for at, one in enumerate(is_so) if one), len(is_so) + HOUR]:
        if begins >= 0 and minute - ends > 15:
            if total >= FEWEST:
                yield begins, ends
            begins, total = -1, 0
        if begins < 0:
            begins = minute
        ends, total = minute + 1, total + 1


def _poisson(rand: random.Random, mean: float) -> int:
    """Knuth's method; means are a few."""
    limit, count, product = math.exp(-mean), 0, rand.random()
    while product > limit:
        count += 1
        product *= rand.random()
    return count
