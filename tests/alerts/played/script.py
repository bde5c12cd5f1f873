"""What happens in the world in a played night and a played month; never what Titik does about it.

Rule: times are of the city's zone, WITA. Things happen 20 seconds past a minute, so that no look
    of the collector every 5 seconds moves a message into another minute. Many places come back
    within the 30 seconds after that.
Rule: a router that goes away is `offline` since that instant, noticed 75 seconds later. Shorter
    outages are not noticed. It is `online` from its return; the cause is known 20 seconds after.
Rule: the clients of a place are 10 by night and by day, and 10 before it goes away.
Rule: other figures not named here are ordinary: known, and far from any threshold. No backups are
    configured, and no unknown router comes.
Rule: all channels work and take no time. While the server's line is cut, each try of a receiver
    that needs it fails at once.
Rule: before a play all has been well for four weeks, and no message waits.
Rule: noise is alone. Of noise one place goes away in any 5 minutes, and none near a listed event.

`python -m tests.alerts.played.script night 10` lists a play in order of time; `month 2000` too.

How an expected inbox is written
--------------------------------
One file per play: `expected_night_10.txt`, `expected_night_400.txt`, `expected_night_2000.txt`,
`expected_month_10.txt`, `expected_month_400.txt` and `expected_month_2000.txt`, beside this file.
One line per message, in order of time, then of receiver; columns are separated by blanks:

    DATE       TIME  RECEIVER WHAT     SEVERITY KIND         SUBJECT            PLACES  # WHY
    2026-11-27 19:12 siti     firing   critical site-offline site:taman-tirosa  1       # ...

- DATE and TIME: the minute in which the receiver has the message, in WITA.
- RECEIVER: a name of `RECEIVERS`. A rota is written as the person whose week it is.
- WHAT: `firing`, `update`, `repeat`, `escalation`, `resolved`, `flapping` or `digest`.
- SEVERITY: `critical`, `warning` or `info`; `-` of a digest.
- KIND: the rule that the incident is named after; `-` of a digest.
- SUBJECT: `SCOPE:NAME`: `router:tirosa-1`, `site:taman-tirosa`, `group:district:oebobo`,
  `group:provider:telkom`, `city:kupang`, `server:main`. A digest has `city:kupang`.
- PLACES: how many places the message says are or were away; `-` if it is not about places going
  away. Of a digest: how many things it lists.
- WHY: the rule that it follows from, in a few words, with the section where it stands. It may be
  left out where the line above has the same reason.

A line that begins with `#` is a remark. What follows from an unclear rule has `# unclear: ...`
with the reading that was chosen. A line changed after the first run has `# changed: REASON`.
Messages that one might expect and that do not come are worth a remark: `# nothing: ...`.

In the months of 400 and 2,000 routers, messages about noise that are not critical are counted
instead of listed, one line per day, receiver, what and severity, behind the messages of that day:

    2026-11-03 count helpdesk firing   warning 12

Digests are listed there too; PLACES then counts noise as everything else. The lines about noise
may be made by a small program beside the files. It may import this module, and nothing of Titik.

Pages are what wakes somebody: `firing`, `repeat` and `escalation` with `critical`, to a receiver
of the rota `oncall`. The shifts begin at 07:00, 15:00 and 23:00. In the month the last lines of a
file say how many pages the worst shift has: `# worst shift: 2026-11-03 07:00 siti 2`.
"""

import random
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Makassar")
Cause = Literal["power cut", "uplink lost", "reboot"]
Server = Literal["broker away", "store fails", "line cut", "copy runs"]
Figure = Literal["crowded", "uplink-full"]

CITY = "kupang"
COLLECTOR = "main"
SIZES = (10, 400, 2000)  # routers
SHIFTS = (time(7), time(15), time(23))


# --- People -----------------------------------------------------------------------------------


class Receiver(NamedTuple):
    """Somebody who gets messages."""

    name: str
    needs_line: bool  # false: by a modem of the server, which works without its own line


class WeeklyRota(NamedTuple):
    """One receiver a week, in turn, from Monday 00:00 on."""

    name: str
    receivers: tuple[str, ...]
    first_monday: date


