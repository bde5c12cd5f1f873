"""What the rules find in the present: for each subject whether its condition is true.

Rule: a rule is a pure function of live facts. It answers true, false or not known.
Rule: a condition that is true ends below another threshold than it begins at.
Rule: a fact's own time counts, not when it was noticed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from titik_collector.alerts.alert import Alert, AlertKey, AlertSubject, Kind, Severity
from titik_collector.alerts.alert_settings import RuleSetting
from titik_collector.alerts.facts import LiveFacts, LiveRouter, LiveServer, LiveSite
from titik_wire.instant import DAY_MS, HOUR_MS

GIB = 1 << 30
MIN_FREE_BYTES = 2 * GIB
USUALLY_SOME = 10  # clients: where fewer are usual, none for an hour is chance


class Rule(NamedTuple):
    """One rule as it counts in this city."""

    kind: Kind
    for_ms: int
    keep_ms: int
    severity: Severity
    threshold: float = 0.0
    clear: float = 0.0


class Finding(NamedTuple):
    """What a rule finds of one subject."""

    holds: bool | None  # None: not known
    from_ms: int | None = None  # when it began; None: now
    value: float | None = None
    runs: bool = True  # false: it holds, but `for` does not run, because the place is closed
    is_mark: bool = False  # later values are compared with this one


FALSE, UNKNOWN, TRUE = Finding(False), Finding(None), Finding(True)

DEFAULTS: Mapping[Kind, Rule] = {
    one.kind: one
    for one in (
        Rule("site-offline", 5 * 60_000, 2 * 60_000, "warning"),
        Rule("router-offline", 15 * 60_000, 2 * 60_000, "warning"),
        Rule("group-outage", 2 * 60_000, 5 * 60_000, "critical", 5, 0.5),
        Rule("no-internet", 5 * 60_000, 3 * 60_000, "warning"),
        Rule("radio-stuck", 50 * 60_000, 0, "warning", 10),
        Rule("wifi-unreadable", 15 * 60_000, 5 * 60_000, "warning"),
        Rule("crowded", 0, 15 * 60_000, "info", 1.0, 0.85),
        Rule("uplink-full", 0, 15 * 60_000, "info", 0.9, 0.75),
        Rule("hot", 10 * 60_000, 10 * 60_000, "warning", 85.0, 75.0),
        Rule("samples-lost", 0, DAY_MS, "info"),
        Rule("flapping", 0, 0, "warning", 4),
        Rule("broker-down", 2 * 60_000, 60_000, "critical"),
        Rule("store-failing", 60_000, 5 * 60_000, "critical"),
        Rule("disk-low", 60_000, 5 * 60_000, "critical", 0.1, 0.15),
        Rule("certificate-ending", 0, 0, "warning", 60),
        Rule("backup-missing", 0, 0, "warning"),
        Rule("backup-old", 0, 0, "warning", 36),
        Rule("backup-unverified", 0, 0, "warning", 10),
        Rule("line-down", 2 * 60_000, 60_000, "critical"),
        Rule("copied-city", 0, 5 * 60_000, "critical"),
        Rule("store-alone", 5 * 60_000, 60_000, "warning"),
        Rule("upgrade-halted", 0, 0, "warning"),
        Rule("unknown-router", 0, 0, "info"),
    )
}


def rules_of(settings: Iterable[RuleSetting]) -> dict[Kind, Rule]:
    """Those that are on, as configured."""
    rules = dict(DEFAULTS)
    for one in settings:
        if not one.is_on:
            rules.pop(one.kind, None)
        elif one.kind in rules:
            rules[one.kind] = _configured(rules[one.kind], one)
    return rules


def _configured(rule: Rule, setting: RuleSetting) -> Rule:
    return rule._replace(
        for_ms=rule.for_ms if setting.for_s is None else round(setting.for_s * 1000),
        keep_ms=rule.keep_ms if setting.keep_s is None else round(setting.keep_s * 1000),
        severity=setting.severity or rule.severity,
        threshold=rule.threshold if setting.threshold is None else setting.threshold,
        clear=rule.clear if setting.clear is None else setting.clear,
    )


class PlaceNow(NamedTuple):
    """A site with its routers, and whether somebody is served there."""

    site: LiveSite
    routers: Sequence[LiveRouter]
    is_served: bool | None  # None: not known, also where it has no router


def places_of(facts: LiveFacts) -> dict[str, PlaceNow]:
    """All sites, by name."""
    routers: dict[str, list[LiveRouter]] = {one.name: [] for one in facts.sites}
    for router in facts.routers:
        if router.site in routers:
            routers[router.site].append(router)
    return {
        one.name: PlaceNow(one, some, _is_served(some))
        for one, some in zip(facts.sites, routers.values(), strict=True)
    }


def _is_served(routers: Sequence[LiveRouter]) -> bool | None:
    is_down = bool(routers)
    for router in routers:
        if router.state == "online" and not router.in_doubt:
            return True  # nearly always
        is_down = is_down and router.state != "unknown" and not router.in_doubt
    return False if is_down else None


# Of a router: whether its condition is true; `before` is its alert, where there is one.


def router_offline(router: LiveRouter, place: PlaceNow, _: Rule, before: Alert | None) -> Finding:
    """Away, while others serve its site; of a whole site the site's own alert is enough."""
    if router.in_doubt or router.state == "unknown":
        return UNKNOWN
    if router.state == "online":
        return FALSE
    if place.is_served:
        return Finding(True, router.since_ms)
    return UNKNOWN if before is not None else FALSE


