"""In a city of thousands the rules look at few, and leave out nothing that they would find."""

from itertools import product

import pytest

from tests.alerts.cities import NOON_MS, city, router, site
from titik_collector.alerts.alert import Alert, AlertKey, AlertSubject, Kind
from titik_collector.alerts.facts import LiveFacts, LiveRouter, LiveSite
from titik_collector.alerts.rules import (
    DEFAULTS,
    FALSE,
    OF_ROUTERS,
    OF_SITES,
    UNKNOWN,
    Known,
    look,
    places_of,
)

OF_ROUTER = {  # figures below, at and above each threshold
    "state": ("online", "silent", "offline", "unknown"),
    "internet": (None, True, False),
    "unreadable": (None, True, False),
    "temperature_c": (None, 50.0, 84.0, 85.0),
    "lost": (None, 0, 3),
    "in_doubt": (True, False),
}
OF_SITE = {
    "capacity": (None, 30, 0),
    "clients_mean": (None, 0.0, 29.0, 30.0),
    "uplink_mbps": (None, 50.0, 0.0),
    "uplink_down_bps": (None, 0.0, 44e6, 45e6),
    "without_clients_ms": (None, 0, 1, 7_200_000),
    "usual_clients": (None, 5.0, 20.0),
}


def all_routers() -> list[LiveRouter]:
    """Each like no other, at a place of its own."""
    every = enumerate(product(*OF_ROUTER.values()))
    return [
        router(f"router-{number}", **dict(zip(OF_ROUTER, values, strict=True)))
        for number, values in every
    ]


def all_sites() -> list[LiveSite]:
    """Each like no other."""
    every = enumerate(product(*OF_SITE.values()))
    return [
        site(f"site-{number}", **dict(zip(OF_SITE, values, strict=True)))
        for number, values in every
    ]


def everything() -> LiveFacts:
    """All that a router or a place may be like."""
    odd, places = all_routers(), all_sites()
    return city(
        NOON_MS,
        [*odd, *(router(f"at-{one.name}", one.name) for one in places)],
        [*(site(one.site) for one in odd), *places],
    )


def firing(kind: Kind, subject: AlertSubject) -> Alert:
    """An alert that fires for a minute."""
    key = AlertKey(kind, subject)
    return Alert(key=key, phase="firing", known=True, since_ms=NOON_MS - 60_000)


def all_fire(facts: LiveFacts) -> dict[Kind, dict[str, Alert]]:
    """Each rule at each router and place."""
    known: dict[Kind, dict[str, Alert]] = {}
    for kind in OF_ROUTERS:
        names = [one.name for one in facts.routers]
        known[kind] = {name: firing(kind, AlertSubject("router", name)) for name in names}
    for kind in OF_SITES:
        names = [one.name for one in facts.sites]
        known[kind] = {name: firing(kind, AlertSubject("site", name)) for name in names}
    return known


def found_one_by_one(facts: LiveFacts, known: Known) -> list[tuple[Kind, str]]:
    """Each rule at each router and place."""
    places, found = places_of(facts), list[tuple[Kind, str]]()
    for kind, of_router in OF_ROUTERS.items():
        for one in facts.routers:
            alert = known.get(kind, {}).get(one.name)
            finding = of_router(one, places[one.site], DEFAULTS[kind], alert)
            if alert is not None or finding not in (FALSE, UNKNOWN):
                found.append((kind, one.name))
    for kind, of_site in OF_SITES.items():
        for name, place in places.items():
            alert = known.get(kind, {}).get(name)
            finding = of_site(place, DEFAULTS[kind], alert, facts.at_ms)
            if alert is not None or finding not in (FALSE, UNKNOWN):
                found.append((kind, name))
    return found


@pytest.mark.thorough
def test_nothing_that_a_rule_finds_is_left_out() -> None:
    """Whatever routers and places are like, and whatever fires."""
    facts = everything()
    places = places_of(facts)
    for known in ({}, all_fire(facts)):
        looked = look(facts, DEFAULTS, places, known)
        found = [(key.kind, key.subject.name) for key, _, _ in looked]
        assert found_one_by_one(facts, known) == [one for one in found if one[1] != "kupang-1"]
