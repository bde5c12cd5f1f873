"""Whether people want no message about an alert now, or need none.

Rule: only messages are left out. Alerts, their history and their end go on.
"""

from collections.abc import Mapping

from titik_collector.alerts.alert import Alert, AlertKey, AlertSubject
from titik_collector.alerts.desk_facts import Maintenance, Silence
from titik_collector.alerts.facts import LiveSite
from titik_collector.alerts.present import Present


def is_muted(alert: Alert, alerts: Mapping[AlertKey, Alert], present: Present) -> bool:
    """For any reason."""
    subject = alert.key.subject
    site = present.site_of(subject)
    if subject.scope != "server" and present.is_excused:
        return True
    if site is not None and site.is_open is False:
        return True
    return (
        is_in_maintenance(subject, site, present)
        or any(_silences(one, alert.key, site, present) for one in present.desk.silences)
        or _is_implied(alert, site, alerts)
    )


def is_in_maintenance(subject: AlertSubject, site: LiveSite | None, present: Present) -> bool:
    """Somebody works there as planned."""
    return any(
        one.from_ms <= present.at_ms < one.to_ms and _covers(one, subject, site)
        for one in present.desk.maintenance
    )


def _covers(work: Maintenance | Silence, subject: AlertSubject, site: LiveSite | None) -> bool:
    """Whether it is of this, of the site where this is, or of all."""
    if work.subject.scope == "city" or work.subject == subject:
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