def no_internet(router: LiveRouter, _: PlaceNow, __: Rule, ___: Alert | None) -> Finding:
    """Online, while each round of `reach` failed for five minutes."""
    if router.state != "online" or router.internet is None:
        return UNKNOWN
    return FALSE if router.internet else Finding(True, router.internet_since_ms)


def wifi_unreadable(router: LiveRouter, _: PlaceNow, __: Rule, ___: Alert | None) -> Finding:
    """hostapd does not answer the agent."""
    if router.state != "online" or router.unreadable is None:
        return UNKNOWN
    return TRUE if router.unreadable else FALSE


def hot(router: LiveRouter, _: PlaceNow, rule: Rule, before: Alert | None) -> Finding:
    """Warmer than it can bear for long."""
    if router.state != "online":
        return UNKNOWN
    return _above(router.temperature_c, rule, before)


def samples_lost(router: LiveRouter, _: PlaceNow, __: Rule, before: Alert | None) -> Finding:
    """More samples are lost for good than were before."""
    if router.lost is None:
        return UNKNOWN
    known = 0 if before is None or before.value is None else before.value
    return Finding(True, None, router.lost, is_mark=True) if router.lost > known else FALSE


# Of a site.


def site_offline(place: PlaceNow, _: Rule, __: Alert | None, ___: int) -> Finding:
    """Nobody is served there, since its last router went."""
    if place.is_served is None:
        return UNKNOWN
    return FALSE if place.is_served else Finding(True, max(one.since_ms for one in place.routers))


def radio_stuck(place: PlaceNow, rule: Rule, before: Alert | None, at_ms: int) -> Finding:
    """Online without any client, where at this hour there usually are some."""
    site = place.site
    if not place.is_served or site.without_clients_ms is None:
        return UNKNOWN
    if site.without_clients_ms == 0:
        return FALSE
    if site.usual_clients is None:
        return UNKNOWN
    is_raised = _is_raised(before)
    if site.without_clients_ms < rule.threshold * 60_000 or site.usual_clients < USUALLY_SOME:
        return UNKNOWN if is_raised else FALSE  # once raised, only a client ends it
    # Where it is empty each night, `for` counts from when somebody usually is there.
    from_ms = at_ms - site.without_clients_ms if is_raised else None
    return Finding(True, from_ms, site.usual_clients)


def crowded(place: PlaceNow, rule: Rule, before: Alert | None, _: int) -> Finding:
    """More clients than the place is meant for."""
    mean, capacity = place.site.clients_mean, place.site.capacity
    return _above(mean / capacity if mean is not None and capacity else None, rule, before)


def uplink_full(place: PlaceNow, rule: Rule, before: Alert | None, _: int) -> Finding:
    """Its line carries nearly all that it can."""
    down_bps, line_mbps = place.site.uplink_down_bps, place.site.uplink_mbps
    share = down_bps / line_mbps / 1e6 if down_bps is not None and line_mbps else None
    return _above(share, rule, before)


# Of the server.


def broker_down(server: LiveServer, _: Rule, __: Alert | None, ___: int) -> Finding:
    """The collector has no connection to the broker; in a copy that is no fault."""
    if server.is_copy:
        return UNKNOWN
    return FALSE if server.connected else Finding(True, server.disconnected_since_ms)


def store_failing(server: LiveServer, _: Rule, __: Alert | None, ___: int) -> Finding:
    """What arrives cannot be stored."""
    return FALSE if server.storing else Finding(True, server.store_failed_ms)


def disk_low(server: LiveServer, rule: Rule, before: Alert | None, _: int) -> Finding:
    """The disk is nearly full, by its share or in bytes."""
    ratio, free = server.disk_free_ratio, server.disk_free_bytes
    if ratio is None and free is None:
        return UNKNOWN
    enough = rule.clear if _is_raised(before) else rule.threshold
    is_low = (ratio is not None and ratio < enough) or (free is not None and free < MIN_FREE_BYTES)
    return Finding(True, None, ratio) if is_low else FALSE


