"""Small cities for the tests of alerts, and how they look when something is wrong."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from zoneinfo import ZoneInfo

from titik_collector.alerts.alert import Alert, AlertEvent, Kind, Message, Notification, What
from titik_collector.alerts.alert_settings import AlertSettings, Route
from titik_collector.alerts.book import AlertBook, AlertStep, book_of
from titik_collector.alerts.desk_facts import DeskFacts
from titik_collector.alerts.evaluation import evaluate
from titik_collector.alerts.facts import LiveFacts, LiveRouter, LiveServer, LiveSite
from titik_wire.instant import from_text

ZONE = ZoneInfo("Asia/Makassar")
NOON_MS = from_text("2026-11-18T04:00:00.000Z")  # a Wednesday, 12:00 in the city
MIDNIGHT_MS = NOON_MS - 12 * 3_600_000
S, MIN, H = 1000, 60_000, 3_600_000
SETTINGS = AlertSettings(zone=ZONE, routes=(Route(("ops",)),))
SERVER = LiveServer(collector="kupang-1", connected=True, connected_since_ms=0)


def router(name: str, site: object = "", **changes: object) -> LiveRouter:
    """One that is online at the site of its name, but for what is given."""
    at_site = str(site or name)
    fine = LiveRouter(name=name, site=at_site, state="online", since_ms=0, internet=True)
    return replace(fine, **changes)  # type: ignore[arg-type]


def site(name: str, **changes: object) -> LiveSite:
    """One without opening hours, but for what is given."""
    return replace(LiveSite(name=name, title=name.title()), **changes)  # type: ignore[arg-type]


def city(
    at_ms: int,
    routers: Iterable[LiveRouter],
    sites: Iterable[LiveSite] | None = None,
    **server: object,
) -> LiveFacts:
    """The present of a city; without sites, each router has one of its own."""
    all_of_them = tuple(routers)
    names = dict.fromkeys(one.site for one in all_of_them)
    the_server = replace(SERVER, **server)  # type: ignore[arg-type]
    return LiveFacts(
        at_ms=at_ms,
        hears=the_server.connected and the_server.storing,
        routers=all_of_them,
        sites=tuple(sites) if sites is not None else tuple(site(name) for name in names),
        server=the_server,
        city="kupang",
        city_title="Kupang",
    )


class Line(NamedTuple):
    """A message that went out, in short."""

    minute: float  # after the play began
    receiver: str
    what: What
    name: str  # of its subject


@dataclass
class Play:
    """Looks at one city again and again, as a collector does, and keeps what goes out."""

    settings: AlertSettings = SETTINGS
    desk: DeskFacts = field(default_factory=DeskFacts)
    book: AlertBook = field(default_factory=AlertBook)
    restarts: bool = False  # read the book back before each look
    steps: list[AlertStep] = field(default_factory=list)
    outbox: dict[int, Notification] = field(default_factory=dict)
    began_ms: int | None = None

    def look(self, facts: LiveFacts) -> AlertStep:
        """One look, after which `titik notify` takes what is due."""
        if self.began_ms is None:
            self.began_ms = facts.at_ms
        book = read_back(self.book, self.outbox) if self.restarts else self.book
        step = evaluate(book, facts, self.desk, self.settings)
        for number in step.withdrawn:
            assert self.outbox.pop(number).due_ms >= facts.at_ms
        for one in step.notifications:
            assert one.number is not None
            old = self.outbox.get(one.number)
            assert old is None or old.due_ms >= facts.at_ms
            self.outbox[one.number] = one
        self.book = step.book
        self.steps.append(step)
        return step

    def stay(
        self,
        from_ms: int,
        to_ms: int,
        routers: Sequence[LiveRouter],
        sites: Sequence[LiveSite] | None = None,
        every_ms: int = 15 * S,
        **server: object,
    ) -> None:
        """Looks from one moment up to before another, while nothing changes."""
        for at_ms in range(from_ms, to_ms, every_ms):
            self.look(city(at_ms, routers, sites, **server))

    def inbox(self) -> list[Line]:
        """What went out until the last look; digests are left out."""
        began_ms, now_ms = self.began_ms or 0, self.book.looked_ms or 0
        return [
            Line((one.due_ms - began_ms) / MIN, one.receiver, *_short(one))
            for one in sorted(self.outbox.values(), key=lambda one: (one.due_ms, one.number))
            if one.due_ms <= now_ms and one.message.what != "digest"
        ]

    def messages(self, what: What) -> list[Message]:
        """All of one kind that went out."""
        now_ms = self.book.looked_ms or 0
        found = [one for one in self.outbox.values() if one.due_ms <= now_ms]
        return [one.message for one in found if one.message.what == what]

    def alert(self, kind: Kind, name: str) -> Alert | None:
        """How the alert about a router, a site or the server stands."""
        found = [
            one
            for key, one in self.book.alerts.items()
            if key.kind == kind and key.subject.name == name
        ]
        return found[0] if found else None

    def events(self) -> list[AlertEvent]:
        """All that happened to alerts."""
        return [one for step in self.steps for one in step.events]


def _short(one: Notification) -> tuple[What, str]:
    return one.message.what, one.message.subject.name


def read_back(book: AlertBook, outbox: Mapping[int, Notification]) -> AlertBook:
    """The same book, as a collector that starts again reads it from its rows."""
    return book_of(
        looked_ms=book.looked_ms,
        alerts=book.alerts.values(),
        incidents=book.incidents.values(),
        notifications=outbox.values(),
        events=book.events,
        fault=book.fault,
        last_incident=book.last_incident,
        last_notification=book.last_notification,
    )
