"""What a message about an incident says, as facts.

Rule: what is down comes first, the longest first; so many at most as somebody reads on a phone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from titik_collector.alerts import severities
from titik_collector.alerts.alert import (
    Alert,
    AlertSubject,
    Incident,
    Member,
    Message,
    What,
)
from titik_collector.alerts.incidents import ACTIVE, groups_of, is_of_group
from titik_collector.alerts.present import Present
from titik_collector.alerts.rules import PlaceNow
from titik_collector.limits import MAX_MEMBERS

AWAY = ("site-offline", "router-offline")
NEARLY_ALL = 0.9  # beside the server a router may go on


def compose(
    what: What,
    incident: Incident,
    alerts: Sequence[Alert],
    present: Present,
    *,
    reopened: bool = False,
) -> Message:
    """The message about an incident with these alerts, as it is now."""
    members = _members(incident, alerts, present)
    is_wide = incident.subject.scope in ("city", "group")
    named = next((one for one in alerts if one.key.kind == incident.kind), None)
    rule = present.rules.get(incident.kind)
    has_value = named is not None and named.value is not None and not is_wide
    return Message(
        what=what,
        kind=incident.kind,
        severity=incident.severity,
        subject=incident.subject,
        title=present.title_of(incident.subject),
        from_ms=incident.from_ms,
        to_ms=ended_ms(alerts, incident) if what == "resolved" else None,
        cause=_cause(members),
        members=tuple(members[:MAX_MEMBERS]),
        places=len({one.subject for one in members}) if len(members) > 1 else None,
        of_places=_of_places(incident.subject, present) if is_wide else None,
        value=named.value if has_value and named is not None else None,
        threshold=rule.threshold if has_value and rule is not None else None,
        acked_by=acked_by(incident, present),
        reopened=reopened,
        notes=() if what == "resolved" else tuple(_notes(incident, members, present)),
    )


def _notes(incident: Incident, members: Sequence[Member], present: Present) -> Iterator[str]:
    """That it may be the server, which places that are away cannot show."""
    scope = incident.subject.scope
    if scope == "server" or incident.kind not in (*AWAY, "group-outage"):
        return
    if present.is_unstable and present.fault is not None and present.fault.times > 1:
        yield "server-unstable"
    down = sum(one.to_ms is None for one in members)
    is_nearly_all = down >= NEARLY_ALL * _of_places(incident.subject, present)
    if scope == "city" and is_nearly_all and not present.live.server.is_line_tested:
        yield "line-untested"


def digest(incidents: Iterable[Incident], from_ms: int, present: Present) -> Message:
    """Each incident that went on since then, and how many places are served now."""
    some = [
        one
        for one in incidents
        if one.message_ms is not None and (one.resolved_ms is None or one.resolved_ms > from_ms)
    ]
    some.sort(
        key=lambda one: (one.resolved_ms is not None, -severities.rank(one.severity), one.from_ms)
    )
    city = AlertSubject("city", present.live.city)
    return Message(
        what="digest",
        kind="group-outage",
        severity="info",
        subject=city,
        title=present.live.city_title,
        from_ms=from_ms,
        to_ms=present.at_ms,
        members=tuple(
            Member(
                one.subject,
                present.title_of(one.subject),
                one.from_ms,
                one.resolved_ms,
                kind=one.kind,
            )
            for one in some[:MAX_MEMBERS]
        ),
        places=len(some),
        of_places=_of_places(city, present),
        value=sum(one.is_served is True for one in _open_places(present)),
    )


def acked_by(incident: Incident, present: Present) -> str | None:
    """Who handles it."""
    found = [
        one.actor
        for one in present.desk.acks
        if one.incident == incident.number and one.at_ms <= present.at_ms < one.until_ms
    ]
    return found[-1] if found else None


def _members(incident: Incident, alerts: Sequence[Alert], present: Present) -> list[Member]:
    """Each place of a wide incident, or each router or place of another."""
    is_wide = incident.subject.scope in ("city", "group")
    found: dict[AlertSubject, Member] = {}
    for alert in alerts:
        if is_of_group(alert.key):
            continue
        site = present.site_of(alert.key.subject)
        subject = alert.key.subject
        if is_wide and site is not None:
            subject = AlertSubject("site", site.name)
        to_ms = alert.since_ms if alert.phase in ("recovering", "inactive") else None
        from_ms = incident.from_ms if alert.from_ms is None else alert.from_ms
        one = Member(
            subject,
            present.title_of(subject),
            from_ms,
            to_ms,
            _cause_of(alert, present) if alert.key.kind in AWAY else None,
            site.clients_before if site is not None and subject.scope == "site" else None,
        )
        known = found.get(subject)
        if known is None or (known.to_ms is not None and to_ms is None):
            found[subject] = one
    return sorted(found.values(), key=lambda one: (one.to_ms is not None, one.from_ms, one.subject))


def _cause_of(alert: Alert, present: Present) -> str | None:
    """As the store has it of its router, or of all routers of its site."""
    subject = alert.key.subject
    if subject.scope == "router":
        router = present.routers.get(subject.name)
        return None if router is None else router.cause
    place = present.places.get(subject.name)
    causes = {one.cause for one in place.routers} if place is not None else set()
    return causes.pop() if len(causes) == 1 else None


def _cause(members: Sequence[Member]) -> str | None:
    """That of more than half of the members."""
    counts = Counter(one.cause for one in members if one.cause is not None)
    for cause, count in counts.most_common(1):
        return cause if 2 * count > len(members) else None
    return None


def _of_places(subject: AlertSubject, present: Present) -> int:
    if subject.scope == "group":
        return len(groups_of(present, only_open=True).get(subject, ()))
    return len(_open_places(present))


def _open_places(present: Present) -> list[PlaceNow]:
    """Those where somebody could be served now."""
    places = present.places.values()
    return [one for one in places if one.routers and one.site.is_open is not False]


def ended_ms(alerts: Sequence[Alert], incident: Incident) -> int:
    """When the last of it was back."""
    ended = [one.since_ms for one in alerts if one.phase not in ACTIVE and not is_of_group(one.key)]
    resolved_ms = incident.from_ms if incident.resolved_ms is None else incident.resolved_ms
    return max(ended, default=resolved_ms)
