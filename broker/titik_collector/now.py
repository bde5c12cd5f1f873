"""This moment: what each router, site and the city look like, for the `now` topics.

Rule: a router that is not online has no figures, instead of keeping its last ones.
Rule: a sum over routers counts those that are online and says how many they are.
Rule: whatever a router claims, a figure stays within the contract; or one router silences all.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, cast

from titik_collector import body
from titik_collector.presence import Presence
from titik_wire import codec, topics
from titik_wire.errors import WireError
from titik_wire.kinds import MAX_WHOLE
from titik_wire.messages import Now, Sample

Figures = tuple[int | None, int | None, int | None, int | None, int | None, int | None]
NOTHING: Figures = (None, None, None, None, None, None)


class Places(Protocol):
    """The registry as the board needs it."""

    city: str

    def routers(self) -> Iterable[tuple[int, str, str | None]]:
        """Id, name and site of every registered router."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """A router's newest live sample and what it means."""

    sample: Sample
    at_ms: int
    figures: Figures  # clients, active, wifi down, wifi up, uplink down, uplink up (bit/s)


class Board:
    """Keeps the newest live sample of each router."""

    def __init__(self, db: sqlite3.Connection, presence: Presence, places: Places) -> None:
        self._db = db
        self._presence = presence
        self._places = places
        self._seen: dict[int, Seen] = {}

    def load(self) -> None:
        """Take the two newest samples of each router from the store, after a start."""
        for router_id, name, _ in self._places.routers():
            rows = self._db.execute(
                "SELECT packed, newest.arrived_ms FROM (SELECT run_id, seq, arrived_ms, at_ms"
                "  FROM sample WHERE router_id = ? ORDER BY at_ms DESC LIMIT 2) AS newest"
                " JOIN body USING (run_id, seq) ORDER BY at_ms DESC",
                (router_id,),
            ).fetchall()
            for packed, arrived_ms in reversed(rows):
                sample = _stored(name, packed)
                if sample is not None:
                    self.show(router_id, sample, arrived_ms)

    def show(self, router_id: int, sample: Sample, arrived_ms: int) -> None:
        """A live sample was stored."""
        old = self._seen.get(router_id)
        if old is not None and _is_older(sample, old.sample):
            return
        at_ms = min(sample.taken_at, arrived_ms) if sample.clock == "ntp" else arrived_ms
        rates = bps(old.sample, sample) if old else (None, None, None, None)
        self._seen[router_id] = Seen(sample, at_ms, (sample.clients, sample.active, *rates))

    def messages(self, router_ids: set[int], now_ms: int) -> list[Now]:
        """`now` of these routers, of the sites they are at, and of the city."""
        routers = list(self._places.routers())
        changed = [one for one in routers if one[0] in router_ids]
        sites = {site for _, _, site in changed if site is not None}
        told = [self._router(router_id, name, now_ms) for router_id, name, _ in changed]
        for site in sorted(sites):
            members = [router_id for router_id, _, where in routers if where == site]
            told.append(self._sum("site", site, members, now_ms))
        told.append(self._sum("city", self._places.city, [one[0] for one in routers], now_ms))
        return told

    def _router(self, router_id: int, name: str, now_ms: int) -> Now:
        return self._sum("router", name, [router_id], now_ms)

    def _sum(
        self, scope: Literal["router", "site", "city"], name: str, members: list[int], now_ms: int
    ) -> Now:
        states = [self._presence.state(router_id).state for router_id in members]
        online = [
            self._seen[router_id]
            for router_id, state in zip(members, states, strict=True)
            if state == "online" and router_id in self._seen
        ]
        columns = zip(*(one.figures for one in online), strict=True)
        figures = [_known_sum(column) for column in columns] or NOTHING
        at_ms = max((one.at_ms for one in online), default=now_ms)
        return Now(
            scope,
            name,
            cast(Literal["online", "silent", "offline", "unknown"], _best(states)),
            at_ms,
            max(0, now_ms - at_ms),
            states.count("online"),
            len(members),
            *figures,
        )


def bps(old: Sample, new: Sample) -> tuple[int | None, int | None, int | None, int | None]:
    """Wi-Fi down and up, uplink down and up between two samples, in bit/s; None if unknown."""
    elapsed = new.uptime_ms - old.uptime_ms
    if old.boot != new.boot or elapsed <= 0:
        return None, None, None, None
    air = _deltas(_air(old), _air(new))
    wire = _deltas(_uplink(old), _uplink(new))
    wifi_up, wifi_down = (None, None) if air is None else (n * 8000 // elapsed for n in air)
    down, up = (None, None) if wire is None else (n * 8000 // elapsed for n in wire)
    return wifi_down, wifi_up, down, up


Counters = dict[tuple[str, str], tuple[int, int]]  # (ifname, since) to rx and tx bytes


def _air(sample: Sample) -> Counters:
    return {
        (one.ifname, one.since): (one.rx_bytes, one.tx_bytes)
        for one in sample.bss or ()
        if one.since is not None and one.rx_bytes is not None and one.tx_bytes is not None
    }


def _uplink(sample: Sample) -> Counters:
    """The first uplink only: a PPPoE interface and its port carry the same bytes."""
    uplinks = [one for one in sample.net or () if one.role == "uplink"][:1]
    return {(one.ifname, one.since): (one.rx_bytes, one.tx_bytes) for one in uplinks}


def _deltas(old: Counters, new: Counters) -> tuple[int, int] | None:
    """Received and sent since; None if nothing is comparable."""
    pairs = [(old[key], new[key]) for key in new if key in old]
    pairs = [(was, now) for was, now in pairs if now[0] >= was[0] and now[1] >= was[1]]
    if not pairs:
        return None
    return sum(now[0] - was[0] for was, now in pairs), sum(now[1] - was[1] for was, now in pairs)


def _is_older(sample: Sample, than: Sample) -> bool:
    if sample.boot != than.boot:
        return sample.clock == than.clock == "ntp" and sample.taken_at < than.taken_at
    return sample.uptime_ms <= than.uptime_ms


def _known_sum(column: Iterable[int | None]) -> int | None:
    known = [value for value in column if value is not None]
    return min(sum(known), MAX_WHOLE) if known else None


def _best(states: list[str]) -> str:
    return next((state for state in ("online", "silent", "offline") if state in states), "unknown")


def _stored(router: str, packed: bytes) -> Sample | None:
    """A stored sample; None if its body is damaged, which `titik db check` tells."""
    try:
        message = codec.decode(topics.sample(router), body.unpack(packed))
    except (ValueError, WireError):
        return None
    return message if isinstance(message, Sample) else None
