"""Which alerts are one event, and so one message.

Rule: five places that fell each within three minutes of the one before are one incident. So is half
of a provider's or a district's. An incident takes in who falls so soon after its newest member.
Rule: an incident only widens: from a router to its site, to a provider or district, to the city.
Rule: what fires again within half an hour is the same incident. It then is since its newest begin.
Rule: an incident that people got a message about is never taken into another.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from titik_collector.alerts import faults, flapping, muting, phases, severities
from titik_collector.alerts.alert import (
    Alert,
    AlertEvent,
    AlertKey,
    AlertSubject,
    Incident,
    Kind,
    Scope,
    Severity,
)
from titik_collector.alerts.phases import REOPEN_MS
from titik_collector.alerts.present import Present
from titik_collector.alerts.rules import Finding
from titik_wire.instant import DAY_MS, MINUTE_MS

TOGETHER_MS = 3 * MINUTE_MS  # a broker notices the members of one outage up to two minutes apart
FEWEST = 3  # places, also where a provider or a district has few
GROUP_KINDS: Mapping[Kind, Kind] = {"site-offline": "group-outage", "no-internet": "no-internet"}
WIDTH: Mapping[Scope, int] = {"router": 0, "site": 1, "group": 2, "city": 3, "server": 4}
DIGESTED_MS = DAY_MS  # a digest lists what was over by then
ACTIVE = ("firing", "recovering")


class Fallen(NamedTuple):
    """A place where nobody is served, or that was in a group's incident and came back."""

    name: str
    from_ms: int
    keys: tuple[AlertKey, ...]  # its alerts
    incident: int | None
    is_down: bool


