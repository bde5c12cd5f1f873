"""Who gets what `titik notify` says itself: whoever the rules would give it to."""

from titik_collector.alerts import routing
from titik_collector.alerts.alert import AlertSubject, Incident, Kind, Severity
from titik_collector.alerts.alert_settings import AlertSettings


def receivers_of(
    settings: AlertSettings, kind: Kind, severity: Severity, now_ms: int
) -> tuple[str, ...]:
    """Each once; of a rota who has this week."""
    about = Incident(
        number=0,
        subject=AlertSubject("server", "server"),
        kind=kind,
        severity=severity,
        from_ms=now_ms,
        opened_ms=now_ms,
    )
    return routing.recipients(about, (), settings, now_ms).first
