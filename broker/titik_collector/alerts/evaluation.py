"""One look at the present: which alerts move, and who must get which message.

Rule: the same book, facts and settings give the same step. Nothing else is read.
Rule: looks may be seconds or a minute apart. What counts is how much time passed between them.
Rule: the clock may be set. What was noted by it goes on by how long it had run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from titik_collector.alerts import faults, flapping, phases, rules
from titik_collector.alerts.alert import (
    Alert,
    AlertEvent,
    AlertKey,
    Incident,
    Kind,
    Notification,
)
from titik_collector.alerts.alert_settings import AlertSettings
from titik_collector.alerts.book import EVENTS_MS, AlertBook, AlertStep
from titik_collector.alerts.desk_facts import DeskFacts
from titik_collector.alerts.facts import LiveFacts
from titik_collector.alerts.faults import LONGEST_LOOK_MS
from titik_collector.alerts.incidents import Gathering, is_of_group
from titik_collector.alerts.planning import (
    Planning,
    Threads,
    is_out,
    out_before_the_clock_was_set,
    threads_of,
)
from titik_collector.alerts.present import Present, see
from titik_collector.alerts.rules import UNKNOWN, Finding, Rule
from titik_wire.instant import DAY_MS

KEPT_DIGESTS_MS = 2 * DAY_MS
SUPERSEDED = ("update", "repeat", "flapping")


def evaluate(
    book: AlertBook, live: LiveFacts, desk: DeskFacts, settings: AlertSettings
) -> AlertStep:
    """The book after this look, and the rows to write; of what is older than it, nothing."""
    if book.looked_ms is not None and 0 < book.looked_ms - live.at_ms <= LONGEST_LOOK_MS:
        return AlertStep(book=book)
    fault = faults.next_fault(book.fault, book.looked_ms, live)
    present = see(live, desk, settings, fault)
    still_out = out_before_the_clock_was_set(
        book.notifications.values(), book.looked_ms, live.at_ms
    )
    if still_out:
        known = {one.number: one for one in still_out if one.number is not None}
        book = replace(book, notifications={**book.notifications, **known})
    alerts, events = _move(book, present)
    threads = threads_of(book.notifications.values(), live.at_ms)
    gathering = Gathering(
        present,
        _with(threads, out=True),
        _with(threads, out=False),
        alerts,
        dict(book.incidents),
        book.last_incident,
        events,
    )
    members = gathering.gather()
    planning = Planning(
        present, alerts, gathering.forming, threads, book.last_notification, still_out
    )
    for number, incident in gathering.incidents.items():
        planning.plan(incident, members.get(number, ()))
    _note_due(gathering.incidents, planning.due, live.at_ms)
    if book.looked_ms is not None:
        began_ms = live.server.collected_ms
        planning.plan_digest(_digests(book), gathering.incidents.values(), began_ms)
    after = AlertBook(
        looked_ms=live.at_ms,
        alerts={key: one for key, one in alerts.items() if not _is_over(one)},
        incidents=gathering.incidents,
        notifications=_kept(book, gathering.incidents, planning, live.at_ms),
        events=_recent(book.events, events, live.at_ms),
        fault=fault,
        last_incident=gathering.last_incident,
        last_notification=planning.last_number,
    )
    return _step(book, after, events, planning)


def _step(
    book: AlertBook, after: AlertBook, events: Sequence[AlertEvent], planning: Planning
) -> AlertStep:
    return AlertStep(
        book=after,
        alerts=tuple(
            one
            for key, one in after.alerts.items()
            if (old := book.alerts.get(key)) is not one and old != one
        ),
        ended=tuple(key for key in book.alerts if key not in after.alerts),
        events=tuple(events),
        incidents=tuple(
            one
            for number, one in after.incidents.items()
            if (old_one := book.incidents.get(number)) is not one and old_one != one
        ),
        notifications=tuple(planning.written),
        withdrawn=tuple(planning.withdrawn),
        fault_changed=after.fault != book.fault,
    )


def _move(book: AlertBook, present: Present) -> tuple[dict[AlertKey, Alert], list[AlertEvent]]:
    """All alerts after what the rules find; those that flap come last, for they count changes."""
    alerts, events = _after_a_pause(book, present.at_ms), list[AlertEvent]()
    found = set()
    for key, rule, finding in _findings(alerts, present):
        found.add(key)
        if finding.is_mark and book.looked_ms is None:  # it rose before anybody looked
            alerts[key] = phases.mark(key, finding, present.at_ms)
            continue
        _take(phases.move(alerts.get(key), key, rule, finding, present.at_ms), alerts, events)
    for key, alert in list(alerts.items()):
        if key not in found and key.kind != "flapping" and not is_of_group(key):
            _take(phases.remove(alert, present.at_ms), alerts, events)
            if alert.incident is None:
                del alerts[key]
    looked = flapping.look(alerts, (*book.events, *events), present)
    for key, rule, finding in list(looked):
        _take(phases.move(alerts.get(key), key, rule, finding, present.at_ms), alerts, events)
    return alerts, events


def _take(
    moved: phases.Moved | None, alerts: dict[AlertKey, Alert], events: list[AlertEvent]
) -> None:
    if moved is None:
        return
    alerts[moved.alert.key] = moved.alert
    if moved.event is not None:
        events.append(moved.event)


def _after_a_pause(book: AlertBook, at_ms: int) -> dict[AlertKey, Alert]:
    last_ms = book.looked_ms
    if last_ms is None or 0 <= at_ms - last_ms <= LONGEST_LOOK_MS:
        return dict(book.alerts)
    return {key: phases.pause(one, last_ms, at_ms) for key, one in book.alerts.items()}


def _findings(
    alerts: Mapping[AlertKey, Alert], present: Present
) -> Iterator[tuple[AlertKey, Rule, Finding]]:
    """What the rules find; of routers nothing is known while the server may be at fault."""
    known = _by_kind(alerts)
    live = present.live
    for key, rule, finding in rules.look(live, present.rules, present.places, known):
        if key.subject.scope == "server":
            yield key, rule, finding
        elif not live.hears or (finding.holds and _is_excused(present, finding)):
            yield key, rule, UNKNOWN
        else:
            from_ms = faults.known_from_ms(present.fault, finding.from_ms, live.at_ms)
            yield key, rule, finding if from_ms is None else finding._replace(from_ms=from_ms)


def _is_excused(present: Present, finding: Finding) -> bool:
    """Whether it may be the server's fault."""
    return present.is_excused and not faults.is_away_by_itself(
        present.fault, finding.from_ms, present.at_ms
    )


