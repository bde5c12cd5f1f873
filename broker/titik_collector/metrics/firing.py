"""Which alerts fire now, and how much each matters."""

from collections.abc import Mapping
from typing import NamedTuple

from titik_collector.alerts.alert import Kind, Scope, Severity
from titik_collector.alerts.rules import Rule
from titik_collector.figures.scope import FOR_EVER_MS
from titik_collector.store import alert_rows, incident_rows
from titik_collector.store.database import Database

SHOWN = ("firing", "recovering")  # as on the topics of alerts


class FiringAlert(NamedTuple):
    """One alert that fires, or that is not yet believed to be over."""

    kind: Kind
    scope: Scope
    subject: str  # its name
    severity: Severity  # of its incident, else of its rule


def look(db: Database, rules: Mapping[Kind, Rule]) -> list[FiringAlert]:
    """All of them."""
    shown = [one for one in alert_rows.read(db) if one.phase in SHOWN]
    if not shown:
        return []
    severities = {one.number: one.severity for one in incident_rows.since(db, FOR_EVER_MS)}
    found = []
    for one in shown:
        rule = rules.get(one.key.kind)
        severity = "warning" if rule is None else rule.severity
        if one.incident is not None:
            severity = severities.get(one.incident, severity)
        found.append(FiringAlert(one.key.kind, *one.key.subject, severity))
    return found