@dataclass(eq=False)
class Gathering:
    """The alerts and incidents of one look, as they are put together."""

    present: Present
    sent: Collection[int]  # incidents with a message that is out
    waiting: Collection[int]  # incidents with a message that waits
    alerts: dict[AlertKey, Alert]
    incidents: dict[int, Incident]
    last_incident: int
    events: list[AlertEvent] = field(default_factory=list)
    forming: set[AlertKey] = field(default_factory=set)  # of what may be a group in a moment
    _at_sites: dict[str, list[AlertKey]] | None = None

    def gather(self) -> dict[int, list[Alert]]:
        """Give each alert that fires its incident, and each incident what it is about.

        The alerts of each incident are returned.
        """
        if not self.present.is_silent and "group-outage" in self.present.rules:
            for kind in GROUP_KINDS:
                self._group(kind)
        self._end_groups()
        for alert in list(self.alerts.values()):
            if alert.phase in ACTIVE and not self._has_incident(alert):
                self._join(alert.key, self._companion(alert) or self._open(alert))
        members = self._members()
        for number, incident in self.incidents.items():
            self.incidents[number] = self._as_it_is(incident, members.get(number, ()))
        self._forget(members)
        return members

    # Groups

    def _group(self, kind: Kind) -> None:
        fallen = list(self._fallen(kind))
        if not any(self._is_free(one.incident) for one in fallen):
            return
        for cluster in clusters((*fallen, *self._returned(kind))):
            free = [one for one in cluster if one.is_down and self._is_free(one.incident)]
            if free:
                self._group_cluster(kind, cluster, free)

    def _group_cluster(self, kind: Kind, cluster: Sequence[Fallen], free: Sequence[Fallen]) -> None:
        at_ms, rule = self.present.at_ms, self.present.rules["group-outage"]
        lasting = [one for one in cluster if at_ms - one.from_ms >= rule.for_ms]
        groups = [one.incident for one in cluster if self._is_grouped(one.incident)]
        if groups:
            self._take_in(kind, min(one or 0 for one in groups), _in(lasting, free))
            self.forming |= {key for one in free for key in one.keys}
            return
        for some in self._enough([one for one in cluster if one.is_down]):
            for enough in self._enough(_in(lasting, some)):
                self._take_in(kind, self._base(enough), _in(enough, free))
            self.forming |= {key for one in some for key in one.keys}

    def _enough(self, down: Sequence[Fallen]) -> Iterator[Sequence[Fallen]]:
        """Those that are as many as a group has: several, or half of a provider or district."""
        if len(down) >= self.present.rules["group-outage"].threshold:
            yield down
            return
        if len(down) < FEWEST:
            return  # nearly always
        for names in groups_of(self.present, only_open=True).values():
            some = [one for one in down if one.name in names]
            if len(some) >= FEWEST and 2 * len(some) >= len(names):
                yield some

    def _base(self, members: Iterable[Fallen]) -> int | None:
        """The oldest incident of any of them, which becomes theirs."""
        known = [one.incident for one in members if one.incident in self.incidents]
        return min((one for one in known if one is not None), default=None)

    def _take_in(self, kind: Kind, number: int | None, free: Sequence[Fallen]) -> None:
        """Make these members of an incident, of a new one where it has no number."""
        keys = [key for one in free for key in one.keys]
        if not keys:
            return
        if number is None:
            number = self._open(self.alerts[keys[0]])
        for key in keys:
            self._join(key, number)
        self._widen(kind, number)

    def _widen(self, kind: Kind, number: int) -> None:
        """The group's own alert is about all its places together."""
        incident, at_ms = self.incidents[number], self.present.at_ms
        members = [one for one in self.alerts.values() if one.incident == number]
        names = self._sites(members)
        key = AlertKey(GROUP_KINDS[kind], common(names, self.present))
        before = [one for one in members if is_of_group(one.key)]
        if any(one.key == key and one.phase in ACTIVE for one in before):
            return
        if WIDTH[incident.subject.scope] > WIDTH[key.subject.scope]:
            return
        for one in before:
            self._change(phases.remove(one, at_ms))
            del self.alerts[one.key]
        from_ms = min(one.from_ms for one in members if one.from_ms is not None)
        self._change(phases.fire(key, from_ms, len(names), number, at_ms))
        self.incidents[number] = replace(
            incident, subject=key.subject, kind=key.kind, severity="critical"
        )

    def _end_groups(self) -> None:
        """A group's own alert ends when half of its places are back for a while."""
        rule, at_ms = self.present.rules.get("group-outage"), self.present.at_ms
        for alert in [one for one in self.alerts.values() if is_of_group(one.key)]:
            if rule is None:
                self._change(phases.remove(alert, at_ms))
            elif alert.phase != "inactive":
                holds = self._share_down(alert) > rule.clear
                moved = phases.move(alert, alert.key, rule, Finding(holds), at_ms)
                self._change(moved or phases.Moved(alert))

    def _share_down(self, group: Alert) -> float:
        kind: Kind = "no-internet" if group.key.kind == "no-internet" else "site-offline"
        members = [
            one
            for one in self.alerts.values()
            if one.incident == group.incident and one.key.kind == kind and one is not group
        ]
        down = sum(one.phase in ("pending", "firing") for one in members)
        return down / len(members) if members else 0.0

    def _fallen(self, kind: Kind) -> Iterator[Fallen]:
        return self._fallen_sites() if kind == "site-offline" else self._cut_off_sites()

    def _fallen_sites(self) -> Iterator[Fallen]:
        for key, alert in self.alerts.items():
            if key.kind == "site-offline" and alert.from_ms is not None and self._counts(alert):
                yield Fallen(key.subject.name, alert.from_ms, (key,), alert.incident, True)

    def _cut_off_sites(self) -> Iterator[Fallen]:
        """Places where each router that knows has no internet."""
        for name, keys in self._routers_without_internet().items():
            alerts = [self.alerts[key] for key in keys]
            known = sum(
                one.state == "online" and one.internet is not None
                for one in self.present.places[name].routers
            )
            if len(keys) >= known and all(self._counts(one) for one in alerts):
                from_ms = max(one.from_ms or 0 for one in alerts)
                yield Fallen(name, from_ms, tuple(keys), alerts[0].incident, True)

    def _routers_without_internet(self) -> dict[str, list[AlertKey]]:
        found: dict[str, list[AlertKey]] = {}
        for key, alert in self.alerts.items():
            if key.kind == "no-internet" and alert.phase in ("pending", "firing"):
                site = self.present.site_of(key.subject)
                if site is not None:
                    found.setdefault(site.name, []).append(key)
        return found

    def _returned(self, kind: Kind) -> Iterator[Fallen]:
        """Who was in a group's incident: it may be the newest member."""
        for key, alert in self.alerts.items():
            if key.kind != kind or is_of_group(key) or alert.phase in ("pending", "firing"):
                continue
            site = self.present.site_of(key.subject)
            if site is not None and alert.from_ms is not None and self._is_grouped(alert.incident):
                yield Fallen(site.name, alert.from_ms, (key,), alert.incident, False)

    def _counts(self, alert: Alert) -> bool:
        """Whether it has been down long enough, at a place where that is no plan."""
        site = self.present.site_of(alert.key.subject)
        if site is None or site.is_open is False:
            return False
        if faults.is_of(self.present.fault, alert.from_ms, self.present.at_ms):
            return False
        if muting.is_in_maintenance(alert.key.subject, site, self.present):
            return False
        return alert.phase == "firing" or (alert.phase == "pending" and alert.known)

    def _is_grouped(self, number: int | None) -> bool:
        if number is None or number not in self.incidents:
            return False
        incident = self.incidents[number]
        return incident.subject.scope in ("group", "city") and incident.resolved_ms is None

    def _is_free(self, number: int | None) -> bool:
        """Whether a member may be taken into a group: nobody waits to hear of its own incident."""
        if number is None or number not in self.incidents:
            return True
        if self._is_grouped(number):
            return False
        return number not in self.sent or self.incidents[number].resolved_ms is not None

    def _has_incident(self, alert: Alert) -> bool:
        """Whether its incident goes on; one place alone does not reopen that of a group."""
        if alert.incident is None or alert.incident not in self.incidents:
            return False
        incident = self.incidents[alert.incident]
        return incident.resolved_ms is None or incident.subject.scope not in ("group", "city")

    # Single ones

    def _companion(self, alert: Alert) -> int | None:
        """The open incident at the same site that began at about the same time."""
        site = self.present.site_of(alert.key.subject)
        for key in () if site is None else self._keys_at().get(site.name, ()):
            one = self.alerts[key]
            if one.incident in self.incidents and key != alert.key and _are_one(one, alert):
                return one.incident
        return None

    def _keys_at(self) -> Mapping[str, Sequence[AlertKey]]:
        """The alerts of each site and of its routers."""
        if self._at_sites is None:
            self._at_sites = {}
            for key in self.alerts:
                site = self.present.site_of(key.subject)
                if site is not None:
                    self._at_sites.setdefault(site.name, []).append(key)
        return self._at_sites

    def _open(self, alert: Alert) -> int:
        """A new incident that is named after this alert."""
        self.last_incident += 1
        self.incidents[self.last_incident] = Incident(
            number=self.last_incident,
            subject=alert.key.subject,
            kind=alert.key.kind,
            severity=self._severity(alert),
            from_ms=self.present.at_ms if alert.from_ms is None else alert.from_ms,
            opened_ms=self.present.at_ms,
        )
        return self.last_incident

    def _join(self, key: AlertKey, number: int) -> None:
        if self.alerts[key].incident != number:
            self.alerts[key] = replace(self.alerts[key], incident=number)

    # What an incident is about

    def _members(self) -> dict[int, list[Alert]]:
        members: dict[int, list[Alert]] = {}
        for one in self.alerts.values():
            if one.incident is not None:
                members.setdefault(one.incident, []).append(one)
        return members

    def _as_it_is(self, incident: Incident, members: Sequence[Alert]) -> Incident:
        """What it is about now; it only widens and rises."""
        active = [one for one in members if one.phase in ACTIVE]
        if not active:
            ended_ms = self.present.at_ms if incident.resolved_ms is None else incident.resolved_ms
            is_empty = not members and incident.resolved_ms is None  # it was taken into another
            message_ms = None if is_empty else incident.message_ms
            return replace(incident, resolved_ms=ended_ms, message_ms=message_ms)
        severity, kind, subject = incident.severity, incident.kind, incident.subject
        for one in active:
            severity = severities.highest(severity, self._severity(one))
        wider = self._subject(active)
        if wider is not None and WIDTH[wider.scope] > WIDTH[subject.scope]:
            subject = wider
            if any(one.key.kind == "site-offline" for one in active):
                kind = "site-offline"
        begun = [one.from_ms for one in active if one.from_ms is not None]
        if (
            incident.resolved_ms is None or not begun
        ):  # else it is reopened: people hear of this one
            begun.append(incident.from_ms)
        return replace(
            incident,
            subject=subject,
            kind=kind,
            severity=severity,
            from_ms=min(begun),
            resolved_ms=None,
        )

    def _subject(self, active: Sequence[Alert]) -> AlertSubject | None:
        """The site, where several routers or all of it are meant."""
        sites = self._sites(active)
        if len(sites) != 1:
            return None
        (name,) = sites
        subjects = {one.key.subject for one in active}
        routers = self.present.places[name].routers
        is_whole = len(subjects) > 1 or (active[0].key.kind == "no-internet" and len(routers) == 1)
        return AlertSubject("site", name) if is_whole else active[0].key.subject

    def _sites(self, members: Iterable[Alert]) -> set[str]:
        found = (self.present.site_of(one.key.subject) for one in members)
        return {site.name for site in found if site is not None}

    def _severity(self, alert: Alert) -> Severity:
        if is_of_group(alert.key) or flapping.is_of_server(alert.key):
            return "critical"
        rule = self.present.rules.get(alert.key.kind)
        severity: Severity = "info" if rule is None else rule.severity
        site = self.present.site_of(alert.key.subject)
        if site is None or site.tier != severities.FIRST_TIER:
            return severity
        is_whole = alert.key.kind == "site-offline" or (
            alert.key.kind == "no-internet" and self._is_cut_off(alert.key.subject)
        )
        return severities.highest(severity, "critical") if is_whole else severity

    def _is_cut_off(self, subject: AlertSubject) -> bool:
        """Whether no router of its site that knows has internet."""
        site = self.present.site_of(subject)
        if site is None:
            return False
        for router in self.present.places[site.name].routers:
            alert = self.alerts.get(AlertKey("no-internet", AlertSubject("router", router.name)))
            is_known = router.state == "online" and router.internet is not None
            if is_known and (alert is None or alert.phase != "firing"):
                return False
        return True

    def _forget(self, members: Mapping[int, Sequence[Alert]]) -> None:
        """Nothing reopens what was resolved long ago; the digest of the day still has it."""
        for number, incident in list(self.incidents.items()):
            ended_ms = incident.resolved_ms
            if ended_ms is None or self.present.at_ms - ended_ms <= REOPEN_MS:
                continue
            some = members.get(number, ())
            if number in self.waiting or any(one.phase == "pending" for one in some):
                continue
            if self.present.at_ms - ended_ms > DIGESTED_MS:
                del self.incidents[number]
            for one in some:
                self.alerts[one.key] = replace(self.alerts[one.key], incident=None)

    def _change(self, moved: phases.Moved) -> None:
        self.alerts[moved.alert.key] = moved.alert
        if moved.event is not None:
            self.events.append(moved.event)


