"""A believable city: how many people are at each hotspot, and what they download, by the minute.

Deterministic for a seed; pure.

Rule: nothing here is measured anywhere; it is made so that a table of it looks like a city.
"""

import math
import random
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

MINUTE_S = 60.0
DAY_MINUTES = 1440
MATCH_SITE = "taman-nostalgia"
MATCH_MINUTES = (18 * 60 + 30, 20 * 60 + 30)  # kick-off to final whistle, local time
RAIN_MINUTES = (15 * 60, 16 * 60 + 10)

# Bits a second of a client that is using the network, on average, and how many use it at once.
DOWN_BPS, UP_BPS, BUSY_SHARE = 900_000, 110_000, 0.35
STAY_MINUTES = 24.0  # mean stay, which sets how fast the crowd turns over
MOST = 1.2  # of the capacity, then nobody more gets a connection
ROAD_SHARE = 0.02  # of the capacity: phones that connect in passing, day and night


@dataclass(frozen=True, slots=True)
class HotspotKind:
    """What a place is like: opening hours, then peaks as (hour, width in hours, height 0..1)."""

    opens: float
    closes: float
    peaks: tuple[tuple[float, float, float], ...]
    outdoors: bool
    weekend: float  # how many come on Saturday and Sunday, as a multiple of other days


PARK = HotspotKind(5.5, 23.0, ((7.0, 1.2, 0.35), (12.5, 1.0, 0.3), (19.0, 2.0, 1.0)), True, 1.2)
BEACH = HotspotKind(5.0, 22.0, ((6.5, 1.0, 0.3), (17.5, 1.8, 1.0)), True, 1.25)
FOOD = HotspotKind(10.0, 24.0, ((12.5, 1.0, 0.6), (19.5, 1.8, 1.0)), True, 1.15)
OFFICE = HotspotKind(7.0, 17.0, ((9.5, 1.5, 0.9), (13.5, 1.5, 1.0)), False, 0.1)
HOSPITAL = HotspotKind(0.0, 24.0, ((10.0, 2.5, 1.0), (17.0, 2.0, 0.7)), False, 0.7)
HOMES = HotspotKind(0.0, 24.0, ((6.5, 1.0, 0.4), (20.5, 2.2, 1.0)), False, 1.1)

KINDS = {
    "taman": PARK,
    "pantai": BEACH,
    "pusat-kuliner": FOOD,
    "podium": OFFICE,
    "kantor": OFFICE,
    "rsud": HOSPITAL,
    "perumnas": HOMES,
}


def kind_of(site: str) -> HotspotKind:
    """What a site is like, from its name."""
    return next((kind for prefix, kind in KINDS.items() if site.startswith(prefix)), PARK)


class Day(NamedTuple):
    """What distinguishes one day from another; by itself a workday with a match and rain."""

    is_weekend: bool = False
    has_match: bool = True
    has_rain: bool = True


WORKDAY = Day()


def day_of(local: date) -> Day:
    """What a date is like, in every simulation the same."""
    luck = random.Random(local.toordinal())
    weekday = local.weekday()
    return Day(weekday >= 5, has_match=weekday in (2, 5), has_rain=luck.random() < 0.35)


def expected_clients(site: str, capacity: int, minute: float, day: Day = WORKDAY) -> float:
    """How many clients a site has on average at this local minute of the day."""
    kind = kind_of(site)
    hour = minute / 60
    if not kind.opens <= hour < kind.closes:
        return capacity * ROAD_SHARE
    crowd = sum(
        height * math.exp(-(((hour - at) / width) ** 2)) for at, width, height in kind.peaks
    )
    share = ROAD_SHARE + 0.8 * min(1.0, 0.12 + crowd)
    if day.is_weekend:
        share *= kind.weekend
    if day.has_rain and kind.outdoors and RAIN_MINUTES[0] <= minute < RAIN_MINUTES[1]:
        share *= 0.25
    if day.has_match and site == MATCH_SITE and MATCH_MINUTES[0] <= minute < MATCH_MINUTES[1]:
        share *= 1.8
    return capacity * min(share, MOST)


class Crowd:
    """The clients of one hotspot, moved on in steps; also what they have transferred so far."""

    def __init__(self, site: str, capacity: int, rand: random.Random, minute: float) -> None:
        self.clients = round(expected_clients(site, capacity, minute))
        self.rx_bytes = rand.randrange(10**9)  # what visitors sent
        self.tx_bytes = rand.randrange(10**10)  # what they downloaded
        self._site = site
        self._capacity = capacity
        self._rand = rand

    def advance(self, minute: float, world_s: float, real_s: float) -> bool:
        """Move on by `world_s` of the simulated day and `real_s` of traffic; True if anyone moved.

        `minute` is the local minute of the day at the end of the step.
        """
        expected = expected_clients(self._site, self._capacity, minute)
        moved = min(1.0, world_s / MINUTE_S / STAY_MINUTES)
        before = self.clients
        left = self._some(self.clients, moved)
        came = self._poisson(expected * moved)
        self.clients = max(0, self.clients - left + came)
        bits = self.clients * BUSY_SHARE * real_s * self._rand.uniform(0.7, 1.3)
        self.tx_bytes += int(bits * DOWN_BPS / 8)
        self.rx_bytes += int(bits * UP_BPS / 8)
        return self.clients != before

    def active(self) -> int:
        """Clients that moved packets within the last minute."""
        return round(self.clients * 0.8)

    def weak(self) -> int:
        """Clients far from the access point."""
        return round(self.clients * 0.12)

    def _some(self, of: int, share: float) -> int:
        return sum(self._rand.random() < share for _ in range(of))

    def _poisson(self, mean: float) -> int:
        """Knuth's method; means are small because steps are."""
        limit, count, product = math.exp(-min(mean, 500.0)), 0, self._rand.random()
        while product > limit:
            count += 1
            product *= self._rand.random()
        return count