class Way(NamedTuple):
    """A route: who gets messages of these severities and kinds; no kinds: all."""

    severities: tuple[str, ...]
    receivers: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    escalate: tuple[tuple[str, ...], ...] = ()  # step 2, step 3


RECEIVERS = (
    Receiver("siti", needs_line=True),  # technicians, by a phone that rings
    Receiver("yohanes", needs_line=True),
    Receiver("head", needs_line=True),  # of the department
    Receiver("director", needs_line=True),
    Receiver("helpdesk", needs_line=True),  # a mailbox
    Receiver("sysadmin", needs_line=False),  # by SMS through the server's modem
)
ROTA = WeeklyRota("oncall", ("siti", "yohanes"), date(2026, 10, 26))
OF_SERVER = (
    *("collector-down", "broker-down", "store-failing", "disk-low", "line-down", "copied-city"),
    *(
        "certificate-ending",
        "backup-missing",
        "backup-old",
        "backup-unverified",
        "delivery-failing",
    ),
)
ROUTES = (  # who is in several gets one message; no other routes, and no rule is overridden
    Way(("critical",), ("oncall",), escalate=(("head",), ("director",))),
    Way(("warning", "info"), ("helpdesk",)),
    Way(("critical", "warning"), ("sysadmin",), kinds=OF_SERVER),
)
QUIET = (time(22), time(6))
MORNING = time(7)
DIGEST = time(8)


# --- Places -----------------------------------------------------------------------------------


class Place(NamedTuple):
    """One place; `reach` is configured everywhere, capacity and uplink are 100 and 50 Mb/s."""

    name: str
    tier: int  # 1 is the most important
    district: str
    provider: str
    routers: tuple[str, ...]
    hours: str | None = None  # None: always open
    turns: tuple[time, ...] = ()  # when these hours begin or end


OFFICE = ("Mo-Fr 07:30-16:00; Sa,Su off", (time(7, 30), time(16)))
EVENING = ("16:00-02:00", (time(16), time(2)))

TEN = (  # 10 routers at 9 places
    Place("taman-nostalgia", 1, "oebobo", "telkom", ("nostalgia-1", "nostalgia-2")),
    Place("taman-tirosa", 2, "oebobo", "telkom", ("tirosa-1",)),
    Place("perumnas", 3, "oebobo", "telkom", ("perumnas-1",)),
    Place("podium-wali-kota", 1, "oebobo", "indosat", ("podium-1",)),
    Place("rsud-sk-lerik", 1, "oebobo", "indosat", ("lerik-1",)),
    Place("pantai-oesapa", 2, "kota-lama", "telkom", ("oesapa-1",)),
    Place("taman-fontein", 3, "kota-lama", "telkom", ("fontein-1",)),
    Place("kuliner-solor", 2, "kota-lama", "telkom", ("solor-1",), *EVENING),
    Place("kantor-camat", 3, "kota-lama", "indosat", ("camat-1",), *OFFICE),
)


def numbered(number: int) -> Place:
    """A place of the larger cities, by rule.

    - A district is 25 places in a row: `district-01` has 1 to 25.
    - Providers by the number's rest of 20: 0 to 11 telkom, 12 to 16 lintasarta, 17 to 19 indosat.
    - Tier 1 if its rest of 47 is 5, tier 2 if 5 divides it, otherwise tier 3.
    - An office if its rest of 10 is 7. Two routers if 19 divides it, otherwise one.
    """
    rest = number % 20
    return Place(
        f"place-{number:04}",
        1 if number % 47 == 5 else 2 if number % 5 == 0 else 3,
        f"district-{(number - 1) // 25 + 1:02}",
        "telkom" if rest < 12 else "lintasarta" if rest < 17 else "indosat",
        tuple(f"router-{number:04}-{one}" for one in range(1, 3 if number % 19 == 0 else 2)),
        *(OFFICE if number % 10 == 7 else ()),
    )


