"""Which messages people get, and who of them: `[alerts]`, `[[alert]]` and `[[route]]`."""

import difflib
import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple, get_args
from zoneinfo import ZoneInfo

from titik_collector.alerts.alert import Kind as AlertKind
from titik_collector.alerts.alert import Severity
from titik_collector.alerts.alert_settings import (
    AlertSettings,
    Hours,
    Rota,
    Route,
    RuleSetting,
)
from titik_collector.config.schema import (
    FILE,
    FLAG,
    ConfigError,
    Kind,
    Setting,
    names,
    one_of,
    real,
    some_of,
    text,
    texts,
)
from titik_collector.config.site_tables import Site, no_such_site
from titik_collector.limits import MAX_NAMED, MAX_OUTSIDE, MAX_ROUTED, MAX_STEPS

KINDS: tuple[AlertKind, ...] = get_args(AlertKind)
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
NIGHT = Hours(22 * 60, 6 * 60)
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_NEVER = "never"
NEVER = Hours(0, 0)


class Outside(NamedTuple):
    """An address outside; no name, because that would be asked for and waited for."""

    host: str
    port: int


class Figure(NamedTuple):
    """What the `threshold` of a kind is."""

    what: str
    minimum: float
    maximum: float
    has_clear: bool = False
    falls: bool = False  # it raises the alert when it falls below


FIGURES: dict[AlertKind, Figure] = {
    "radio-stuck": Figure("minutes without a client", 10, 1440),
    "crowded": Figure("visitors as a share of `capacity`", 0.1, 10, True),
    "uplink-full": Figure("traffic as a share of `uplink_mbps`", 0.1, 1, True),
    "hot": Figure("degrees Celsius", 30, 130, True),
    "flapping": Figure("changes in an hour", 2, 60),
    "disk-low": Figure("the free share of the disk", 0.01, 0.9, True, True),
    "certificate-ending": Figure("days", 1, 365),
    "backup-old": Figure("hours", 1, 8760),
    "backup-unverified": Figure("days", 1, 365),
}


def _minute(clock: str) -> int:
    found = _CLOCK.fullmatch(clock)
    if found is None:
        raise ValueError(f"{clock!r} is no time of a day")
    return int(found[1]) * 60 + int(found[2])


def _read_clock(value: object, base: Path) -> int:
    return _minute(text().read(value, base))


def _read_hours(value: object, base: Path) -> Hours:
    found: str = text().read(value, base)
    if found == _NEVER:
        return NEVER
    begin, dash, end = found.partition("-")
    hours = Hours(_minute(begin.strip()), _minute(end.strip() if dash else ""))
    if hours.from_min == hours.to_min:
        raise ValueError(f"{found!r} has no length")
    return hours


def _read_rule(value: object, base: Path) -> str:
    found: str = text().read(value, base)
    if found not in KINDS:
        raise ValueError(f'there is no rule "{found}"; {_near(found, KINDS, "")}')
    return found


def _read_rules(value: object, base: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("is no list of rules")
    return tuple(_read_rule(one, base) for one in value)


def _read_outside(value: object, base: Path) -> tuple[Outside, ...]:
    if not isinstance(value, list) or len(value) > MAX_OUTSIDE:
        raise ValueError("does not fit")
    return tuple(_outside(text().read(one, base)) for one in value)


def _outside(written: str) -> Outside:
    host, _, port = written.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        number = int(port)
    except ValueError:
        raise ValueError(f"{written!r} is no address with a port") from None
    if not 1 <= number <= 65535:
        raise ValueError(f"{written!r} has no port from 1 to 65535")
    return Outside(str(address), number)


def _read_steps(value: object, base: Path) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list) or len(value) > MAX_STEPS:
        raise ValueError("does not fit")
    return tuple(_SOME.read(one if isinstance(one, list) else [one], base) for one in value)


