"""Which alerts come and go so often that each single message would be noise.

Rule: changes are counted from the events of alerts, never from samples.
Rule: what stays down is no longer flapping: it is down.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from titik_collector.alerts.alert import Alert, AlertEvent, AlertKey, AlertSubject, Kind
from titik_collector.alerts.book import EVENTS_MS
from titik_collector.alerts.rules import DEFAULTS, FALSE, OF_ROUTERS, OF_SITES, TRUE, Finding, Rule
from titik_wire.instant import MINUTE_MS

DOWN_MS = 15 * MINUTE_MS
COUNTED: frozenset[Kind] = frozenset((*OF_ROUTERS, *OF_SITES)) - {"samples-lost"}


def look(
    alerts: Mapping[AlertKey, Alert], events: Iterable[AlertEvent], rule: Rule | None, at_ms: int
) -> Iterator[tuple[AlertKey, Rule, Finding]]:
    """What the rule finds of each subject that changed lately, or that flaps; None: it is off."""
    if rule is None:
        for key in alerts:
            if key.kind == "flapping":
                yield key, DEFAULTS["flapping"], FALSE
        return
    changes = _changes(alerts, events, at_ms)
    most: dict[AlertSubject, int] = {}
    for key, count in changes.items():
        most[key.subject] = max(count, most.get(key.subject, 0))
    flapping = [one for key, one in alerts.items() if key.kind == "flapping"]
    known = {one.key.subject: one for one in flapping if one.phase != "inactive"}
    for subject in dict.fromkeys((*most, *known)):
        count, key = most.get(subject, 0), AlertKey("flapping", subject)
        if subject in known:
            is_over = count == 0 or _is_down(alerts, subject, at_ms)
            yield key, rule, FALSE if is_over else TRUE
        elif count >= rule.threshold:
            yield key, rule, Finding(True, None, count)


def _changes(
    alerts: Mapping[AlertKey, Alert], events: Iterable[AlertEvent], at_ms: int
) -> Counter[AlertKey]:
    """How often each fired or ended in the last hour, since it last stopped flapping."""
    counts: Counter[AlertKey] = Counter()
    for event in events:
        if event.why == "removed" or not _is_change(event) or at_ms - event.at_ms > EVENTS_MS:
            continue
        ended = alerts.get(AlertKey("flapping", event.key.subject))
        if ended is None or ended.phase != "inactive" or event.at_ms > ended.since_ms:
            counts[event.key] += 1
    return counts


def _is_change(event: AlertEvent) -> bool:
    if event.key.kind not in COUNTED or event.key.subject.scope not in ("router", "site"):
        return False
    if event.became == "firing":
        return event.was != "recovering"
    return event.became == "inactive"


def _is_down(alerts: Mapping[AlertKey, Alert], subject: AlertSubject, at_ms: int) -> bool:
    """Whether something of it has been firing for long, without a break."""
    found = (alerts.get(AlertKey(kind, subject)) for kind in COUNTED)
    return any(
        one is not None and one.phase == "firing" and at_ms - one.since_ms >= DOWN_MS
        for one in found
    )
