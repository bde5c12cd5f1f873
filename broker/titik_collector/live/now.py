"""This moment: what each router, site and the city look like, for the `now` topics.

Rule: a router that is not online has no figures, instead of keeping its last ones.
Rule: a sum over routers counts those that are online and says how many they are. It is kept as
they change, never computed from all of them: five times a second, of 10,000 routers.
Rule: the newest boot is the present, whatever the clocks of its boots say.
Rule: whatever a router claims, a figure stays within the contract; or one router silences all.
"""

from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, cast

from titik_collector.figures.rates import WIRE_BPS
from titik_collector.limits import MAX_BEHIND_MS, MAX_CLIENTS
from titik_collector.live.presence import Presence
from titik_collector.registry.registry import Registry
from titik_collector.store import kept_messages
from titik_collector.store.database import Database
from titik_collector.store.kept_messages import Decode
from titik_wire.city_messages import Now
from titik_wire.limits import MAX_WHOLE
from titik_wire.messages import Host, Reach, Sample

Figures = tuple[int | None, int | None, int | None, int | None, int | None, int | None]
NOTHING: Figures = (None, None, None, None, None, None)


@dataclass(frozen=True, slots=True)
class Seen:
    """A router's newest live sample and what it means."""

    sample: Sample
    at_ms: int
    figures: Figures  # clients, active, wifi down, wifi up, uplink down, uplink up (bit/s)


class Share(NamedTuple):
    """What one router adds to a sum: figures and a time only while it is online and was seen."""

    state: str
    figures: Figures = NOTHING
    at_ms: int | None = None
    sample: Sample | None = None  # that they are of


class LiveTotals:
    """The shares of a site's or the city's routers, added up."""

    def __init__(self) -> None:
        self._shares: dict[int, Share] = {}
        self._states: Counter[str] = Counter()
        self._totals = [0] * len(NOTHING)
        self._known = [0] * len(NOTHING)  # how many shares have the figure
        self._offloading = 0  # how many shares may have rates that are too low
        self._at_ms: int | None = None  # the newest share's
        self._has_lost_newest = False

    def put(self, router_id: int, share: Share) -> None:
        """A router's share, new or instead of the one before."""
        old = self._shares.get(router_id)
        if old is not None:
            self._add(old, -1)
            self._has_lost_newest |= old.at_ms is not None and old.at_ms == self._at_ms
        self._shares[router_id] = share
        self._add(share, 1)
        if share.at_ms is not None and (self._at_ms is None or share.at_ms >= self._at_ms):
            self._at_ms, self._has_lost_newest = share.at_ms, False

    def now(self, scope: Literal["router", "site", "city"], name: str, now_ms: int) -> Now:
        """As a message."""
        newest_ms = self._newest_ms()
        at_ms = now_ms if newest_ms is None else newest_ms
        return Now(
            scope,
            name,
            cast(Literal["online", "silent", "offline", "unknown"], self._best_state()),
            at_ms,
            max(0, now_ms - at_ms),
            self._states["online"],
            len(self._shares),
            *self._figures(),
            flow_offload=self._offloading > 0 or None,
        )

    def _newest_ms(self) -> int | None:
        if self._has_lost_newest:
            times = [one.at_ms for one in self._shares.values() if one.at_ms is not None]
            self._at_ms, self._has_lost_newest = max(times, default=None), False
        return self._at_ms

    def _figures(self) -> Figures:
        pairs = zip(self._totals, self._known, strict=True)
        figures = [min(total, MAX_WHOLE) if known else None for total, known in pairs]
        return cast(Figures, tuple(figures))

    def _best_state(self) -> str:
        states = ("online", "silent", "offline")
        return next((state for state in states if self._states[state]), "unknown")

    def _add(self, share: Share, sign: int) -> None:
        self._states[share.state] += sign
        self._offloading += sign if share.sample is not None and share.sample.flow_offload else 0
        for at, value in enumerate(share.figures):
            if value is not None:
                self._totals[at] += sign * value
                self._known[at] += sign


