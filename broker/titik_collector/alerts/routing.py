"""Who gets the messages about an incident, in whose week it is.

Rule: a receiver gets each message once, however many routes lead to it.
"""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import NamedTuple

from titik_collector.alerts import hours
from titik_collector.alerts.alert import Incident
from titik_collector.alerts.alert_settings import AlertSettings, Route
from titik_collector.alerts.facts import LiveSite


class Recipients(NamedTuple):
    """First those who get it at once; then those of each step, while nobody acknowledges."""

    first: tuple[str, ...]
    later: tuple[tuple[str, ...], ...]


def recipients(
    incident: Incident, sites: Sequence[LiveSite], settings: AlertSettings, at_ms: int
) -> Recipients:
    """Of all routes that this incident takes; `sites` are its members."""
    routes = [one for one in settings.routes if _takes(one, incident, sites)]
    first = _people((name for one in routes for name in one.receivers), settings, at_ms)
    steps = zip_longest(*(one.escalate for one in routes), fillvalue=())
    later = tuple(
        _people((name for some in step for name in some), settings, at_ms) for step in steps
    )
    return Recipients(first, later)


def colleagues(receiver: str, settings: AlertSettings) -> set[str]:
    """Who has the other weeks of a rota that this receiver is in."""
    rotas = (one.receivers for one in settings.rotas if receiver in one.receivers)
    return {name for some in rotas for name in some} - {receiver}


def digested(settings: AlertSettings, at_ms: int) -> tuple[str, ...]:
    """Who gets the digest: whoever wants what is only good to know."""
    routes = (one for one in settings.routes if "info" in one.severities)
    return _people((name for one in routes for name in one.receivers), settings, at_ms)


def _takes(route: Route, incident: Incident, sites: Sequence[LiveSite]) -> bool:
    if incident.severity not in route.severities:
        return False
    if route.kinds and incident.kind not in route.kinds:
        return False
    if not (route.sites or route.districts or route.providers):
        return True
    return any(
        one.name in route.sites
        or one.district in route.districts
        or one.provider in route.providers
        for one in sites
    )


def _people(names: Iterable[str], settings: AlertSettings, at_ms: int) -> tuple[str, ...]:
    rotas = {one.name: one for one in settings.rotas}
    return tuple(
        dict.fromkeys(
            hours.on_duty(rotas[name], at_ms, settings.zone) if name in rotas else name
            for name in names
        )
    )