PLACES = {
    10: TEN,
    400: tuple(numbered(number) for number in range(1, 381)),
    2000: tuple(numbered(number) for number in range(1, 1901)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Which place plays which part; they have no noise in the larger cities."""

    hospital: str  # tier 1
    park_by_night: str  # back before the morning
    park_till_morning: str  # not back before the morning
    flaky: str  # its uplink flaps
    office: str  # closed at night and at weekends
    double: str  # two routers
    maintained: str
    overrun: str  # its work takes longer than planned
    offline_inside: str  # no internet behind its router
    full: str  # crowded, and its uplink full
    returning: str  # goes away again soon
    quarter: tuple[str, ...]  # without power in a cut, the first half at once: no battery
    late: str  # of the quarter too: its battery lasts an hour
    provider: str  # its backbone is cut
    unrelated: tuple[str, ...] = ()  # five places, each of another district


def place_names(*numbers: int) -> tuple[str, ...]:
    """Of the larger cities."""
    return tuple(f"place-{number:04}" for number in numbers)


LARGE = Cast(
    hospital="place-0005",
    park_by_night="place-0101",
    park_till_morning="place-0131",
    flaky="place-0149",
    office="place-0027",
    double="place-0019",
    maintained="place-0181",
    overrun="place-0201",
    offline_inside="place-0222",
    full="place-0229",
    returning="place-0211",
    quarter=place_names(*range(51, 57), *range(58, 67), *range(68, 71)),  # 18 of 25, no office
    late="place-0071",
    provider="lintasarta",  # 95 of 380 places, 475 of 1,900; none is an office
    unrelated=place_names(84, 113, 168, 261, 298),
)
CASTS = {
    10: Cast(
        hospital="rsud-sk-lerik",
        park_by_night="taman-fontein",
        park_till_morning="perumnas",
        flaky="pantai-oesapa",
        office="kantor-camat",
        double="taman-nostalgia",
        maintained="podium-wali-kota",
        overrun="taman-tirosa",
        offline_inside="taman-tirosa",
        full="podium-wali-kota",
        returning="taman-fontein",
        quarter=("taman-tirosa", "perumnas", "podium-wali-kota"),  # 3 of 5
        late="taman-nostalgia",
        provider="telkom",  # 6 of 9 places; kuliner-solor is one
    ),
    400: LARGE,
    2000: LARGE,
}


# --- What happens -----------------------------------------------------------------------------


class Away(NamedTuple):
    """A place, or one of its routers, is without power or line, or restarts."""

    begins: datetime
    ends: datetime | None  # None: not within the play
    place: str
    cause: Cause
    router: str | None = None  # None: all of the place
    is_noise: bool = False


class NoInternet(NamedTuple):
    """A router is online, and every `reach` round fails from begin to end."""

    begins: datetime
    ends: datetime
    place: str
    router: str | None = None  # None: all of the place


class High(NamedTuple):
    """The mean of 15 minutes is at 110 % of what is configured from begin to end, then at 60 %."""

    begins: datetime
    ends: datetime
    place: str
    kind: Figure


class Trouble(NamedTuple):
    """Something of the server.

    `broker away`: the broker is stopped, so that the collector and all routers lose it.
    `line cut`: all routers lose the broker; the collector does not, as both are on the server.
    The server tests its own line, and knows within 30 seconds that it is cut or back.
    After the end of both, the collector is connected within 5 seconds. The routers come back in
    order of their names, evenly from 30 to 270 seconds after the end.
    `copy runs`: a copy of the server with the same store was started and takes the broker over.
    All of it runs there, what sends messages too, with the same receivers.
    Our collector hears nothing until the copy is stopped, and is connected 5 seconds later. The
    routers stay connected to the broker all the time.
    `store fails`: nothing can be written, because the disk is full.
    """

    begins: datetime
    ends: datetime
    what: Server


class DiskFree(NamedTuple):
    """From this instant on this share of the disk of 100 GB is free."""

    begins: datetime
    ratio: float


class Work(NamedTuple):
    """Maintenance, entered by somebody for a stretch to come."""

    entered: datetime
    begins: datetime
    ends: datetime
    place: str
    actor: str


class Silenced(NamedTuple):
    """A silence for `site-offline` of a place, entered when it begins."""

    begins: datetime
    ends: datetime
    place: str
    actor: str


class Acknowledged(NamedTuple):
    """Somebody acknowledges the incident that this place is in."""

    begins: datetime
    place: str
    actor: str


Event = Away | NoInternet | High | Trouble | DiskFree | Work | Silenced | Acknowledged


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """A city, and what happens in it; what is not listed is as it should be."""

    name: Literal["night", "month"]
    size: int
    begins: datetime
    ends: datetime
    places: tuple[Place, ...]
    events: tuple[Event, ...]  # in order of time


def clock(day: date, text: str) -> datetime:
    """`19:34` of that day, and 20 seconds."""
    return datetime.combine(day, time.fromisoformat(text), ZONE) + timedelta(seconds=20)


class Day(NamedTuple):
    """Makes what happens within one day, between two clock times."""

    day: date

    def at(self, text: str) -> datetime:
        """`19:34`, and 20 seconds."""
        return clock(self.day, text)

    def away(self, begins: str, ends: str, place: str, cause: Cause) -> Away:
        """A whole place."""
        return Away(self.at(begins), self.at(ends), place, cause)

    def trouble(self, begins: str, ends: str, what: Server) -> Trouble:
        """Of the server."""
        return Trouble(self.at(begins), self.at(ends), what)

    def flapping(self, begins: str, place: str) -> Iterator[Away]:
        """Four times away for 6 minutes and back for 3, then away for 26 without a break."""
        for turn in range(5):
            start = self.at(begins) + timedelta(minutes=9 * turn)
            end = start + timedelta(minutes=26 if turn == 4 else 6)
            yield Away(start, end, place, "uplink lost")

    def power_cut(self, begins: str, ends: str, cast: Cast) -> Iterator[Away]:
        """A quarter whose batteries die one by one.

        The first half goes at once, and every other place 2 minutes after the one before. The
        three of the small city go a minute after each other. `late` goes after 62 minutes. All
        are back at the end, within 30 seconds.
        """
        start, end = self.at(begins), self.at(ends)
        half = len(cast.quarter) // 2 if len(cast.quarter) > 3 else 1
        step = timedelta(minutes=2 if len(cast.quarter) > 3 else 1)
        for index, place in enumerate(cast.quarter):
            fell = start + step * max(0, index - half + 1)
            back = end + timedelta(seconds=30 * index // len(cast.quarter))
            yield Away(fell, back, place, "power cut")
        yield Away(start + timedelta(minutes=62), end, cast.late, "power cut")

    def backbone_cut(self, begins: str, ends: str, size: int) -> Iterator[Away]:
        """All places of a provider go at the same instant; they are back within 30 seconds."""
        ours = [one.name for one in PLACES[size] if one.provider == CASTS[size].provider]
        for index, place in enumerate(ours):
            back = self.at(ends) + timedelta(seconds=30 * index // len(ours))
            yield Away(self.at(begins), back, place, "uplink lost")


def night(size: int) -> Play:
    """Friday evening to Saturday noon; all that can happen happens in one night.

    Nobody acknowledges anything but what is listed.
    """
    cast = CASTS[size]
    friday, saturday = Day(date(2026, 11, 27)), Day(date(2026, 11, 28))
    double = next(one for one in PLACES[size] if one.name == cast.double)
    events: list[Event] = [
        DiskFree(friday.at("18:00"), 0.42),
        friday.away("18:04", "18:07", cast.hospital, "reboot"),
        *friday.flapping("18:10", cast.flaky),
        High(friday.at("18:30"), friday.at("19:05"), cast.full, "crowded"),
        *friday.power_cut("19:20", "20:36", cast),
        Acknowledged(friday.at("19:36"), cast.quarter[0], "siti"),
        *friday.backbone_cut("21:30", "22:47", size),
        Work(friday.at("15:00"), friday.at("22:50"), saturday.at("00:30"), cast.maintained, "head"),
        friday.away("22:55", "23:20", cast.maintained, "power cut"),
        Away(friday.at("23:40"), saturday.at("00:28"), cast.park_by_night, "power cut"),
        Away(saturday.at("00:10"), saturday.at("10:40"), cast.office, "power cut"),
        Trouble(saturday.at("00:40"), saturday.at("00:41"), "broker away"),
        saturday.trouble("01:20", "01:52", "copy runs"),
        saturday.away("02:05", "02:51", cast.hospital, "power cut"),
        Acknowledged(saturday.at("02:20"), cast.hospital, "siti"),
        saturday.away("02:31", "09:10", cast.park_till_morning, "uplink lost"),
        saturday.away("03:07", "03:31", cast.hospital, "power cut"),
        Work(friday.at("15:05"), saturday.at("03:30"), saturday.at("04:30"), cast.overrun, "head"),
        saturday.away("03:40", "05:10", cast.overrun, "power cut"),
        DiskFree(saturday.at("04:12"), 0.08),
        saturday.trouble("04:40", "05:05", "store fails"),
        DiskFree(saturday.at("05:05"), 0.40),
        saturday.trouble("05:40", "06:12", "line cut"),
        saturday.away("06:50", "06:53", cast.park_by_night, "reboot"),
        NoInternet(saturday.at("07:30"), saturday.at("07:58"), cast.offline_inside),
        Silenced(saturday.at("08:30"), saturday.at("10:30"), cast.flaky, "siti"),
        saturday.away("08:50", "09:20", cast.flaky, "uplink lost"),
        Away(saturday.at("09:35"), saturday.at("10:05"), double.name, "reboot", double.routers[0]),
        Silenced(saturday.at("10:32"), saturday.at("11:00"), cast.flaky, "siti"),
        saturday.away("10:40", "11:25", cast.flaky, "uplink lost"),
    ]
    return Play(
        name="night",
        size=size,
        begins=friday.at("18:00"),
        ends=saturday.at("12:00"),
        places=PLACES[size],
        events=tuple(sorted(events, key=lambda event: event.begins)),
    )


def listed(size: int) -> list[Event]:
    """The events of the month that are no noise."""
    cast = CASTS[size]
    double = next(one for one in PLACES[size] if one.name == cast.double)
    day = [Day(date(2026, 10, 31) + timedelta(days=number)) for number in range(32)]
    works = [
        Work(day[2].at("10:00"), day[friday].at("01:00"), day[friday].at("03:00"), place, "head")
        for friday, place in ((6, cast.maintained), (13, cast.maintained), (20, cast.overrun))
    ]
    return [
        DiskFree(day[1].at("00:00"), 0.42),
        *day[3].backbone_cut("17:14", "18:02", size),
        day[4].trouble("02:10", "02:11", "broker away"),
        *works,
        day[6].away("01:20", "02:10", cast.maintained, "reboot"),
        day[13].away("01:20", "01:50", cast.maintained, "reboot"),
        day[20].away("01:20", "03:25", cast.overrun, "reboot"),
        *day[8].power_cut("18:40", "20:05", cast),
        *day[10].flapping("13:10", cast.flaky),
        DiskFree(day[12].at("15:20"), 0.08),
        DiskFree(day[12].at("16:50"), 0.41),
        day[13].trouble("23:10", "23:42", "line cut"),
        day[15].away("01:15", "02:05", cast.hospital, "power cut"),
        day[15].away("02:22", "02:40", cast.hospital, "power cut"),
        day[16].away("05:10", "09:05", cast.office, "power cut"),
        day[17].trouble("14:05", "14:50", "copy runs"),
        Silenced(day[18].at("08:30"), day[18].at("20:00"), cast.flaky, "yohanes"),
        day[18].away("09:10", "09:45", cast.flaky, "uplink lost"),
        day[18].away("15:00", "15:32", cast.flaky, "uplink lost"),
        NoInternet(day[19].at("11:00"), day[19].at("11:41"), cast.offline_inside),
        NoInternet(day[19].at("13:00"), day[19].at("13:30"), double.name, double.routers[0]),
        High(day[21].at("16:00"), day[21].at("17:30"), cast.full, "crowded"),
        High(day[21].at("19:00"), day[21].at("20:10"), cast.full, "uplink-full"),
        day[22].trouble("16:00", "16:07", "broker away"),
        Away(day[23].at("10:00"), day[23].at("14:20"), double.name, "reboot", double.routers[0]),
        *day[24].power_cut("01:40", "03:20", cast),
        day[25].away("10:00", "10:20", cast.returning, "uplink lost"),
        day[25].away("10:38", "10:55", cast.returning, "uplink lost"),
        day[25].away("11:50", "12:10", cast.returning, "uplink lost"),
        # Five at once by chance for 100 s, and four at once for 12 minutes; not at ten routers.
        *(
            Away(
                day[26].at("14:00") + timedelta(seconds=20 * index),
                day[26].at("14:01") + timedelta(seconds=20 * index + 40),
                place,
                "reboot",
            )
            for index, place in enumerate(cast.unrelated)
        ),
        *(day[26].away("15:00", "15:12", one, "power cut") for one in cast.unrelated[:4]),
        Away(day[28].at("11:00"), day[30].at("16:00"), cast.park_till_morning, "uplink lost"),
    ]


# --- Noise ------------------------------------------------------------------------------------

SEED = 5371  # of the noise: the number of the city of Kupang
SLOT = timedelta(minutes=5)  # of noise one place goes away in each, at its begin
BEFORE, AFTER = timedelta(minutes=45), timedelta(minutes=90)  # around listed events
TURNS = (time(6), time(7), time(8), time(22))  # no long noise begins or ends just before them
APART = timedelta(hours=2)  # between a long outage and what else happens at its place
LONG_RATE = {1: 0.5, 2: 1.0, 3: 1.0}  # long outages of a place a month, by tier
REBOOT_RATE = 1.0  # reboots of a place a month
FLAKY_SHARE, FLAKY_A_DAY = 0.01, 4  # of all places, at least one; their short outages
DOUBLE_RATE = 0.5  # long outages of the first of two routers a month


class Chance(NamedTuple):
    """A wish for one piece of noise; when it happens is drawn."""

    place: Place
    is_long: bool
    is_router: bool
    cause: Cause


def parts_of(cast: Cast) -> Iterator[str]:
    """Every place that plays a part; places of the provider that is cut have noise."""
    yield from (cast.hospital, cast.park_by_night, cast.park_till_morning, cast.flaky, cast.office)
    yield from (cast.double, cast.maintained, cast.overrun, cast.offline_inside, cast.full)
    yield from (cast.returning, *cast.quarter, cast.late, *cast.unrelated)


def chances(size: int) -> list[Chance]:
    """How much happens at which place in a month; the rest of a rate is drawn."""
    draw = random.Random(SEED)
    cast = CASTS[size]
    parts = set(parts_of(cast)) if size > 10 else set()
    usual = [one for one in PLACES[size] if one.name not in parts]
    flaky = usual[:: max(1, round(1 / FLAKY_SHARE))] if size > 10 else [PLACES[size][5]]
    wishes: list[Chance] = []
    for place in usual:
        if draw.random() < LONG_RATE[place.tier]:
            cause: Cause = "power cut" if draw.random() < 0.6 else "uplink lost"
            wishes.append(Chance(place, True, False, cause))
        if draw.random() < REBOOT_RATE:
            wishes.append(Chance(place, False, False, "reboot"))
        if len(place.routers) > 1 and draw.random() < DOUBLE_RATE:
            wishes.append(Chance(place, True, True, "reboot"))
    for place in flaky:
        wishes += [Chance(place, False, False, "uplink lost")] * (30 * FLAKY_A_DAY)
    return wishes


class Stretch(NamedTuple):
    """From one instant to another."""

    begins: datetime
    ends: datetime

    def meets(self, other: "Stretch") -> bool:
        """Whether they have an instant in common."""
        return self.begins < other.ends and other.begins < self.ends


def kept_free(events: list[Event]) -> list[Stretch]:
    """Around each listed event; of one longer than 11 hours, around its begin and its end."""
    found = []
    for event in events:
        end = event.begins
        if not isinstance(event, Acknowledged | DiskFree) and event.ends is not None:
            end = event.ends
        if end - event.begins > timedelta(hours=11):
            found.append(Stretch(event.begins - BEFORE, event.begins + AFTER))
            found.append(Stretch(end - BEFORE, end + AFTER))
        else:
            found.append(Stretch(event.begins - BEFORE, end + AFTER))
    return sorted(set(found))


def turns_near(moment: datetime, place: Place) -> bool:
    """Whether it is less than 20 minutes before, or 5 after, a time at which rules change."""
    minute = moment.hour * 60 + moment.minute
    turns = [turn.hour * 60 + turn.minute for turn in (*TURNS, *place.turns)]
    return any(-20 <= minute - turn <= 5 for turn in turns)


def spans_turn(stretch: Stretch, place: Place) -> bool:
    """Whether the place opens or closes, on some day, within it."""
    day = stretch.begins.date() - timedelta(days=1)
    moments = [
        datetime.combine(day + timedelta(days=number), turn, ZONE)
        for number in range(3)
        for turn in place.turns
    ]
    return any(stretch.begins <= moment <= stretch.ends for moment in moments)


def suits(stretch: Stretch, wish: Chance, others: list[tuple[Stretch, bool]]) -> bool:
    """Whether it may happen then, beside what else happens at its place: (when, is it long)."""
    wide = Stretch(stretch.begins - APART, stretch.ends + APART)
    if any((wide if wish.is_long or is_long else stretch).meets(one) for one, is_long in others):
        return False
    return not wish.is_long or not (
        turns_near(stretch.begins, wish.place)
        or turns_near(stretch.ends, wish.place)
        or spans_turn(stretch, wish.place)
    )


def noise(size: int, events: list[Event]) -> list[Away]:
    """What happens every day: short reboots, short outages of bad uplinks, longer outages.

    Short: 80 to 220 seconds. Long: 7 to 240 minutes, half of them below 25.
    """
    draw = random.Random(SEED + size)
    first = datetime(2026, 11, 1, 0, 0, 20, tzinfo=ZONE)
    every = [first + SLOT * number for number in range(12, 30 * 288 - 60)]
    free = kept_free(events)
    open_slots = [slot for slot in every if not any(one.begins <= slot < one.ends for one in free)]
    draw.shuffle(open_slots)
    slots = deque(open_slots)
    busy: dict[str, list[tuple[Stretch, bool]]] = {}
    found: list[Away] = []
    for wish in sorted(chances(size), key=lambda one: not one.is_long):
        minutes = min(240, max(7, round(25 * 2 ** draw.gauss(0, 1.3))))
        if wish.is_router:
            minutes = max(20, minutes)
        lasts = (
            timedelta(minutes=minutes)
            if wish.is_long
            else timedelta(seconds=80 + 20 * draw.randrange(8))
        )
        for _ in range(len(slots)):
            slot = slots.popleft()
            stretch = Stretch(slot, slot + lasts)
            mine = busy.setdefault(wish.place.name, [])
            if suits(stretch, wish, mine) and not any(stretch.meets(one) for one in free):
                mine.append((stretch, wish.is_long))
                router = wish.place.routers[0] if wish.is_router else None
                found.append(Away(*stretch, wish.place.name, wish.cause, router, True))
                break
            slots.append(slot)  # for another place
    return found


def month(size: int) -> Play:
    """November 2026, until the digest of 1 December.

    Whoever is on call acknowledges the incident of each critical message that came to them (but a
    `resolved`), 10 minutes after it came, if no `resolved` came by then. Nobody else does.
    """
    events = listed(size)
    return Play(
        name="month",
        size=size,
        begins=datetime(2026, 11, 1, tzinfo=ZONE),
        ends=datetime(2026, 12, 1, 8, 30, tzinfo=ZONE),
        places=PLACES[size],
        events=tuple(sorted([*events, *noise(size, events)], key=lambda event: event.begins)),
    )


def line(event: Event) -> str:
    """An event as one line."""
    shown = []
    for name, value in event._asdict().items():
        if name != "begins" and value is not None and value is not False:
            text = f"{value:%d %H:%M:%S}" if isinstance(value, datetime) else value
            shown.append(f"{name}={text}")
    return f"{event.begins:%a %d %H:%M:%S} {type(event).__name__:10} {' '.join(shown)}"


if __name__ == "__main__":
    chosen = {"night": night, "month": month}[sys.argv[1]](int(sys.argv[2]))
    print("\n".join(line(event) for event in chosen.events))