class LiveState:
    """Keeps the newest live sample of each router, and the sums of sites and the city."""

    def __init__(self, db: Database, presence: Presence, known: Registry) -> None:
        self._db = db
        self._presence = presence
        self._registry = known
        self._seen: dict[int, Seen] = {}
        self._routers: dict[int, tuple[str, str | None]] = {}  # name and site
        self._sites: dict[str, LiveTotals] = {}
        self._city = LiveTotals()
        self.hears = True  # false: the collector cannot hear, so every router is unknown
        self.place()

    def place(self) -> None:
        """Take where routers are from the registry, at the start and after a change.

        `everything` comes next, which sums them up again.
        """
        self._routers = {one: (name, site) for one, name, site in self._registry.routers()}
        self._sites = {name: LiveTotals() for _, name in self._registry.sites()}
        self._city = LiveTotals()

    def place_of(self, router_id: int) -> tuple[str, str | None] | None:
        """Name and site of a registered router."""
        return self._routers.get(router_id)

    def router_ids(self) -> Set[int]:
        """All registered routers."""
        return self._routers.keys()

    def load(self, decode: Decode = kept_messages.decoded) -> None:
        """Take the two newest samples of each router's run from the store, after a start."""
        self._seen.clear()
        self._presence.know(self._routers)
        for router_id, (name, _) in self._routers.items():
            newest = kept_messages.two_newest(self._db, router_id, name, decode)
            for sample, at_ms in reversed(newest):
                self._see(router_id, sample, at_ms)

    def show(self, router_id: int, sample: Sample, arrived_ms: int, prompt: bool = False) -> None:
        """A live sample was stored; the router is among the next `messages`.

        `prompt`: it came as it was taken, whatever its clock says.
        """
        old = self._seen.get(router_id)
        if old is not None and self._is_older(router_id, sample, old.sample):
            return
        at_ms = min(sample.taken_at, arrived_ms) if sample.clock == "ntp" else arrived_ms
        if prompt and arrived_ms - at_ms > MAX_BEHIND_MS:
            at_ms = arrived_ms
        self._see(router_id, sample, at_ms)

    def seen(self, router_id: int) -> Seen | None:
        """The router's newest sample with what it means, if it is known."""
        return self._seen.get(router_id)

    def sample(self, router_id: int) -> Sample | None:
        """The router's newest sample, if it is known."""
        seen = self._seen.get(router_id)
        return None if seen is None else seen.sample

    def messages(self, router_ids: set[int], now_ms: int) -> list[Now]:
        """`now` of these routers, of the sites they are at, and of the city.

        They are those that were shown or whose presence changed since the last call.
        """
        changed = sorted((self._routers[one][0], one) for one in router_ids & self._routers.keys())
        sites = (self._routers[one][1] for _, one in changed)
        return self._messages(changed, {site for site in sites if site is not None}, now_ms)

    def everything(self, now_ms: int) -> list[Now]:
        """`now` of all; a site without routers is `unknown`, whatever was published before."""
        routers = sorted((name, one) for one, (name, _) in self._routers.items())
        return self._messages(routers, self._sites, now_ms)

    def _messages(
        self, routers: Iterable[tuple[str, int]], sites: Iterable[str], now_ms: int
    ) -> list[Now]:
        nows = []
        for name, router_id in routers:
            alone, share = LiveTotals(), self._add_up(router_id)
            alone.put(router_id, share)
            now = alone.now("router", name, now_ms)
            if self._is_revoked(router_id):
                now = replace(now, revoked=True)
            nows.append(now if share.sample is None else _with_details(now, share.sample))
        nows += [self._sites[site].now("site", site, now_ms) for site in sorted(sites)]
        nows.append(self._city.now("city", self._registry.city, now_ms))
        return nows

    def _is_revoked(self, router_id: int) -> bool:
        """While the collector cannot hear, perhaps because the store cannot be read: as before."""
        presence = self._presence
        return presence.is_revoked(router_id) if self.hears else presence.was_revoked(router_id)

    def _see(self, router_id: int, sample: Sample, at_ms: int) -> None:
        old = self._seen.get(router_id)
        rates = bps(old.sample, sample) if old else (None, None, None, None)
        people = _believed(sample.clients, MAX_CLIENTS), _believed(sample.active, MAX_CLIENTS)
        self._seen[router_id] = Seen(sample, at_ms, (*people, *rates))

    def _is_older(self, router_id: int, sample: Sample, than: Sample) -> bool:
        """By uptime in one boot. Of two boots the one that the router says it runs is newer."""
        if sample.boot == than.boot:
            return sample.uptime_ms <= than.uptime_ms
        boot = self._presence.state(router_id).boot
        return boot == than.boot  # else the broker gave them in the order in which they were sent

    def _add_up(self, router_id: int) -> Share:
        """Put the router's share into the sums."""
        state = self._presence.state(router_id).state if self.hears else "unknown"
        seen = self._seen.get(router_id) if state == "online" else None
        share = Share(state)
        if seen is not None:
            share = Share(state, seen.figures, seen.at_ms, seen.sample)
        site = self._routers[router_id][1]
        if site is not None:
            self._sites.setdefault(site, LiveTotals()).put(router_id, share)
        self._city.put(router_id, share)
        return share


