"""Places as people read them: what is wrong first, how full, since when and why.

Rule: pure, over the frozen answers of `queries.status` and the configuration.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from titik_collector.config.model import Config
from titik_collector.config.site_tables import Site
from titik_collector.languages.codes import marked
from titik_collector.queries.status import RouterStatus, SiteStatus

FULL, LINE_FULL = 0.8, 0.9  # of the capacity, of the uplink: from here on people notice
# What a place or a router can look like, the worst first; each has a mark, a colour and a word.
STATES = (
    marked("offline"),
    marked("off the air"),
    marked("silent"),
    marked("unknown"),
    marked("partly"),  # online, and not all routers of the place are
    marked("online"),
    marked("closed"),
)
DOWN = ("offline", "off the air")  # nobody is served there
UP = ("online", "partly")
_NUMBER = re.compile(r"(\d+)")
TOGETHER_MS = 60_000  # in which the last samples of routers are of one moment
MARKS = {"off the air": "off-air"}
WELL = len(STATES) + 1  # the rank of a place that is online; one that is full is before it
CLOSED = WELL + 1  # nobody has to do anything
# Causes as the store has them.
CAUSES = (
    marked("power cut"),
    marked("reboot"),
    marked("agent crash"),
    marked("agent restart"),
    marked("agent stopped"),
    marked("firmware upgrade"),
    marked("uplink lost"),
    marked("unknown"),
)


@dataclass(frozen=True, slots=True)
class LastReport:
    """Of a place that may be away."""

    taken_at: int  # of its newest sample
    clients: int | None  # of all its routers that reported then; None: not known


@dataclass(frozen=True, slots=True)
class Place:
    """A site with what the configuration says of it."""

    site: SiteStatus
    facts: Site | None  # None: the file no longer has it
    is_true_now: bool = True  # false: the server cannot hear, or its store cannot be read

    @property
    def name(self) -> str:
        """As in topics and addresses."""
        return self.site.name

    @property
    def title(self) -> str:
        """As people read it."""
        return self.site.line.title

    @property
    def state(self) -> str:
        """One of STATES."""
        if not self.is_true_now:
            return "unknown"
        if is_off_air(self.site):
            return "off the air"
        if self.site.is_open is False and self.site.now.state != "online":
            return "closed"
        now = self.site.now
        is_partly = now.state == "online" and now.routers_online < now.routers_known
        return "partly" if is_partly else now.state

    @property
    def since_ms(self) -> int | None:
        """Since when nobody is served; None: it is, or was never heard."""
        if self.site.now.state == "online" or not self.site.routers:
            return None
        return max(one.since_ms for one in self.site.routers) or None

    @property
    def cause(self) -> str | None:
        """Why nobody is served, if it is known and the same for all its routers."""
        causes = {one.cause for one in self.site.routers}
        return causes.pop() if len(causes) == 1 else None

    @property
    def last(self) -> LastReport | None:
        """What it last reported; None: it never did."""
        samples = [one.sample for one in self.site.routers if one.sample is not None]
        if not samples:
            return None
        at_ms = max(one.taken_at for one in samples)
        then = [one.clients for one in samples if one.taken_at > at_ms - TOGETHER_MS]
        known = [one for one in then if one is not None]
        return LastReport(at_ms, sum(known) if known else None)

    @property
    def load(self) -> float | None:
        """Visitors by capacity; None: one of both is not known."""
        return _share(self.site.now.clients, self.facts.capacity if self.facts else None)

    @property
    def line_load(self) -> float | None:
        """The larger of down and up by what its lines can carry; None: not known."""
        now = self.site.now
        most = max(
            (one for one in (now.uplink_down_bps, now.uplink_up_bps) if one is not None),
            default=None,
        )
        return _share(most, self.facts.uplink_mbps if self.facts else None, 1e6)

    @property
    def is_full(self) -> bool:
        """Whether visitors may notice."""
        return (self.load or 0) >= FULL or (self.line_load or 0) >= LINE_FULL

    @property
    def rank(self) -> int:
        """0 is the worst."""
        if self.state == "closed":
            return CLOSED
        if self.state != "online":
            return STATES.index(self.state)
        return WELL - self.is_full


def is_off_air(site: SiteStatus) -> bool:
    """Routers of it are online, and the Wi-Fi of each of those is off."""
    online = [one for one in site.routers if one.now.state == "online"]
    return bool(online) and all(one.now.off_air for one in online)


def _share(number: float | None, of: float | None, unit: float = 1) -> float | None:
    return None if number is None or not of else number / (of * unit)


def places(config: Config, sites: Iterable[SiteStatus], is_true_now: bool = True) -> list[Place]:
    """All of them, the worst first, then by title."""
    facts = {one.name: one for one in config.site}
    found = [Place(one, facts.get(one.name), is_true_now) for one in sites]
    return sorted(found, key=lambda one: (one.rank, natural(one.title)))


def natural(title: str) -> list[str | int]:
    """To sort by, as people count: 2 is before 10."""
    return [int(one) if one.isdecimal() else one.casefold() for one in _NUMBER.split(title)]


def by_devices(place: Place) -> tuple[bool, int, list[str | int]]:
    """To sort by: the most first, and unknown ones last."""
    devices = place.site.now.clients
    return devices is None, -(devices or 0), natural(place.title)


def router_state(router: RouterStatus) -> str:
    """One of STATES."""
    return "off the air" if router.now.off_air else router.now.state


def chosen(found: Iterable[Place], words: str, state: str | None) -> list[Place]:
    """Those with the words in title or name, and in the state."""
    wanted = words.casefold().split()
    return [
        one
        for one in found
        if (state is None or one.state == state)
        and all(word in f"{one.title} {one.name}".casefold() for word in wanted)
    ]


def counted(found: Sequence[Place]) -> dict[str, int]:
    """How many are in each state that there is."""
    counts = Counter(one.state for one in found)
    return {state: counts[state] for state in STATES if counts[state]}