def certificate_ending(server: LiveServer, rule: Rule, _: Alert | None, __: int) -> Finding:
    """A certificate that nobody renews ends soon."""
    days = server.certificate_days
    if days is None:
        return UNKNOWN
    return Finding(True, None, days) if days < rule.threshold else FALSE


def backup_missing(server: LiveServer, _: Rule, __: Alert | None, at_ms: int) -> Finding:
    """No folder of backups is named, or none is in it; a new city has its first day."""
    if server.backup_wanted is None:
        return UNKNOWN
    if server.backup_ms is not None or _is_new(server, at_ms, DAY_MS):
        return FALSE
    return TRUE


def _is_new(server: LiveServer, at_ms: int, for_ms: int) -> bool:
    return server.collected_ms is None or at_ms - server.collected_ms < for_ms


def backup_old(server: LiveServer, rule: Rule, before: Alert | None, at_ms: int) -> Finding:
    """The newest backup is older than one of each night would be."""
    if server.backup_wanted is None:
        return UNKNOWN
    if server.backup_ms is None:
        return _of_none(before)
    age_h = (at_ms - server.backup_ms) / HOUR_MS
    return Finding(True, server.backup_ms, age_h) if age_h > rule.threshold else FALSE


def backup_unverified(server: LiveServer, rule: Rule, before: Alert | None, at_ms: int) -> Finding:
    """Nobody looked into a backup for long, or the last look found something wrong."""
    if server.backup_wanted is None:
        return UNKNOWN
    if server.backup_ms is None:
        return _of_none(before)
    if server.verified_ms is None:
        return FALSE if _is_new(server, at_ms, round(rule.threshold * DAY_MS)) else TRUE
    age_days = (at_ms - server.verified_ms) / DAY_MS
    is_over = not server.verified_well or age_days > rule.threshold
    return Finding(True, server.verified_ms, age_days) if is_over else FALSE


def _of_none(before: Alert | None) -> Finding:
    """No backup is old or bad where there is none; but that is not the good end of an alert."""
    return UNKNOWN if _is_raised(before) else FALSE


def line_down(server: LiveServer, _: Rule, __: Alert | None, ___: int) -> Finding:
    """The server's own line to the internet fails."""
    since_ms = server.line_down_since_ms
    return FALSE if since_ms is None else Finding(True, since_ms)


def copied_city(server: LiveServer, _: Rule, __: Alert | None, ___: int) -> Finding:
    """Another collector took the broker over."""
    return TRUE if server.is_copy else FALSE


def store_alone(server: LiveServer, _: Rule, __: Alert | None, ___: int) -> Finding:
    """What is acknowledged would be lost with one server."""
    if server.is_store_alone is None:
        return UNKNOWN
    return TRUE if server.is_store_alone else FALSE


def upgrade_halted(server: LiveServer, _: Rule, __: Alert | None, ___: int) -> Finding:
    """Too many routers failed, so no other one is asked."""
    halted_ms = server.upgrade_halted_ms
    return FALSE if halted_ms is None else Finding(True, halted_ms, server.upgrade_failed)


def unknown_router(server: LiveServer, _: Rule, __: Alert | None, ___: int) -> Finding:
    """Somebody unregistered reports."""
    count = server.unknown_routers
    if count is None:
        return UNKNOWN
    return Finding(True, None, count) if count > 0 else FALSE


def _above(value: float | None, rule: Rule, before: Alert | None) -> Finding:
    """Whether a figure is at its threshold; once there, whether it has not fallen enough."""
    if value is None:
        return UNKNOWN
    least = rule.threshold if before is None or not _is_raised(before) else rule.clear
    return Finding(True, None, value) if value >= least else FALSE


def _is_raised(before: Alert | None) -> bool:
    return before is not None and before.phase in ("firing", "recovering")


OfRouter = Callable[[LiveRouter, PlaceNow, Rule, Alert | None], Finding]
OfSite = Callable[[PlaceNow, Rule, Alert | None, int], Finding]
OfServer = Callable[[LiveServer, Rule, Alert | None, int], Finding]
OF_ROUTERS: Mapping[Kind, OfRouter] = {
    "router-offline": router_offline,
    "no-internet": no_internet,
    "wifi-unreadable": wifi_unreadable,
    "hot": hot,
    "samples-lost": samples_lost,
}
OF_SITES: Mapping[Kind, OfSite] = {
    "site-offline": site_offline,
    "radio-stuck": radio_stuck,
    "crowded": crowded,
    "uplink-full": uplink_full,
}
OF_SERVER: Mapping[Kind, OfServer] = {
    "broker-down": broker_down,
    "store-failing": store_failing,
    "disk-low": disk_low,
    "certificate-ending": certificate_ending,
    "backup-missing": backup_missing,
    "backup-old": backup_old,
    "backup-unverified": backup_unverified,
    "line-down": line_down,
    "copied-city": copied_city,
    "store-alone": store_alone,
    "upgrade-halted": upgrade_halted,
    "unknown-router": unknown_router,
}