def _by_kind(alerts: Mapping[AlertKey, Alert]) -> dict[Kind, dict[str, Alert]]:
    known: dict[Kind, dict[str, Alert]] = {}
    for key, one in alerts.items():
        if not is_of_group(key):
            known.setdefault(key.kind, {})[key.subject.name] = one
    return known


def _with(threads: Threads, *, out: bool) -> frozenset[int]:
    """Incidents with a message that is out, or with one that waits."""
    return frozenset(
        number
        for number, some in threads.items()
        if any(one.out if out else one.waiting is not None for one in some.values())
    )


def _digests(book: AlertBook) -> list[Notification]:
    return [one for one in book.notifications.values() if one.incident is None]


def _note_due(incidents: dict[int, Incident], numbers: Sequence[int], at_ms: int) -> None:
    """From now on messages about these are wanted, and digests list them."""
    for number in numbers:
        incidents[number] = replace(incidents[number], message_ms=at_ms)


def _kept(
    book: AlertBook, incidents: Mapping[int, Incident], planning: Planning, at_ms: int
) -> Mapping[int, Notification]:
    """The notifications that later looks need."""
    old = book.notifications
    kept = {number: one for number, one in old.items() if _is_needed(one, incidents, at_ms)}
    if len(kept) == len(old) and not planning.written and not planning.withdrawn:
        return old
    for number in planning.withdrawn:
        kept.pop(number, None)
    newest: dict[tuple[int | None, str], int] = {}
    for one in planning.written:
        if one.number is not None:
            kept[one.number] = one
    for number, one in sorted(kept.items()):
        if is_out(one, at_ms):
            newest[one.incident, one.receiver] = number
    return {
        number: one
        for number, one in kept.items()
        if one.message.what not in SUPERSEDED
        or newest.get((one.incident, one.receiver), number) <= number
    }


def _is_needed(one: Notification, incidents: Mapping[int, Incident], at_ms: int) -> bool:
    if one.incident is None:
        return at_ms - one.due_ms < KEPT_DIGESTS_MS
    return one.incident in incidents


def _is_over(alert: Alert) -> bool:
    """Nothing refers to its row: no incident, and no later value is compared with its own."""
    has_mark = alert.key.kind == "samples-lost"
    return alert.phase == "inactive" and alert.incident is None and not has_mark


def _recent(
    old: tuple[AlertEvent, ...], new: Sequence[AlertEvent], at_ms: int
) -> tuple[AlertEvent, ...]:
    if not new and (not old or at_ms - old[0].at_ms <= EVENTS_MS):
        return old
    return tuple(one for one in (*old, *new) if at_ms - one.at_ms <= EVENTS_MS)
