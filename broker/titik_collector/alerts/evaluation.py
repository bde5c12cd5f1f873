"""One look at the present: which alerts move, and who must get which message.

Rule: the same book, facts and settings give the same step. Nothing else is read.
Rule: a look may come late or early. What counts is how much time passed by the facts' own times.
"""

from collections.abc import Iterator, Mapping

from titik_collector.alerts import phases, rules
from titik_collector.alerts.alert import Alert, AlertEvent, AlertKey, Kind
from titik_collector.alerts.alert_settings import AlertSettings
from titik_collector.alerts.book import EVENTS_MS, AlertBook, AlertStep
from titik_collector.alerts.desk_facts import DeskFacts
from titik_collector.alerts.facts import LiveFacts
from titik_collector.alerts.rules import UNKNOWN, Finding, Rule
from titik_wire.instant import MINUTE_MS

LONGEST_LOOK_MS = 3 * MINUTE_MS  # between two looks; of a longer time nothing is known


def evaluate(
    book: AlertBook,
    live: LiveFacts,
    desk: DeskFacts,  # noqa: ARG001 - what people entered changes messages, which follow
    settings: AlertSettings,
) -> AlertStep:
    """The book after this look, and the rows to write."""
    before = _after_a_pause(book, live.at_ms)
    alerts = dict(before)
    events: list[AlertEvent] = []
    known = _by_kind(before)
    for key, rule, finding in _findings(live, settings, known):
        moved = phases.move(before.get(key), key, rule, finding, live.at_ms)
        if moved is not None:
            alerts[key] = moved.alert
            if moved.event is not None:
                events.append(moved.event)
    ended = tuple(key for key, one in alerts.items() if _is_over(one))
    for key in ended:
        del alerts[key]
    changed = tuple(one for key, one in alerts.items() if one is not book.alerts.get(key))
    after = AlertBook(
        looked_ms=live.at_ms,
        alerts=alerts,
        incidents=book.incidents,
        notifications=book.notifications,
        events=_recent(book.events, events, live.at_ms),
        fault=book.fault,
        last_incident=book.last_incident,
        last_notification=book.last_notification,
    )
    return AlertStep(
        book=after,
        alerts=changed,
        ended=tuple(key for key in ended if key in book.alerts),
        events=tuple(events),
    )


def _after_a_pause(book: AlertBook, at_ms: int) -> Mapping[AlertKey, Alert]:
    if book.looked_ms is None or at_ms - book.looked_ms <= LONGEST_LOOK_MS:
        return book.alerts
    last_ms = book.looked_ms
    return {key: phases.pause(one, last_ms, at_ms) for key, one in book.alerts.items()}


def _by_kind(alerts: Mapping[AlertKey, Alert]) -> dict[Kind, dict[str, Alert]]:
    known: dict[Kind, dict[str, Alert]] = {}
    for key, one in alerts.items():
        known.setdefault(key.kind, {})[key.subject.name] = one
    return known


def _findings(
    live: LiveFacts, settings: AlertSettings, known: Mapping[Kind, Mapping[str, Alert]]
) -> Iterator[tuple[AlertKey, Rule, Finding]]:
    places = rules.places_of(live)
    for key, rule, finding in rules.look(live, rules.rules_of(settings.rules), places, known):
        if key.subject.scope == "server" or live.hears:
            yield key, rule, finding
        else:
            yield key, rule, UNKNOWN


def _is_over(alert: Alert) -> bool:
    """Nothing refers to its row: no incident, and no later value is compared with its own."""
    has_mark = alert.key.kind == "samples-lost"
    return alert.phase == "inactive" and alert.incident is None and not has_mark


def _recent(
    old: tuple[AlertEvent, ...], new: list[AlertEvent], at_ms: int
) -> tuple[AlertEvent, ...]:
    if not new and (not old or at_ms - old[0].at_ms <= EVENTS_MS):
        return old
    return tuple(one for one in (*old, *new) if at_ms - one.at_ms <= EVENTS_MS)
