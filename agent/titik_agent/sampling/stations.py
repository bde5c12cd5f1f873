"""From the stations of a BSS to three counts: how many there are, how many send, how many are weak.

Rule: MAC addresses are keys in memory here, and nothing else; one that left is forgotten.
Rule: a figure that cannot be known is None, never a smaller number.
Rule: a client is active by what it sent. What is sent to it proves nothing: drivers go on sending
to phones that are gone, for hours.
"""

import time
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from titik_agent.hostapd.station import Station
from titik_agent.limits import MAX_TRACKED

ACTIVE_S = 60  # a client that has sent nothing for longer is not active
WEAK_DBM = -75
_PLAUSIBLE_DBM = range(-120, 0)  # old mt76 says 48, mwlwifi 0
_PLAUSIBLE_MS = range(1 << 31)  # mwlwifi's inactive time wraps below zero to just under 2**32


class StationTally(NamedTuple):
    """The counts of one BSS."""

    clients: int  # authorized stations
    active: int | None  # of them, sent something within ACTIVE_S; None: not known of every client
    weak: int | None  # of them, known to be below WEAK_DBM; None: no client's signal is known


class Tracker:
    """Remembers when each client last sent something."""

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, limit: int = MAX_TRACKED
    ) -> None:
        self._monotonic = monotonic
        self._limit = limit
        # By interface and MAC: what was received until last seen, and when it last changed.
        self._moved: dict[str, dict[str, tuple[int | None, float]]] = {}
        self._overfull: set[str] = set()

    @property
    def saturated(self) -> bool:
        """True while there are more clients than are tracked one by one."""
        return bool(self._overfull)

    def tally(self, ifname: str, stations: Iterable[Station]) -> StationTally:
        """Count the stations of one BSS, all of them."""
        now = self._monotonic()
        before = self._moved.get(ifname, {})
        room = self._limit - sum(len(macs) for name, macs in self._moved.items() if name != ifname)
        moved: dict[str, tuple[int | None, float]] = {}
        clients = active = weak = unknown_moves = unknown_signals = 0
        for station in stations:
            if not station.authorized:
                continue
            clients += 1
            if len(moved) < room:
                moved[station.mac] = _last_move(station, before.get(station.mac), now)
            moving = _is_active(station, moved.get(station.mac), now)
            active += moving is True
            unknown_moves += moving is None
            if station.signal_dbm is None or station.signal_dbm not in _PLAUSIBLE_DBM:
                unknown_signals += 1
            else:
                weak += station.signal_dbm < WEAK_DBM
        self._remember(ifname, moved, clients)
        return StationTally(
            clients=clients,
            active=None if unknown_moves else active,
            weak=None if clients and unknown_signals == clients else weak,
        )

    def keep(self, ifnames: Collection[str]) -> None:
        """Forget the clients of every BSS that is not among these."""
        self._moved = {name: macs for name, macs in self._moved.items() if name in ifnames}
        self._overfull &= set(ifnames)

    def knows(self, mac: str) -> bool:
        """Whether this was a client when its BSS was last counted; always, while saturated."""
        return self.saturated or any(mac in macs for macs in self._moved.values())

    def _remember(
        self, ifname: str, moved: dict[str, tuple[int | None, float]], clients: int
    ) -> None:
        self._moved[ifname] = moved
        if clients > len(moved):
            self._overfull.add(ifname)
        else:
            self._overfull.discard(ifname)


def _last_move(
    station: Station, before: tuple[int | None, float] | None, now: float
) -> tuple[int | None, float]:
    """A client that is new has just sent, unless the driver knows better; so has one whose
    counter was reset."""
    if before is None:
        return station.received, now - (_idle_ms(station) or 0) / 1000
    received, at = before
    if station.received is None:
        return before
    return station.received, at if received in (None, station.received) else now


def _is_active(station: Station, moved: tuple[int | None, float] | None, now: float) -> bool | None:
    """None where hostapd reports neither what it sent nor a believable inactive time."""
    if station.received and moved is not None:
        return now - moved[1] <= ACTIVE_S
    idle_ms = _idle_ms(station)
    return None if idle_ms is None else idle_ms <= ACTIVE_S * 1000


def _idle_ms(station: Station) -> int | None:
    """None: not reported, or not believable."""
    idle_ms = station.inactive_ms
    return idle_ms if idle_ms is not None and idle_ms in _PLAUSIBLE_MS else None
