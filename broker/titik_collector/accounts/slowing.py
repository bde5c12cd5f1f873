"""Slows whoever guesses passwords, and locks nobody out.

Rule: what is slowed is the pair of a name and an address: neither the name from elsewhere, nor
others behind that address.
Rule: an attempt counts when it comes, so a thousand at once are slowed as well.
"""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

from titik_collector.limits import MAX_PAIRS

FREE = 3  # attempts without a wait; people mistype
LONGEST_S = 8.0  # between two attempts of a pair
PATIENCE_S = 30.0  # an attempt that would wait longer is refused at once
FORGOTTEN_S = 900.0  # a pair without attempts
V6_PREFIX = 64  # a household has as many addresses as it likes below it


@dataclass(slots=True)
class Pair:
    """Attempts of one name from one address, since the last that was right."""

    attempts: int = 0
    free_s: float = 0.0  # when the next one is looked at


class Slowing:
    """Remembers the pairs of the last minutes."""

    def __init__(self) -> None:
        self._pairs: OrderedDict[tuple[str, str], Pair] = OrderedDict()

    def wait_s(self, name: str, address: str, now_s: float) -> float | None:
        """How long an attempt waits before it is looked at; None: too many wait already."""
        key = (name, network(address))
        pair = self._pairs.pop(key, None)
        if pair is None or now_s - pair.free_s > FORGOTTEN_S:
            pair = Pair()
        self._pairs[key] = pair  # the newest is last
        if len(self._pairs) > MAX_PAIRS:
            self._pairs.popitem(last=False)
        start_s = max(now_s, pair.free_s)
        if start_s - now_s > PATIENCE_S:
            return None
        pair.attempts += 1
        pair.free_s = start_s + pause_s(pair.attempts)
        return start_s - now_s

    def forget(self, name: str, address: str) -> None:
        """The password was right."""
        self._pairs.pop((name, network(address)), None)


def pause_s(attempts: int) -> float:
    """Between this attempt and the next: none at first, then twice as long each time."""
    return 0.0 if attempts < FREE else min(LONGEST_S, 2.0 ** (attempts - FREE))


def network(address: str) -> str:
    """What counts as one address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(ipaddress.ip_network((found, V6_PREFIX), strict=False))
