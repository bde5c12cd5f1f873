"""Small cities for the tests of alerts, and how they look when something is wrong."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

from titik_collector.alerts.alert import Alert, AlertEvent, AlertKey, AlertSubject, Kind
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


def router(name: str, site: str = "", **changes: object) -> LiveRouter:
    """One that is online at the site of its name, but for what is given."""
    fine = LiveRouter(name=name, site=site or name, state="online", since_ms=0, internet=True)
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


def read_back(book: AlertBook) -> AlertBook:
    """The same book, as a collector that starts again has it."""
    return book_of(
        looked_ms=book.looked_ms,
        alerts=book.alerts.values(),
        incidents=book.incidents.values(),
        notifications=book.notifications.values(),
        events=book.events,
        fault=book.fault,
        last_incident=book.last_incident,
        last_notification=book.last_notification,
    )


@dataclass
class Play:
    """Looks at one city again and again, and keeps what every look found."""

    settings: AlertSettings = SETTINGS
    desk: DeskFacts = field(default_factory=DeskFacts)
    book: AlertBook = field(default_factory=AlertBook)
    steps: list[AlertStep] = field(default_factory=list)

    def look(self, facts: LiveFacts) -> AlertStep:
        """One look."""
        step = evaluate(self.book, facts, self.desk, self.settings)
        self.book = step.book
        self.steps.append(step)
        return step

    def stay(
        self,
        from_ms: int,
        to_ms: int,
        routers: Sequence[LiveRouter],
        sites: Sequence[LiveSite] | None = None,
        every_ms: int = 5 * S,
        **server: object,
    ) -> None:
        """Looks from one moment up to before another, while nothing changes."""
        for at_ms in range(from_ms, to_ms, every_ms):
            self.look(city(at_ms, routers, sites, **server))

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


def key_of(kind: Kind, name: str) -> AlertKey:
    """Of a site, a router or the server, as the rule has it."""
    scope: dict[Kind, str] = {"site-offline": "site", "router-offline": "router"}
    return AlertKey(kind, AlertSubject(scope.get(kind, "router"), name))  # type: ignore[arg-type]
