"""Whether people want no message about an alert now, or need none.

Rule: only messages are left out. Alerts, their history and their end go on.
"""

from collections.abc import Iterator, Mapping

from titik_collector.alerts.alert import Alert, AlertKey, AlertSubject
from titik_collector.alerts.desk_facts import Maintenance, Silence
from titik_collector.alerts.facts import LiveSite
from titik_collector.alerts.present import Present
from titik_wire.instant import MINUTE_MS
from titik_wire.limits import MAX_MS

FOREVER_MS = MAX_MS  # later than any message is due
AFTER_WORK_MS = MINUTE_MS  # in which what was worked at comes back
DOWN_MS = 15 * MINUTE_MS  # without a break; a message waits as long after it as any
GROUP_WAIT_MS = MINUTE_MS
ACTIVE = ("firing", "recovering")


def muted_until_ms(alert: Alert, alerts: Mapping[AlertKey, Alert], present: Present) -> int | None:
    """Until when no message is wanted; None: one is, FOREVER_MS: as long as it is so."""
    subject = alert.key.subject
    site = present.site_of(subject)
    if subject.scope != "server" and present.is_silent:
        return FOREVER_MS
    if site is not None and site.is_open is False:
        return FOREVER_MS
    if _is_implied(alert, site, alerts):
        return FOREVER_MS
    until = [
        one.until_ms for one in present.desk.silences if _silences(one, alert.key, site, present)
    ]
    until += [one.to_ms + AFTER_WORK_MS for one in _works(subject, site, present)]
    flapping_ms = _flapping_until_ms(alert, alerts, present)
    if flapping_ms is not None:
        until.append(flapping_ms)
    return max(until, default=None)


def is_silenced(key: AlertKey, site: LiveSite | None, present: Present) -> bool:
    """Somebody wants no message about it for a while."""
    return any(_silences(one, key, site, present) for one in present.desk.silences)


def is_in_maintenance(subject: AlertSubject, site: LiveSite | None, present: Present) -> bool:
    """Somebody works there as planned."""
    return any(_works(subject, site, present))


def _works(subject: AlertSubject, site: LiveSite | None, present: Present) -> Iterator[Maintenance]:
    for one in present.desk.maintenance:
        if one.from_ms <= present.at_ms < one.to_ms and _covers(one, subject, site):
            yield one


def _covers(work: Maintenance | Silence, subject: AlertSubject, site: LiveSite | None) -> bool:
    """Whether it is of this, of the site where this is, or of all.

    Without a name it is of all of its scope, such as each router.
    """
    if work.subject.scope == "city" or work.subject in (subject, (subject.scope, "")):
        return True
    if site is None:
        return False
    if work.subject.scope == "site":
        return work.subject.name == site.name
    return work.subject.scope == "group" and work.subject.name in (
        f"provider:{site.provider}",
        f"district:{site.district}",
    )


def _silences(one: Silence, key: AlertKey, site: LiveSite | None, present: Present) -> bool:
    if not one.from_ms <= present.at_ms < one.until_ms or one.kind not in (None, key.kind):
        return False
    return _covers(one, key.subject, site)


def _is_implied(alert: Alert, site: LiveSite | None, alerts: Mapping[AlertKey, Alert]) -> bool:
    """Nobody is served at its site, which is another alert of its own."""
    if site is None or alert.key.kind in ("site-offline", "flapping"):
        return False
    whole = alerts.get(AlertKey("site-offline", AlertSubject("site", site.name)))
    if whole is None:
        return False
    return whole.phase in ("firing", "recovering") or (
        whole.phase == "pending" and whole.incident is not None
    )


def _flapping_until_ms(
    alert: Alert, alerts: Mapping[AlertKey, Alert], present: Present
) -> int | None:
    """Its subject comes and goes, which is another alert; what stays down is down."""
    other = alerts.get(AlertKey("flapping", alert.key.subject))
    if alert.key.kind == "flapping" or other is None or other.phase not in ACTIVE:
        return None
    until_ms = _down_ms(alert, present) + DOWN_MS
    return None if present.at_ms > until_ms + GROUP_WAIT_MS else until_ms + GROUP_WAIT_MS


def _down_ms(alert: Alert, present: Present) -> int:
    """Since when it is down without a break; an alert goes on over a short one."""
    subject = alert.key.subject
    if alert.key.kind == "router-offline" and subject.name in present.routers:
        return present.routers[subject.name].since_ms
    if alert.key.kind == "site-offline" and subject.name in present.places:
        return max(one.since_ms for one in present.places[subject.name].routers)
    return present.at_ms if alert.from_ms is None else alert.from_ms