Found = tuple[AlertKey, Rule, Finding]
Known = Mapping[Kind, Mapping[str, Alert]]  # the alerts of before, by kind and by subject's name
_NONE: Mapping[str, Alert] = {}


def look(
    facts: LiveFacts, rules: Mapping[Kind, Rule], places: Mapping[str, PlaceNow], known: Known
) -> Iterator[Found]:
    """What all rules find; a subject without an alert whose condition is not true is left out."""
    routers, sites = _worth_a_look(facts, rules, places, known)
    for kind, of_router in OF_ROUTERS.items():
        if kind in rules:
            yield from _of_routers(kind, of_router, rules[kind], routers, known.get(kind, _NONE))
    for kind, of_site in OF_SITES.items():
        if kind in rules:
            before = known.get(kind, _NONE)
            yield from _of_sites(kind, of_site, rules[kind], sites, before, facts.at_ms)
    for kind, of_server in OF_SERVER.items():
        if kind in rules:
            name = facts.server.collector
            alert = known.get(kind, _NONE).get(name)
            finding = of_server(facts.server, rules[kind], alert, facts.at_ms)
            if finding.holds or alert is not None:
                yield AlertKey(kind, AlertSubject("server", name)), rules[kind], finding


def _worth_a_look(
    facts: LiveFacts, rules: Mapping[Kind, Rule], places: Mapping[str, PlaceNow], known: Known
) -> tuple[list[tuple[LiveRouter, PlaceNow]], list[tuple[str, PlaceNow]]]:
    """Routers and sites that have an alert, or where some rule may find something: in a city of
    thousands nearly none.
    """
    of_routers: set[str] = set().union(*(known.get(kind, _NONE) for kind in OF_ROUTERS))
    of_sites: set[str] = set().union(*(known.get(kind, _NONE) for kind in OF_SITES))
    hottest = rules["hot"].threshold if "hot" in rules else 0.0
    fullest = rules["crowded"].threshold if "crowded" in rules else 0.0
    busiest = rules["uplink-full"].threshold if "uplink-full" in rules else 0.0
    routers = [
        (router, place)
        for router in facts.routers
        if (not _is_well(router, hottest) or router.name in of_routers)
        and (place := places.get(router.site)) is not None
    ]
    sites = [
        (name, place)
        for name, place in places.items()
        if not _is_calm(place, fullest, busiest) or name in of_sites
    ]
    return routers, sites


def _is_well(router: LiveRouter, hottest: float) -> bool:
    """No rule holds for it that did not before."""
    return (
        router.state == "online"
        and not router.in_doubt
        and router.internet is not False
        and not router.unreadable
        and (router.temperature_c is None or router.temperature_c < hottest)
        and not router.lost
    )


def _is_calm(place: PlaceNow, fullest: float, busiest: float) -> bool:
    """The same of a site."""
    site = place.site
    if not place.is_served or site.without_clients_ms:
        return False
    mean, down_bps = site.clients_mean, site.uplink_down_bps
    if mean is not None and site.capacity and mean / site.capacity >= fullest:
        return False
    mbps = site.uplink_mbps
    return down_bps is None or not mbps or down_bps / mbps / 1e6 < busiest


def _of_routers(
    kind: Kind,
    condition: OfRouter,
    rule: Rule,
    where: Sequence[tuple[LiveRouter, PlaceNow]],
    known: Mapping[str, Alert],
) -> Iterator[Found]:
    for router, place in where:
        alert = known.get(router.name)
        finding = condition(router, place, rule, alert)
        if alert is None and (finding is FALSE or finding is UNKNOWN):
            continue
        subject = AlertSubject("router", router.name)
        yield AlertKey(kind, subject), rule, _while_open(finding, place.site)


def _of_sites(
    kind: Kind,
    condition: OfSite,
    rule: Rule,
    places: Iterable[tuple[str, PlaceNow]],
    known: Mapping[str, Alert],
    at_ms: int,
) -> Iterator[Found]:
    for name, place in places:
        alert = known.get(name)
        finding = condition(place, rule, alert, at_ms)
        if alert is None and (finding is FALSE or finding is UNKNOWN):
            continue
        yield AlertKey(kind, AlertSubject("site", name)), rule, _while_open(finding, place.site)


def _while_open(finding: Finding, site: LiveSite) -> Finding:
    """What is wrong at a closed place waits until it opens."""
    return finding._replace(runs=False) if site.is_open is False and finding.holds else finding