def _with_details(now: Now, sample: Sample) -> Now:
    """What is of one router alone, and not added up."""
    host, reach, probe = sample.host or _NO_HOST, sample.reach or _NO_REACH, sample.probe
    return replace(
        now,
        off_air=sample.off_air or None,
        leases=sample.leases,
        dns_ms=reach.dns_ms,
        tcp_ms=reach.tcp_ms,
        gateway_up=None if probe is None else probe.gateway_up,
        icmp_ms=None if probe is None else probe.icmp_ms,
        icmp_loss_ratio=None if probe is None else probe.icmp_loss_ratio,
        lan_devices=None if probe is None else probe.lan_devices,
        uptime_s=host.uptime_s,
        load_1m=host.load_1m,
        cpu_busy_ratio=host.cpu_busy_ratio,
        mem_total_bytes=host.mem_total_bytes,
        mem_available_bytes=host.mem_available_bytes,
        disk_free_bytes=host.disk_free_bytes,
        temp_c=host.temp_c,
    )


_NO_HOST, _NO_REACH = Host(), Reach()


def bps(old: Sample, new: Sample) -> tuple[int | None, int | None, int | None, int | None]:
    """Wi-Fi down and up, uplink down and up between two samples, in bit/s; None if unknown."""
    elapsed = new.uptime_ms - old.uptime_ms
    if old.boot != new.boot or elapsed <= 0:
        return None, None, None, None
    air = _deltas(_air(old), _air(new))
    wire = _deltas(_uplink(old), _uplink(new), each=True)
    wifi_up, wifi_down = (None, None) if air is None else (n * 8000 // elapsed for n in air)
    down, up = (None, None) if wire is None else (n * 8000 // elapsed for n in wire)
    most = int(WIRE_BPS)
    return (
        _believed(wifi_down, most),
        _believed(wifi_up, most),
        _believed(down, most),
        _believed(up, most),
    )


def _believed(value: int | None, most: int) -> int | None:
    """The figure, None if no router can have it; rollups have the same limits."""
    return None if value is None or value > most else value


Counters = dict[tuple[str, str], tuple[int, int]]  # (ifname, since) to rx and tx bytes


def _air(sample: Sample) -> Counters:
    return {
        (one.ifname, one.since): (one.rx_bytes, one.tx_bytes)
        for one in sample.bss or ()
        if one.since is not None and one.rx_bytes is not None and one.tx_bytes is not None
    }


def _uplink(sample: Sample) -> Counters:
    """Every uplink: a router reports each way out once."""
    uplinks = [one for one in sample.net or () if one.role == "uplink"]
    return {(one.ifname, one.since): (one.rx_bytes, one.tx_bytes) for one in uplinks}


def _deltas(old: Counters, new: Counters, *, each: bool = False) -> tuple[int, int] | None:
    """Received and sent since; None if nothing is comparable, or with `each` not everything."""
    pairs = [(old[key], new[key]) for key in new if key in old]
    pairs = [(was, now) for was, now in pairs if now[0] >= was[0] and now[1] >= was[1]]
    if not pairs or (each and len(pairs) < len(new)):
        return None
    return sum(now[0] - was[0] for was, now in pairs), sum(now[1] - was[1] for was, now in pairs)
