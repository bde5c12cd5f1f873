"""Who gets messages in a city, and when: rules, routes and hours, as it is configured."""

from dataclasses import dataclass, field
from typing import NamedTuple
from zoneinfo import ZoneInfo

from titik_collector.alerts.alert import Kind, Severity


class RuleSetting(NamedTuple):
    """What the configuration says of one rule; None: as shipped."""

    kind: Kind
    is_on: bool = True
    for_s: float | None = None
    keep_s: float | None = None
    threshold: float | None = None
    clear: float | None = None
    severity: Severity | None = None


class Route(NamedTuple):
    """Who gets what: of these severities and places, to these receivers."""

    receivers: tuple[str, ...]
    severities: tuple[Severity, ...] = ("critical", "warning", "info")
    kinds: tuple[Kind, ...] = ()  # none: all
    sites: tuple[str, ...] = ()  # none: all
    districts: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    escalate: tuple[tuple[str, ...], ...] = ()  # who comes next, a step each


class Rota(NamedTuple):
    """A receiver that is another one each week, from Monday on."""

    name: str
    receivers: tuple[str, ...]  # in the order of their weeks
    monday_ms: int  # when the first of them began


class Hours(NamedTuple):
    """Of each day, in minutes from midnight in the city's zone; it may pass midnight."""

    from_min: int
    to_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """All of it."""

    zone: ZoneInfo
    rules: tuple[RuleSetting, ...] = ()
    routes: tuple[Route, ...] = ()
    rotas: tuple[Rota, ...] = ()
    quiet: Hours = field(default=Hours(22 * 60, 6 * 60))  # warnings wait
    morning_min: int = 7 * 60  # until then a single place of a lower tier waits
    digest_min: int = 8 * 60
