"""Places that stand together on the first page, and what chooses them.

Rule: what is chosen by is a fact of the file; what says the same of every place is not offered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from titik_collector.languages.codes import marked
from titik_collector.queries import site_groups, status_where
from titik_collector.queries.status import Line
from titik_collector.web.places import DOWN, STATES, UP, Place

# By their names in addresses and in the file. Circuits are for people with a login.
KEYS = {
    "district": marked("District"),
    "provider": marked("Provider"),
    "tier": marked("Tier"),
    "power": marked("Power"),
    "tags": marked("Tags"),
}


@dataclass(frozen=True, slots=True)
class PlaceGroup:
    """Some places and their sums."""

    value: str  # empty: theirs is not given
    places: tuple[Place, ...]
    line: Line

    @property
    def worst(self) -> Place:
        """The place to look at first."""
        return min(self.places, key=lambda one: one.rank)

    @property
    def down(self) -> int:
        """How many places have nobody served, though they should."""
        return sum(one.state in DOWN for one in self.places)

    @property
    def number(self) -> int:
        """How many places its word is about: those that are down, else those in the worst state."""
        worst = self.worst.state
        return self.down or sum(one.state == worst for one in self.places)

    @property
    def state(self) -> str:
        """What half of the places are in, or worse; `partly`: that is online, and some are not."""
        states = sorted((one.state for one in self.places), key=STATES.index)
        opened = sum(one != "closed" for one in states)
        half = states[max(0, (opened + 1) // 2 - 1)]
        return "partly" if half == "online" != states[0] else half

    @property
    def rank(self) -> float:
        """The lowest is the worst: the larger the share that is down."""
        return -self.down / len(self.places) or self.worst.rank

    @property
    def online(self) -> int:
        """How many places serve, if not with all of their routers."""
        return sum(one.state in UP for one in self.places)


def chosen_by(found: Sequence[Place], wanted: Mapping[str, str]) -> list[Place]:
    """Those that have all of these facts."""
    return [
        one
        for one in found
        if all(status_where.has(one.site.facts, key, value) for key, value in wanted.items())
    ]


def offered(found: Sequence[Place], current: str | None) -> dict[str, str]:
    """The keys that say different things of these places, and the one that is used; with titles."""
    sites = [one.site for one in found]
    return {
        key: title
        for key, title in KEYS.items()
        if key == current or status_where.divides(sites, key)
    }


def grouped(found: Sequence[Place], key: str, now_ms: int, sort: str) -> list[PlaceGroup]:
    """As places are sorted: the group with the most down first, or most devices, or by name."""
    places = {one.name: one for one in found}
    groups = [
        PlaceGroup(one.value, tuple(places[site.name] for site in one.sites), one.line)
        for one in site_groups.grouped([one.site for one in found], key, now_ms)
    ]
    if sort == "devices":
        return sorted(groups, key=lambda one: -(one.line.now.clients or 0))
    return groups if sort == "name" else sorted(groups, key=lambda one: one.rank)


def together(found: Sequence[Place], now_ms: int) -> PlaceGroup:
    """All of them as one group; there is at least one."""
    group = site_groups.group("", [one.site for one in found], now_ms)
    return PlaceGroup("", tuple(found), group.line)