def clusters(fallen: Iterable[Fallen]) -> Iterator[list[Fallen]]:
    """Those that fell each within TOGETHER_MS of the one before."""
    cluster: list[Fallen] = []
    for one in sorted(fallen, key=lambda one: one.from_ms):
        if cluster and one.from_ms - cluster[-1].from_ms > TOGETHER_MS:
            yield cluster
            cluster = []
        cluster.append(one)
    if cluster:
        yield cluster


def _in(some: Iterable[Fallen], others: Iterable[Fallen]) -> list[Fallen]:
    wanted = set(others)
    return [one for one in some if one in wanted]


def groups_of(present: Present, *, only_open: bool = False) -> dict[AlertSubject, set[str]]:
    """The places of each district and each provider."""
    found: dict[AlertSubject, set[str]] = {}
    for name, place in present.places.items():
        site = place.site
        if not place.routers or (only_open and site.is_open is False):
            continue
        if site.district is not None:
            found.setdefault(AlertSubject("group", f"district:{site.district}"), set()).add(name)
        if site.provider is not None:
            found.setdefault(AlertSubject("group", f"provider:{site.provider}"), set()).add(name)
    return found


def common(names: Collection[str], present: Present) -> AlertSubject:
    """The provider or district that has all of these, where the greater share fell; else the city.

    Of equal shares it is the district.
    """
    best, share = AlertSubject("city", present.live.city), 0.0
    for subject, places in sorted(groups_of(present).items()):  # districts first
        if places.issuperset(names) and len(names) / len(places) > share:
            best, share = subject, len(names) / len(places)
    return best


def is_of_group(key: AlertKey) -> bool:
    """Whether it is about several places together."""
    return key.subject.scope in ("group", "city")


def _are_one(one: Alert, other: Alert) -> bool:
    """Whether two alerts of the same site are one event."""
    kinds = {one.key.kind, other.key.kind}
    if one.phase not in ACTIVE or not (len(kinds) == 1 or kinds <= _AWAY):
        return False
    begun = one.from_ms, other.from_ms
    return None not in begun and abs((begun[0] or 0) - (begun[1] or 0)) <= TOGETHER_MS


_AWAY: set[Kind] = {"router-offline", "site-offline"}
