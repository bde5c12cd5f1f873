"""Which alerts come and go so often that each single message would be noise.

Rule: changes are counted from the events of alerts, never from samples.
Rule: a server that goes is counted, however short it is gone. It is stable after an hour.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from titik_collector.alerts.alert import Alert, AlertEvent, AlertKey, AlertSubject, Kind
from titik_collector.alerts.book import EVENTS_MS
from titik_collector.alerts.faults import HOLD_OFF_MS
from titik_collector.alerts.present import Present
from titik_collector.alerts.rules import DEFAULTS, FALSE, OF_ROUTERS, OF_SITES, Finding, Rule

COUNTED: frozenset[Kind] = frozenset((*OF_ROUTERS, *OF_SITES)) - {"samples-lost"}
OF_SERVER: frozenset[Kind] = frozenset(("broker-down", "line-down"))
STABLE_MS = EVENTS_MS - HOLD_OFF_MS  # after that its last fault is forgotten


def look(
    alerts: Mapping[AlertKey, Alert], events: Iterable[AlertEvent], present: Present
) -> Iterator[tuple[AlertKey, Rule, Finding]]:
    """What the rule finds of each subject that changed lately, or that flaps."""
    rule, fault = present.rules.get("flapping"), present.fault
    known = {key: one for key, one in alerts.items() if key.kind == "flapping"}
    if rule is None:
        for key in known:
            yield key, DEFAULTS["flapping"], FALSE
        return
    most = _most_changes(events, present.at_ms)
    server = AlertSubject("server", present.live.server.collector)
    if fault is not None and fault.times > 1:
        most[server] = max(fault.times, most.get(server, 0))
    for key in dict.fromkeys((*(AlertKey("flapping", subject) for subject in most), *known)):
        count, before = most.get(key.subject, 0), known.get(key)
        goes_on = before is not None and before.phase == "firing" and count > 0
        holds = goes_on or count >= rule.threshold
        if holds or before is not None:
            of_subject = rule._replace(keep_ms=STABLE_MS) if is_of_server(key) else rule
            yield key, of_subject, Finding(holds, None, count)


def is_of_server(key: AlertKey) -> bool:
    """Whether it says that the server comes and goes."""
    return key.kind == "flapping" and key.subject.scope == "server"


def _most_changes(events: Iterable[AlertEvent], at_ms: int) -> dict[AlertSubject, int]:
    """How often an alert of each subject fired or ended in the last hour."""
    counts = Counter(
        event.key for event in events if _is_change(event) and at_ms - event.at_ms < EVENTS_MS
    )
    most: dict[AlertSubject, int] = {}
    for key, count in counts.items():
        most[key.subject] = max(count, most.get(key.subject, 0))
    return most


def _is_change(event: AlertEvent) -> bool:
    scope = event.key.subject.scope
    is_counted = event.key.kind in (OF_SERVER if scope == "server" else COUNTED)
    if not is_counted or scope not in ("router", "site", "server"):
        return False
    if event.became == "firing":
        return event.was != "recovering"
    return event.became == "inactive" and event.why != "removed"
