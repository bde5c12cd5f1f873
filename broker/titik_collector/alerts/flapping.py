"""Which alerts come and go so often that each single message would be noise.

Rule: changes are counted from the events of alerts, never from samples.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from titik_collector.alerts.alert import Alert, AlertEvent, AlertKey, AlertSubject, Kind
from titik_collector.alerts.book import EVENTS_MS
from titik_collector.alerts.rules import DEFAULTS, FALSE, OF_ROUTERS, OF_SITES, Finding, Rule

COUNTED: frozenset[Kind] = frozenset((*OF_ROUTERS, *OF_SITES)) - {"samples-lost"}


def look(
    alerts: Mapping[AlertKey, Alert], events: Iterable[AlertEvent], rule: Rule | None, at_ms: int
) -> Iterator[tuple[AlertKey, Rule, Finding]]:
    """What the rule finds of each subject that changed lately, or that flaps; None: it is off."""
    known = {key: one for key, one in alerts.items() if key.kind == "flapping"}
    if rule is None:
        for key in known:
            yield key, DEFAULTS["flapping"], FALSE
        return
    most = _most_changes(events, at_ms)
    for key in dict.fromkeys((*(AlertKey("flapping", subject) for subject in most), *known)):
        count, before = most.get(key.subject, 0), known.get(key)
        goes_on = before is not None and before.phase == "firing" and count > 0
        holds = goes_on or count >= rule.threshold
        if holds or before is not None:
            yield key, rule, Finding(holds, None, count)


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
    if event.key.kind not in COUNTED or event.key.subject.scope not in ("router", "site"):
        return False
    if event.became == "firing":
        return event.was != "recovering"
    return event.became == "inactive" and event.why != "removed"
