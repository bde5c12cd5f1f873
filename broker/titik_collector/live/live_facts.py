"""What the rules of alerts look at, gathered from what the collector knows of this moment.

Rule: only a live sample that came as it was taken counts. A backlog changes nothing here.
Rule: a figure of a router that is not online, or was not heard lately, is not known.
Rule: an outage counts from its beginning, not from when it was noticed.
Rule: what was before a start of the collector is read from the store, so that it goes on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, cast
from zoneinfo import ZoneInfo

from titik_collector.alerts.facts import LiveFacts, LiveRouter, LiveServer, LiveSite, State
from titik_collector.config.model import Config
from titik_collector.config.site_tables import Site
from titik_collector.limits import MAX_KNOWN_HOURS
from titik_collector.live import last_hour
from titik_collector.live.now import LiveState, Seen
from titik_collector.live.presence import SILENT_AFTER_MS, Presence
from titik_collector.live.quarter_hour import QuarterHour
from titik_collector.live.reach_rounds import ReachRounds, ReachState
from titik_collector.live.usual_clients import UsualClients
from titik_collector.registry.registry import Registry
from titik_collector.store import event_rows, outages
from titik_collector.store.database import Database
from titik_collector.store.outages import OutageNow
from titik_collector.store.presence_rows import PresenceRow
from titik_collector.store.registry_rows import PlacedRouter
from titik_collector.wording import opening_hours
from titik_collector.wording.opening_hours import OpeningHours
from titik_wire.instant import HOUR_MS, MINUTE_MS
from titik_wire.messages import Sample

LATE_CAUSE_MS = 2 * HOUR_MS  # what is known of an outage is looked at so long after its end
TOGETHER_MS = 10 * MINUTE_MS  # last samples of a site's routers, before it went away
LOOKS = 12  # in a minute
STEP = 50  # routers of one look whose losses are counted: some milliseconds

HOSTAPD = "hostapd"  # in `failed` of a sample
_NOT_KNOWN = ReachState(None)
_CLIENTS, _DOWN = 0, 4  # in `Seen.figures`


class HeardSample(NamedTuple):
    """A router's newest sample that came as it was taken."""

    sample: Sample
    at_ms: int  # when it came


@dataclass(slots=True)
class _KnownSite:
    """A site, and what is remembered of it."""

    site_id: int
    site: Site
    hours: OpeningHours | None
    clients: QuarterHour = field(default_factory=QuarterHour)
    down: QuarterHour = field(default_factory=QuarterHour)
    empty_ms: int | None = None  # since when it is online without a client
    is_recalled: bool = False  # what was before the start


@dataclass(slots=True)
class _Sums:
    """Of the routers of a site."""

    online: int = 0
    clients: int | None = None  # of those that are online
    most: int = 0  # at once since the sample before, of each
    unknown: int = 0  # routers that are online without a figure
    down_bps: int | None = None
    last: list[tuple[int, int]] = field(default_factory=list)  # when a sample came, and its clients


