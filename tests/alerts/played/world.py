"""A play as the collector sees it: the live facts, and each moment at which one of them changes.

Rule: facts follow the docstring of the script, and where it is silent the collector's own code.
Rule: what is away is `offline` since it went, and seen so 75 seconds later; shorter is not seen.
Rule: a router whose broker was stopped is in doubt until it is back. One whose server had no line
    is away as any other, because the broker noticed it.
Rule: the server knows of its line, or its copy, as late as the script allows.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from tests.alerts.played.script import (
    CITY,
    COLLECTOR,
    ZONE,
    Away,
    DiskFree,
    High,
    NoInternet,
    Place,
    Play,
    Trouble,
)
from titik_collector.alerts.facts import LiveFacts, LiveRouter, LiveServer, LiveSite
from titik_collector.wording import opening_hours

NOTICED_MS, CAUSE_MS = 75_000, 20_000
CONNECTED_MS = 5000  # after the broker is back
FIRST_BACK_MS, LAST_BACK_MS = 30_000, 270_000  # routers, after the broker or the line is back
LINE_KNOWN_MS = 30_000
REACH_MS = 300_000  # so long each round must have failed
BEFORE_MS = 28 * 86_400_000  # so long all has been well
DISK_BYTES = 100 * 10**9
CAPACITY, LINE_MBPS, CLIENTS = 100, 50.0, 10
HIGH, USUAL = 1.1, 0.6
ALL_BACK = timedelta(milliseconds=LAST_BACK_MS)


class RouterIs(NamedTuple):
    """From this moment on a router is like this."""

    at_ms: int
    number: int  # in the list
    now: LiveRouter


class SiteIs(NamedTuple):
    """From this moment on a place is like this."""

    at_ms: int
    number: int  # in the list
    now: LiveSite


class ServerIs(NamedTuple):
    """From this moment on the server is like this."""

    at_ms: int
    now: LiveServer


Change = RouterIs | SiteIs | ServerIs
OfPlace = Away | NoInternet | High


def ms(moment: datetime) -> int:
    """Since 1970."""
    return round(moment.timestamp() * 1000)


class World:
    """Goes forward through a play."""

    def __init__(self, play: Play) -> None:
        self._routers: list[LiveRouter] = []
        self._sites: list[LiveSite] = []
        changes: list[Change] = list(_server(play))
        names = sorted(name for place in play.places for name in place.routers)
        back = _Back(play, {name: number for number, name in enumerate(names)})
        events = _by_place(play)
        for place in play.places:
            changes += self._add_place(place, play, events.get(place.name, []), back)
        began_ms = ms(play.begins)
        self._changes = sorted(changes, key=lambda one: one.at_ms)
        self._next = 0
        self._server = LiveServer(
            collector=COLLECTOR, connected=True, connected_since_ms=began_ms - BEFORE_MS
        )
        self.moments = sorted({one.at_ms for one in changes if one.at_ms >= began_ms})

    def at(self, at_ms: int) -> LiveFacts:
        """The facts of a moment that is not before the last one that was asked for."""
        while self._next < len(self._changes) and self._changes[self._next].at_ms <= at_ms:
            change = self._changes[self._next]
            self._next += 1
            if isinstance(change, RouterIs):
                self._routers[change.number] = change.now
            elif isinstance(change, SiteIs):
                self._sites[change.number] = change.now
            else:
                self._server = change.now
        return LiveFacts(
            at_ms=at_ms,
            hears=self._server.connected and self._server.storing,
            routers=tuple(self._routers),
            sites=tuple(self._sites),
            server=self._server,
            city=CITY,
            city_title=CITY.title(),
        )

    def _add_place(
        self, place: Place, play: Play, events: Sequence[OfPlace], back: "_Back"
    ) -> Iterator[Change]:
        since_ms = ms(play.begins) - BEFORE_MS
        for name in place.routers:
            router = LiveRouter(
                name=name,
                site=place.name,
                state="online",
                since_ms=since_ms,
                internet=True,
                unreadable=False,
                temperature_c=50.0,
                lost=0,
                clients=CLIENTS // len(place.routers),
            )
            self._routers.append(router)
            yield from _router(len(self._routers) - 1, router, events, back)
        site = LiveSite(
            name=place.name,
            title=place.name,
            district=place.district,
            provider=place.provider,
            tier=place.tier,
            is_open=None,
            capacity=CAPACITY,
            uplink_mbps=LINE_MBPS,
            clients=CLIENTS,
            clients_before=CLIENTS,
            clients_mean=float(CLIENTS),
            uplink_down_bps=1e6,
            without_clients_ms=0,
            usual_clients=float(CLIENTS),
        )
        self._sites.append(site)
        yield from _site(len(self._sites) - 1, site, place, play, events)


def _by_place(play: Play) -> dict[str, list[OfPlace]]:
    found: dict[str, list[OfPlace]] = {}
    for one in play.events:
        if isinstance(one, OfPlace):
            found.setdefault(one.place, []).append(one)
    return found


# --- Routers ----------------------------------------------------------------------------------


class _Back:
    """When each router is back after a trouble of the server: in order of names, evenly."""

    def __init__(self, play: Play, order: dict[str, int]) -> None:
        self.troubles = [
            one
            for one in play.events
            if isinstance(one, Trouble) and one.what in ("broker away", "line cut")
        ]
        self._order = order

    def ms(self, trouble: Trouble, router: str) -> int:
        """Of one of them."""
        share = self._order[router] / max(1, len(self._order) - 1)
        return ms(trouble.ends) + round(FIRST_BACK_MS + (LAST_BACK_MS - FIRST_BACK_MS) * share)


def _router(
    number: int, router: LiveRouter, events: Sequence[OfPlace], back: _Back
) -> Iterator[RouterIs]:
    """What happens to one, in order of time; its troubles do not overlap."""
    aways = [one for one in events if isinstance(one, Away) and one.router in (None, router.name)]
    found = [change for one in aways for change in _away(router, one)]
    for trouble in back.troubles:
        spans = [one for one in aways if _meets(one, trouble)]
        if not spans:
            found += _lost(router, trouble, back.ms(trouble, router.name))
        elif any(not _outlasts(one, trouble) for one in spans):
            raise ValueError(f"{router.name} goes away or comes back while {trouble.what}")
    for cut in events:
        if isinstance(cut, NoInternet) and cut.router in (None, router.name):
            failing_ms = ms(cut.begins)
            failed = replace(router, internet=False, internet_since_ms=failing_ms)
            found += [(failing_ms + REACH_MS, failed), (ms(cut.ends), router)]
    for at_ms, now in sorted(found, key=lambda one: one[0]):
        yield RouterIs(at_ms, number, now)


def _away(router: LiveRouter, away: Away) -> Iterator[tuple[int, LiveRouter]]:
    begins_ms = ms(away.begins)
    gone = _offline(router, begins_ms)
    if away.ends is None:
        yield begins_ms + NOTICED_MS, gone
    elif ms(away.ends) > begins_ms + NOTICED_MS:
        yield begins_ms + NOTICED_MS, gone
        ends_ms = ms(away.ends)
        yield ends_ms, replace(router, since_ms=ends_ms)
        yield ends_ms + CAUSE_MS, replace(router, since_ms=ends_ms, cause=away.cause)


def _lost(router: LiveRouter, trouble: Trouble, back_ms: int) -> Iterator[tuple[int, LiveRouter]]:
    """By no fault of its own."""
    begins_ms = ms(trouble.begins)
    if trouble.what == "line cut":
        yield begins_ms + NOTICED_MS, _offline(router, begins_ms)
    else:
        yield begins_ms, replace(router, in_doubt=True)
    yield back_ms, replace(router, since_ms=back_ms)


def _offline(router: LiveRouter, since_ms: int) -> LiveRouter:
    return replace(
        router,
        state="offline",
        since_ms=since_ms,
        internet=None,
        unreadable=None,
        temperature_c=None,
        clients=None,
    )


def _meets(away: Away, trouble: Trouble) -> bool:
    """Whether it has an instant of the trouble, or of the coming back after it."""
    ends = away.ends
    return away.begins < trouble.ends + ALL_BACK and (ends is None or ends > trouble.begins)


def _outlasts(away: Away, trouble: Trouble) -> bool:
    ends = away.ends
    return away.begins < trouble.begins and (ends is None or ends > trouble.ends + ALL_BACK)


# --- Places and the server --------------------------------------------------------------------


def _site(
    number: int, site: LiveSite, place: Place, play: Play, events: Sequence[OfPlace]
) -> Iterator[SiteIs]:
    """Opens, closes, and has too many clients or a full line."""
    edges: set[int] = {ms(play.begins)} if place.hours else set()
    highs = [one for one in events if isinstance(one, High)]
    for high in highs:
        edges |= {ms(high.begins), ms(high.ends)}
    if place.hours:
        edges |= set(_turns(place, play))
    hours = opening_hours.parse(place.hours) if place.hours else None
    for at_ms in sorted(edges):
        moment = datetime.fromtimestamp(at_ms / 1000, ZONE)
        now = replace(site, is_open=None if hours is None else hours.is_open(moment))
        for high in highs:
            now = _as_high(now, high, at_ms)
        yield SiteIs(at_ms, number, now)


def _as_high(site: LiveSite, high: High, at_ms: int) -> LiveSite:
    if at_ms < ms(high.begins):
        return site
    share = HIGH if at_ms < ms(high.ends) else USUAL
    if high.kind == "crowded":
        return replace(site, clients_mean=share * CAPACITY)
    return replace(site, uplink_down_bps=share * LINE_MBPS * 1e6)


def _turns(place: Place, play: Play) -> Iterator[int]:
    day = play.begins.date()
    while day <= play.ends.date():
        for turn in place.turns:
            yield ms(datetime.combine(day, turn, ZONE))
        day += timedelta(days=1)


def _server(play: Play) -> Iterator[ServerIs]:
    """Each change on top of those before it."""
    server = LiveServer(
        collector=COLLECTOR, connected=True, connected_since_ms=ms(play.begins) - BEFORE_MS
    )
    edges: list[tuple[int, Trouble | DiskFree, bool]] = []
    for one in play.events:
        if isinstance(one, DiskFree):
            edges.append((ms(one.begins), one, True))
        elif isinstance(one, Trouble):
            late_ms = LINE_KNOWN_MS if one.what == "line cut" else 0
            after_ms = CONNECTED_MS if one.what in ("broker away", "copy runs") else late_ms
            edges.append((ms(one.begins) + late_ms, one, True))
            edges.append((ms(one.ends) + after_ms, one, False))
    for at_ms, edge, begins in sorted(edges, key=lambda found: found[0]):
        if isinstance(edge, DiskFree):
            free = round(edge.ratio * DISK_BYTES)
            server = replace(server, disk_free_ratio=edge.ratio, disk_free_bytes=free)
        else:
            server = _in_trouble(server, edge, at_ms, begins=begins)
        yield ServerIs(at_ms, server)


def _in_trouble(server: LiveServer, one: Trouble, at_ms: int, *, begins: bool) -> LiveServer:
    begins_ms = ms(one.begins)
    if one.what == "line cut":
        return replace(server, line_down_since_ms=begins_ms if begins else None)
    if one.what == "store fails":
        return replace(server, storing=not begins, store_failed_ms=begins_ms if begins else None)
    return replace(
        server,
        connected=not begins,
        connected_since_ms=None if begins else at_ms,
        disconnected_since_ms=begins_ms if begins else None,
        is_copy=begins and one.what == "copy runs",
    )


def troubles(play: Play, what: str) -> Iterable[Trouble]:
    """Those of one kind."""
    return [one for one in play.events if isinstance(one, Trouble) and one.what == what]
