"""How many different clients there were today, without a list of who they were.

Read it after the source that feeds it.

A HyperLogLog sketch: 4096 small numbers, from which no address can be read back. They depend on a
key that is drawn again each run and each day. The key never leaves this object, so not even two
sketches of the same clients can be compared. Error about 1.6 %, less below some thousand clients.
"""

import math
import os
import time
from collections.abc import Callable, Sequence

try:  # hashlib brings OpenSSL's algorithms too, 0.8 MB that nothing here uses
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

from titik_agent.clock import Clock
from titik_wire.instant import DAY_MS
from titik_wire.messages import Visitors

_INDEX_BITS = 12
_REGISTERS = 1 << _INDEX_BITS
_RANK_BITS = 64 - _INDEX_BITS
_ALPHA = 0.7213 / (1 + 1.079 / _REGISTERS)  # Flajolet's constant for this many registers
_STEP_MS = 60_000  # a clock that moved by more than this against the uptime was set


class Sketch:
    """The section `visitors`.

    It counts from its creation, then from each start of a day: the city's, else the router's.
    """

    name = "visitors"
    field = "visitors"

    def __init__(
        self,
        clock: Clock,
        random: Callable[[int], bytes] = os.urandom,
        day_starts: Callable[[], Sequence[int]] = tuple,
    ) -> None:
        """`day_starts` are those of the city, as far as a collector published them."""
        self._clock = clock
        self._day_starts = day_starts
        self._random = random
        self._fed = False
        self._count: int | None = None  # None: to be computed, as a new client came
        self._seen_ms = self._since_ms = clock.wall_ms()
        self._offset_ms = self._seen_ms - clock.uptime_ms()
        self._start(self._since_ms)

    def add(self, *macs: str) -> None:
        """These are clients; none at all still says that somebody looked."""
        self._turn_day()
        self._fed = True
        for mac in macs:
            digest = blake2b(mac.lower().encode("utf-8", "replace"), digest_size=8, key=self._key)
            hashed = int.from_bytes(digest.digest(), "big")
            index, rest = hashed % _REGISTERS, hashed >> _INDEX_BITS
            rank = _RANK_BITS - rest.bit_length() + 1
            if rank > self._ranks[index]:
                self._ranks[index] = rank
                self._count = None

    def count(self) -> int:
        """Different clients, rounded."""
        if self._count is None:
            self._count = self._counted()
        return self._count

    def _counted(self) -> int:
        empty = self._ranks.count(0)
        inverse = sum(self._ranks.count(rank) * 2.0**-rank for rank in range(_RANK_BITS + 2))
        estimate = _ALPHA * _REGISTERS * _REGISTERS / inverse
        if empty and estimate <= 2.5 * _REGISTERS:  # few clients: the empty registers say it better
            estimate = _REGISTERS * math.log(_REGISTERS / empty)
        return round(estimate)

    def read(self) -> Visitors | None:
        """None until anyone has looked for clients."""
        self._turn_day()
        if not self._fed:
            return None
        return Visitors(count=self.count(), since=max(0, self._since_ms))

    def _start(self, since_ms: int) -> None:
        self._since_ms = since_ms
        self._key = self._random(32)
        self._ranks = bytearray(_REGISTERS)
        self._count = None

    def _turn_day(self) -> None:
        now_ms = self._clock.wall_ms()
        offset_ms = now_ms - self._clock.uptime_ms()
        if abs(offset_ms - self._offset_ms) > _STEP_MS:
            # The clock was set (no router has a battery): what was counted keeps its true age.
            self._since_ms += offset_ms - self._offset_ms
            self._seen_ms += offset_ms - self._offset_ms
        self._offset_ms = offset_ms
        midnight_ms = _day_start_ms(now_ms, self._day_starts())
        if self._since_ms < midnight_ms:
            # Without the step above, we were there at midnight; else we learn of it only now.
            self._start(midnight_ms if self._seen_ms < midnight_ms else now_ms)
        self._seen_ms = now_ms


def _day_start_ms(now_ms: int, starts: Sequence[int]) -> int:
    """When this day began. Before and after those that are known, days have 24 hours."""
    if not starts:
        return _midnight_ms(now_ms)
    begun = [start for start in starts if start <= now_ms]
    if 0 < len(begun) < len(starts):
        return max(begun)
    edge_ms = max(begun, default=min(starts))
    return edge_ms + (now_ms - edge_ms) // DAY_MS * DAY_MS


def _midnight_ms(now_ms: int) -> int:
    """When this local day began; summer time changes make days of 23 and 25 hours."""
    now = time.localtime(now_ms / 1000)
    return int(time.mktime((now.tm_year, now.tm_mon, now.tm_mday, 0, 0, 0, 0, 0, -1))) * 1000
