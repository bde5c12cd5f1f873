"""Sites together by what one of their facts says, such as those of each provider.

Rule: a site with several tags is in the group of each, so groups of tags do not add up to the city.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from titik_collector.live.now import LiveTotals, Share
from titik_collector.queries.status import Line, RouterStatus, SiteStatus, summed
from titik_collector.queries.status_where import values
from titik_wire.city_messages import Now


@dataclass(frozen=True, slots=True)
class SiteGroup:
    """The sites of one value, and their sums."""

    value: str  # as the first of them has it; empty: theirs is not given
    sites: tuple[SiteStatus, ...]
    line: Line


def grouped(sites: Iterable[SiteStatus], key: str, now_ms: int) -> list[SiteGroup]:
    """By value; sites without one come last."""
    found: dict[str, list[SiteStatus]] = {}
    spelled: dict[str, str] = {}
    for one in sites:
        for value in values(one.facts, key) or ("",):
            spelled.setdefault(value.casefold(), value)
            found.setdefault(value.casefold(), []).append(one)
    in_order = sorted(found, key=lambda folded: (not folded, folded))
    return [group(spelled[folded], found[folded], now_ms) for folded in in_order]


def group(value: str, sites: Sequence[SiteStatus], now_ms: int) -> SiteGroup:
    """These sites, added up as a site adds up its routers."""
    routers = [router for one in sites for router in one.routers]
    return SiteGroup(value, tuple(sites), summed(value, _now(routers, now_ms), routers))


def _now(routers: Sequence[RouterStatus], now_ms: int) -> Now:
    totals = LiveTotals()
    for number, one in enumerate(routers):
        totals.put(number, _share(one.now))
    return totals.now("site", "group", now_ms)


def _share(now: Now) -> Share:
    figures = (
        *(now.clients, now.active, now.wifi_down_bps, now.wifi_up_bps),
        *(now.uplink_down_bps, now.uplink_up_bps),
    )
    is_seen = any(one is not None for one in figures)
    return Share(now.state, figures, now.at if is_seen else None)
