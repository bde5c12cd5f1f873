"""The part of the city that a fact of its sites chooses, such as `provider=Telkom`."""

from dataclasses import replace

from titik_collector.queries.status import CityStatus
from titik_collector.store.site_fact_rows import SiteFacts

KEYS = ("provider", "circuit", "district", "power", "tier", "tags")


class BadWhere(ValueError):
    """What was typed chooses nothing; says what would."""


def only(city: CityStatus, text: str) -> CityStatus:
    """The sites where it is so, and their routers; the city's own line stays. BadWhere."""
    key, equals, wanted = text.partition("=")
    if not equals or key not in KEYS:
        raise BadWhere(f"{text!r}: write KEY=VALUE, where KEY is one of {', '.join(KEYS)}")
    found = tuple(one for one in city.sites if _has(one.facts, key, wanted))
    if not found:
        known = sorted(set().union(*(_values(one.facts, key) for one in city.sites)))
        raise BadWhere(f"no site has {text}; there is {', '.join(known) or f'no {key}'}")
    return replace(city, sites=found, homeless=())


def _has(facts: SiteFacts, key: str, wanted: str) -> bool:
    return wanted.casefold() in {one.casefold() for one in _values(facts, key)}


def _values(facts: SiteFacts, key: str) -> set[str]:
    value = getattr(facts, key)
    several = value if isinstance(value, tuple) else () if value is None else (value,)
    return {str(one) for one in several}