_SOME = names(MAX_ROUTED)
CLOCK = Kind('a time in quotes, such as "07:00"', _read_clock)
DAILY = Kind(f'two times in quotes, such as "22:00-06:00", or "{_NEVER}"', _read_hours)
RULE = Kind('the name of a rule in quotes, such as "site-offline"', _read_rule)
RULES = Kind('a list of rules, such as `["site-offline"]`', _read_rules)
OUTSIDE = Kind(
    f'at most {MAX_OUTSIDE} addresses with ports, such as `["1.1.1.1:443", "8.8.8.8:53"]`',
    _read_outside,
)
STEPS = Kind(
    f'at most {MAX_STEPS} steps, each a list of names, such as `[["head"], ["mayor"]]`',
    _read_steps,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """[alerts]"""

    on: Annotated[
        bool, Setting(FLAG, "whether rules are looked at; `false`: nobody gets a message")
    ] = True
    quiet: Annotated[
        Hours,
        Setting(DAILY, "from when they begin until `morning` warnings wait", '`"22:00-06:00"`'),
    ] = NIGHT
    morning: Annotated[
        int,
        Setting(CLOCK, "when warnings of the night are sent, if they last", '`"07:00"`'),
    ] = 7 * 60
    digest: Annotated[
        int,
        Setting(
            CLOCK, "when the summary of a day is sent, which comes also if all is well", '`"08:00"`'
        ),
    ] = 8 * 60
    backup: Annotated[
        Path | None,
        Setting(
            FILE,
            "the same as `folder` of `[backup]`, which counts where both are given",
            "none",
        ),
    ] = None
    line: Annotated[
        tuple[Outside, ...],
        Setting(
            OUTSIDE,
            "addresses outside that answer while the server's own line to the internet works",
            "none: the line is not tested",
        ),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """[[alert]]"""

    kind: Annotated[AlertKind, Setting(RULE, "the rule; see [alerts.md](alerts.md)")]
    on: Annotated[bool, Setting(FLAG, "`false`: this rule is not looked at")] = True
    for_minutes: Annotated[
        float | None,
        Setting(real(0, 1440), "how long it has to be so before it fires", "as shipped"),
    ] = None
    keep_minutes: Annotated[
        float | None,
        Setting(real(0, 1440), "how long it has to be over before it counts as over", "as shipped"),
    ] = None
    threshold: Annotated[
        float | None,
        Setting(
            real(0, 1_000_000), "of a rule with a figure: from where on it is so", "as shipped"
        ),
    ] = None
    clear: Annotated[
        float | None,
        Setting(real(0, 1_000_000), "of a rule with a figure: where it is over", "as shipped"),
    ] = None
    severity: Annotated[
        Severity | None,
        Setting(
            one_of(*SEVERITIES),
            "how much it matters; `site-offline` of tier 1 is critical anyway",
            "as shipped",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRoute:
    """[[route]]"""

    receivers: Annotated[
        tuple[str, ...], Setting(_SOME, "who gets the messages: names of receivers and rotas")
    ]
    severities: Annotated[
        tuple[Severity, ...], Setting(some_of(*SEVERITIES), "of what severities", "all")
    ] = SEVERITIES
    kinds: Annotated[tuple[AlertKind, ...], Setting(RULES, "of what rules", "all")] = ()
    sites: Annotated[tuple[str, ...], Setting(_SOME, "of what sites", "all")] = ()
    districts: Annotated[
        tuple[str, ...], Setting(texts(MAX_ROUTED), "of what districts", "all")
    ] = ()
    providers: Annotated[
        tuple[str, ...], Setting(texts(MAX_ROUTED), "of what providers", "all")
    ] = ()
    escalate: Annotated[
        tuple[tuple[str, ...], ...],
        Setting(
            STEPS,
            "who comes next, if nobody acknowledges what is critical: after 30 minutes, and after"
            " 2 hours",
            "nobody",
        ),
    ] = ()


def check_alerts(
    file: Path,
    rules: Sequence[AlertRule],
    routes: Sequence[AlertRoute],
    sites: Sequence[Site],
    receivers: Sequence[str],
) -> None:
    """Each rule is there once, and a route names what there is; ConfigError.

    `receivers`: the names of receivers and rotas.
    """
    first: dict[str, int] = {}
    for number, rule in enumerate(rules):
        path = f"alert[{number}] ({rule.kind})"
        if rule.kind in first:
            wrong = f"{rule.kind} is alert[{first[rule.kind]}] already"
            raise ConfigError(file, f"{path}.kind", wrong, "allowed: each kind once")
        first[rule.kind] = number
        _check_figure(file, path, rule)
    for number, route in enumerate(routes):
        _check_route(file, f"route[{number}]", route, sites, receivers)


def _check_figure(file: Path, path: str, rule: AlertRule) -> None:
    figure = FIGURES.get(rule.kind)
    for key, value in (("threshold", rule.threshold), ("clear", rule.clear)):
        if value is None:
            continue
        if figure is None or (key == "clear" and not figure.has_clear):
            having = [kind for kind, one in FIGURES.items() if key == "threshold" or one.has_clear]
            allowed = f"leave it out; it is for {', '.join(having)}"
            raise ConfigError(file, f"{path}.{key}", f"is of no use with {rule.kind}", allowed)
        if not figure.minimum <= value <= figure.maximum:
            allowed = f"allowed: {figure.what}, from {figure.minimum:g} to {figure.maximum:g}"
            raise ConfigError(file, f"{path}.{key}", f"{value:g} does not fit", allowed)
    if figure is not None and figure.has_clear and (rule.threshold is None) != (rule.clear is None):
        key = "clear" if rule.clear is None else "threshold"
        raise ConfigError(file, f"{path}.{key}", "is missing", "give threshold and clear together")
    if figure is None or rule.threshold is None or rule.clear is None:
        return
    if (rule.clear > rule.threshold) != figure.falls:
        side = "above" if figure.falls else "below"
        wrong = f"{rule.clear:g} is not {side} threshold, {rule.threshold:g}"
        raise ConfigError(file, f"{path}.clear", wrong, f"give one {side} it, so that it can end")


def _check_route(
    file: Path, path: str, route: AlertRoute, sites: Sequence[Site], receivers: Sequence[str]
) -> None:
    if not route.receivers:
        raise ConfigError(file, f"{path}.receivers", "has nobody", "give at least one receiver")
    for key, given in (
        ("receivers", route.receivers),
        *(("escalate", step) for step in route.escalate),
    ):
        for name in given:
            if name not in receivers:
                wrong = f'there is no receiver or rota "{name}"'
                remedy = _near(name, receivers, "add a [[receiver]] of that name")
                raise ConfigError(file, f"{path}.{key}", wrong, remedy)
    known = [site.name for site in sites]
    for name in route.sites:
        if name not in known:
            wrong = f'there is no site "{name}"'
            raise ConfigError(file, f"{path}.sites", wrong, no_such_site(name, known))
    for key, words, of_sites in (
        ("districts", route.districts, {site.district for site in sites}),
        ("providers", route.providers, {site.provider for site in sites}),
    ):
        for word in words:
            if word not in of_sites:
                some = sorted(one for one in of_sites if one is not None)
                remedy = _near(word, some, f"give a [[site]] its {key.removesuffix('s')}")
                raise ConfigError(file, f"{path}.{key}", f'no site has "{word}"', remedy)


def _near(name: str, known: Sequence[str], none: str) -> str:
    """The remedy for a name that is not there."""
    if not known:
        return none
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else f"allowed: {', '.join(known[:MAX_NAMED])}"


def settings_of(
    zone: ZoneInfo,
    alerts: Alerts,
    rules: Iterable[AlertRule],
    routes: Sequence[AlertRoute],
    rotas: Iterable[Rota],
    receivers: Sequence[str],
) -> AlertSettings:
    """As the rules take them. Without any route each receiver gets all messages."""
    whole = (Route(tuple(receivers)),) if receivers else ()
    return AlertSettings(
        zone=zone,
        rules=tuple(_setting(one) for one in rules),
        routes=tuple(_route(one) for one in routes) or whole,
        rotas=tuple(rotas),
        quiet=alerts.quiet,
        morning_min=0 if alerts.quiet == NEVER else alerts.morning,
        digest_min=alerts.digest,
    )


def _setting(one: AlertRule) -> RuleSetting:
    return RuleSetting(
        kind=one.kind,
        is_on=one.on,
        for_s=None if one.for_minutes is None else one.for_minutes * 60,
        keep_s=None if one.keep_minutes is None else one.keep_minutes * 60,
        threshold=one.threshold,
        clear=one.clear,
        severity=one.severity,
    )


def _route(one: AlertRoute) -> Route:
    return Route(
        receivers=one.receivers,
        severities=one.severities,
        kinds=one.kinds,
        sites=one.sites,
        districts=one.districts,
        providers=one.providers,
        escalate=one.escalate,
    )
