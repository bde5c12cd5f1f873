"""What people would get if something were wrong now: the rules, routes and hours, tried.

Rule: nothing is written or sent. All else is taken for well, and nobody acknowledges.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from titik_collector.alerts.alert import AlertSubject, Kind, Notification
from titik_collector.alerts.book import AlertBook
from titik_collector.alerts.desk_facts import DeliveryTime, DeskFacts
from titik_collector.alerts.evaluation import evaluate
from titik_collector.alerts.facts import LiveFacts, LiveRouter, LiveServer, LiveSite
from titik_collector.config.model import Config
from titik_collector.config.site_tables import Site
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS

LONG_MS = 3 * HOUR_MS  # for so long it goes on: two escalations
LOOK_MS = 30_000
UNTRIED: tuple[Kind, ...] = ("collector-down", "delivery-failing", "flapping")
OF_SERVER: tuple[Kind, ...] = (
    *("broker-down", "store-failing", "disk-low", "certificate-ending"),
    *(
        "backup-missing",
        "backup-old",
        "backup-unverified",
        "line-down",
        "copied-city",
        "store-alone",
        "upgrade-halted",
        "unknown-router",
    ),
)
OF_ROUTER: tuple[Kind, ...] = (
    *("router-offline", "no-internet", "wifi-unreadable", "hot", "samples-lost"),
)


@dataclass(frozen=True, slots=True)
class Trial:
    """Something wrong, from a moment on."""

    kind: Kind
    subject: AlertSubject
    from_ms: int


def tried(config: Config, trial: Trial) -> list[Notification]:
    """The messages, in order of their times."""
    well = _well(config, trial)
    book = AlertBook()
    out: dict[int, Notification] = {}
    looks = range(trial.from_ms - MINUTE_MS, trial.from_ms + LONG_MS, LOOK_MS)
    for at_ms in looks:
        live = replace(well, at_ms=at_ms)
        if at_ms >= trial.from_ms:
            live = _wrong(live, trial)
        step = evaluate(book, live, _delivered(out.values(), at_ms), config.alert_settings)
        book = step.book
        out |= {one.number: one for one in step.notifications if one.number is not None}
        for number in step.withdrawn:
            out.pop(number, None)
    found = [one for one in out.values() if one.message.what != "digest"]
    return sorted(found, key=lambda one: (one.due_ms, one.receiver))


def _delivered(out: Iterable[Notification], at_ms: int) -> DeskFacts:
    """What is due arrives at once."""
    first: dict[int, int] = {}
    for one in out:
        if one.incident is not None and one.due_ms <= at_ms:
            first[one.incident] = min(one.due_ms, first.get(one.incident, one.due_ms))
    return DeskFacts(delivered=tuple(DeliveryTime(*pair) for pair in first.items()))


def _well(config: Config, trial: Trial) -> LiveFacts:
    """The places that it is about, as if all were well for long."""
    names = {site.name for site in config.site if _is_about(config, site, trial.subject)}
    since_ms = trial.from_ms - DAY_MS
    return LiveFacts(
        at_ms=trial.from_ms,
        hears=True,
        routers=tuple(
            LiveRouter(name=one.name, site=one.site, state="online", since_ms=since_ms, lost=0)
            for one in config.router
            if one.site in names
        ),
        sites=tuple(_site(one) for one in config.site if one.name in names),
        server=LiveServer(
            collector=config.collector.id, connected=True, connected_since_ms=since_ms
        ),
        city=config.city.name,
        city_title=config.city.title,
    )


def _is_about(config: Config, site: Site, subject: AlertSubject) -> bool:
    scope, name = subject
    if scope == "router":
        return any(one.name == name and one.site == site.name for one in config.router)
    if scope == "group":
        return name in (f"provider:{site.provider}", f"district:{site.district}")
    return scope in ("city", "server") or site.name == name


def _site(site: Site) -> LiveSite:
    """Open, so that the trial does not depend on the hour."""
    return LiveSite(
        name=site.name,
        title=site.title,
        district=site.district,
        provider=site.provider,
        tier=site.tier,
        capacity=site.capacity or 100,
        uplink_mbps=site.uplink_mbps or 100.0,
        clients=10,
        clients_before=10,
        without_clients_ms=0,
        usual_clients=20.0,
    )


def _wrong(live: LiveFacts, trial: Trial) -> LiveFacts:
    if trial.kind in OF_SERVER:
        return replace(live, server=_wrong_server(live.server, trial))
    if trial.kind in OF_ROUTER:
        routers = [
            _wrong_router(one, trial) if one.name == trial.subject.name else one
            for one in live.routers
        ]
        return replace(live, routers=tuple(_served(live, routers, trial)))
    if trial.kind in ("site-offline", "group-outage"):
        away = [replace(one, state="offline", since_ms=trial.from_ms) for one in live.routers]
        return replace(live, routers=tuple(away))
    return replace(live, sites=tuple(_wrong_site(one, live.at_ms, trial) for one in live.sites))


def _served(live: LiveFacts, routers: list[LiveRouter], trial: Trial) -> list[LiveRouter]:
    """Of a router that is away another serves the site, though the site may have but one."""
    if trial.kind != "router-offline":
        return routers
    site, since_ms = live.sites[0].name, trial.from_ms - DAY_MS
    return [*routers, LiveRouter(name="other", site=site, state="online", since_ms=since_ms)]


def _wrong_router(router: LiveRouter, trial: Trial) -> LiveRouter:
    match trial.kind:
        case "router-offline":
            return replace(router, state="offline", since_ms=trial.from_ms)
        case "no-internet":
            return replace(router, internet=False, internet_since_ms=trial.from_ms)
        case "wifi-unreadable":
            return replace(router, unreadable=True)
        case "hot":
            return replace(router, temperature_c=120.0)
        case _:
            return replace(router, lost=10)


def _wrong_site(site: LiveSite, at_ms: int, trial: Trial) -> LiveSite:
    match trial.kind:
        case "radio-stuck":
            empty_ms = at_ms - trial.from_ms + DAY_MS
            return replace(site, clients=0, without_clients_ms=empty_ms)
        case "crowded":
            return replace(site, clients_mean=10.0 * (site.capacity or 1))
        case _:
            return replace(site, uplink_down_bps=(site.uplink_mbps or 1.0) * 1e6)


def _wrong_server(server: LiveServer, trial: Trial) -> LiveServer:
    match trial.kind:
        case "broker-down":
            return replace(server, connected=False, disconnected_since_ms=trial.from_ms)
        case "store-failing":
            return replace(server, storing=False, store_failed_ms=trial.from_ms)
        case "disk-low":
            return replace(server, disk_free_ratio=0.001, disk_free_bytes=1)
        case "certificate-ending":
            return replace(server, certificate_days=0)
        case "backup-missing":
            return replace(server, backup_wanted=False, collected_ms=trial.from_ms - DAY_MS)
        case "backup-unverified":
            return replace(server, backup_wanted=True, backup_ms=trial.from_ms, verified_ms=0)
        case "backup-old":
            return replace(server, backup_wanted=True, backup_ms=trial.from_ms - 400 * DAY_MS)
        case "line-down":
            return replace(server, line_down_since_ms=trial.from_ms)
        case "copied-city":
            return replace(server, is_copy=True)
        case "store-alone":
            return replace(server, is_store_alone=True)
        case "upgrade-halted":
            return replace(server, upgrade_halted_ms=trial.from_ms, upgrade_failed=1)
        case _:
            return replace(server, unknown_routers=1)
