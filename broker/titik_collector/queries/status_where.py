"""The part of the city that a fact of its sites chooses, such as `provider=Telkom`."""

from collections.abc import Iterable
from dataclasses import replace

from titik_collector.queries.status import CityStatus, SiteStatus
from titik_collector.store.site_fact_rows import SiteFacts

KEYS = ("provider", "circuit", "district", "power", "tier", "tags")


class BadWhere(ValueError):
    """What was typed chooses nothing; says what would."""


def only(city: CityStatus, text: str) -> CityStatus:
    """The sites where it is so, and their routers; the city's own line stays. BadWhere."""
    key, equals, wanted = text.partition("=")
    if not equals or key not in KEYS:
        raise BadWhere(f"{text!r}: write KEY=VALUE, where KEY is one of {', '.join(KEYS)}")
    found = tuple(one for one in city.sites if has(one.facts, key, wanted))
    if not found:
        known = sorted(set().union(*(values(one.facts, key) for one in city.sites)))
        raise BadWhere(f"no site has {text}; there is {', '.join(known) or f'no {key}'}")
    return replace(city, sites=found, homeless=())


def has(facts: SiteFacts, key: str, wanted: str) -> bool:
    """Large and small letters are the same; an empty text is of sites without a value."""
    found = {one.casefold() for one in values(facts, key)}
    return wanted.casefold() in found if wanted else not found


def values(facts: SiteFacts, key: str) -> tuple[str, ...]:
    """Several only of tags."""
    value = getattr(facts, key)
    several = value if isinstance(value, tuple) else () if value is None else (value,)
    return tuple(str(one) for one in several)


def divides(sites: Iterable[SiteStatus], key: str) -> bool:
    """Whether it says something else of one site than of another."""
    return len({frozenset(values(one.facts, key)) for one in sites}) > 1