class LiveFactSource:
    """Remembers a quarter of an hour of each site, and a few minutes of each router."""

    def __init__(
        self,
        db: Database,
        config: Config,
        parts: tuple[Registry, Presence, LiveState],
        server: Callable[[int], LiveServer],
        hears_since: Callable[[], int | None],
    ) -> None:
        """`hears_since`: since when all that routers report is heard; None: it cannot hear."""
        self._db = db
        self._registry, self._presence, self._live = parts
        self._server = server
        self._hears_since = hears_since
        self._heard: dict[int, HeardSample] = {}
        self._rounds: dict[int, ReachRounds] = {}
        self._lost: dict[int, int] = {}
        self._lost_next: list[int] = []
        self._began_ms: int | None = None  # at the first look
        self._places: dict[str, _KnownSite] = {}
        self.place(config)

    def place(self, config: Config) -> None:
        """Take what routers and sites are from the configuration, and forget who is gone."""
        self._zone: ZoneInfo = config.city.timezone
        self._city = config.city
        ids = {name: site_id for site_id, name in self._registry.sites()}
        old = self._places
        self._places = {
            one.name: _placed(ids[one.name], one, old.get(one.name))
            for one in config.site
            if one.name in ids
        }
        self._usual = UsualClients(self._db, self._zone)
        there = {one.id for one in self._registry.routers()}
        self._heard = {one: heard for one, heard in self._heard.items() if one in there}
        self._rounds = {one: rounds for one, rounds in self._rounds.items() if one in there}
        self._lost = {one: lost for one, lost in self._lost.items() if one in there}

    def hear(self, router_id: int, sample: Sample, arrived_ms: int) -> None:
        """A live sample came as it was taken; unless a newer one was shown before."""
        if self._live.sample(router_id) is not sample:
            return
        self._heard[router_id] = HeardSample(sample, arrived_ms)
        if sample.reach is not None:
            self._rounds.setdefault(router_id, ReachRounds()).hear(sample, arrived_ms)

    def gather(self, now_ms: int) -> LiveFacts:
        """Everything, as it is now."""
        away = outages.lately(self._db, now_ms - LATE_CAUSE_MS)
        self._count_lost()
        self._recall_rounds(now_ms)
        self._presence.know(self._live.router_ids())
        sums: dict[str, _Sums] = {name: _Sums() for name in self._places}
        routers = [
            self._router(one, one.site, away.get(one.id), sums.get(one.site), now_ms)
            for one in self._registry.routers()
            if one.site is not None and not self._presence.is_revoked(one.id)
        ]
        ids = [one.site_id for one in self._places.values()]
        self._usual.look(ids, now_ms)
        self._recall(sums, now_ms)
        moment = datetime.fromtimestamp(now_ms // MINUTE_MS * 60, self._zone)
        sites = [
            self._site(place, sums[name], moment, now_ms) for name, place in self._places.items()
        ]
        return LiveFacts(
            at_ms=now_ms,
            hears=self._hears_since() is not None and self._live.hears,
            routers=tuple(routers),
            sites=tuple(sites),
            server=self._server(now_ms),
            city=self._city.name,
            city_title=self._city.title,
        )

    def _router(
        self,
        known: PlacedRouter,
        site: str,
        away: OutageNow | None,
        sums: _Sums | None,
        now_ms: int,
    ) -> LiveRouter:
        row = self._presence.state(known.id)
        is_online = row.state == "online"
        heard, seen = self._heard.get(known.id), self._live.seen(known.id)
        sample = _fresh(heard, seen, now_ms) if is_online else None
        clients = seen.figures[_CLIENTS] if sample is not None and seen is not None else None
        if sums is not None:
            _add(sums, is_online, sample, seen)
        rounds = self._rounds.get(known.id)
        is_tested = is_online and rounds is not None and rounds.is_recalled
        internet = rounds.internet(now_ms) if is_tested and rounds is not None else _NOT_KNOWN
        return LiveRouter(
            name=known.name,
            site=site,
            state=cast(State, row.state),
            since_ms=self._since_ms(row, away),
            cause=None if away is None or away.cause == "unknown" else away.cause,
            internet=internet.answers,
            internet_since_ms=internet.failing_ms,
            unreadable=None if sample is None else HOSTAPD in sample.agent.failed,
            temperature_c=None if sample is None or sample.host is None else sample.host.temp_c,
            lost=self._lost.get(known.id),
            clients=clients,
            in_doubt=self._presence.is_in_doubt(known.id, now_ms),
        )

    def _since_ms(self, row: PresenceRow, away: OutageNow | None) -> int:
        """Since when it is so; of what is away: since when it was not heard."""
        if row.state == "offline" and away is not None and away.to_ms is None:
            return min(away.from_ms, row.since_ms)
        if row.state == "silent" and row.heard_ms is not None:
            return min(row.since_ms, max(row.heard_ms, self._hears_since() or 0))
        return row.since_ms

    def _site(self, place: _KnownSite, sums: _Sums, moment: datetime, now_ms: int) -> LiveSite:
        site = place.site
        if place.is_recalled and site.capacity is not None:  # else nothing asks for the mean
            place.clients.add(sums.clients, now_ms)
        if place.is_recalled and site.uplink_mbps is not None:
            place.down.add(sums.down_bps, now_ms)
        return LiveSite(
            name=site.name,
            title=site.title,
            district=site.district,
            provider=site.provider,
            tier=site.tier,
            is_open=None if place.hours is None else _is_open(place.hours, moment),
            capacity=site.capacity,
            uplink_mbps=site.uplink_mbps,
            clients=sums.clients,
            clients_before=None if sums.online else _clients_before(sums.last),
            clients_mean=place.clients.mean(),
            uplink_down_bps=place.down.mean(),
            without_clients_ms=_without_clients_ms(place, sums, now_ms),
            usual_clients=self._usual.of(place.site_id),
        )

    def _recall(self, sums: Mapping[str, _Sums], now_ms: int) -> None:
        """What some places were in the last hour, once all of their routers report again."""
        if self._began_ms is None:
            self._began_ms = now_ms
        is_late = now_ms - self._began_ms > SILENT_AFTER_MS
        some = [
            place
            for name, place in self._places.items()
            if not place.is_recalled
            and sums[name].clients is not None
            and (is_late or not sums[name].unknown)
        ][: last_hour.STEP]
        if not some:
            return
        minutes = last_hour.of_sites(self._db, [one.site_id for one in some], now_ms)
        for place in some:
            place.is_recalled = True
            place.empty_ms = last_hour.empty_since_ms(minutes[place.site_id], now_ms)
            for one in minutes[place.site_id]:
                place.clients.add(one.clients_mean, one.start_ms, LOOKS)
                place.down.add(one.uplink_down_bps, one.start_ms, LOOKS)

    def _recall_rounds(self, now_ms: int) -> None:
        some = {id_: one for id_, one in self._rounds.items() if not one.is_recalled}
        if some:
            ids = list(some)[: last_hour.STEP]
            for id_, before in last_hour.rounds_of(self._db, ids, now_ms).items():
                some[id_].recall(before)

    def _count_lost(self) -> None:
        if not self._lost_next:
            self._lost_next = [one.id for one in self._registry.routers()]
        some, self._lost_next = self._lost_next[:STEP], self._lost_next[STEP:]
        self._lost |= event_rows.lost_of(self._db, some)


@lru_cache(maxsize=MAX_KNOWN_HOURS)
def _is_open(hours: OpeningHours, moment: datetime) -> bool:
    """Many sites have the same hours; `moment` is a whole minute."""
    return hours.is_open(moment)


def _placed(site_id: int, site: Site, old: _KnownSite | None) -> _KnownSite:
    """The site as it is described now, with what is remembered of it."""
    hours = None if site.hours is None else opening_hours.parse(site.hours)
    if old is None:
        return _KnownSite(site_id, site, hours)
    return replace(old, site_id=site_id, site=site, hours=hours)


def _fresh(heard: HeardSample | None, seen: Seen | None, now_ms: int) -> Sample | None:
    """The newest sample, if it came as it was taken, and lately."""
    if heard is None or seen is None or seen.sample is not heard.sample:
        return None
    return heard.sample if now_ms - heard.at_ms <= SILENT_AFTER_MS else None


def _add(sums: _Sums, is_online: bool, sample: Sample | None, seen: Seen | None) -> None:
    """A router's share of its site."""
    clients = None if seen is None else seen.figures[_CLIENTS]
    if seen is not None and clients is not None:
        sums.last.append((seen.at_ms, clients))
    if not is_online:
        return
    sums.online += 1
    if sample is None or seen is None or clients is None:
        sums.unknown += 1
        return
    sums.clients = (sums.clients or 0) + clients
    sums.most += max(clients, sample.clients_max or 0)
    down_bps = seen.figures[_DOWN]
    if down_bps is not None:
        sums.down_bps = (sums.down_bps or 0) + down_bps


def _clients_before(last: Sequence[tuple[int, int]]) -> int | None:
    """How many were there, by the last samples of routers that went together."""
    newest_ms = max((at_ms for at_ms, _ in last), default=0)
    together = [clients for at_ms, clients in last if newest_ms - at_ms <= TOGETHER_MS]
    return sum(together) if together else None


def _without_clients_ms(place: _KnownSite, sums: _Sums, now_ms: int) -> int | None:
    """For how long it is online with nobody; each of its routers is known meanwhile."""
    if sums.clients is None or sums.unknown or not place.is_recalled:
        place.empty_ms = None
        return None
    if sums.most:
        place.empty_ms = None
        return 0
    if place.empty_ms is None:
        place.empty_ms = now_ms
    return max(1, now_ms - place.empty_ms)
