"""From what a rule finds to where its alert stands: inactive, pending, firing or recovering.

Rule: `for` counts from when it happened, so that a late notice does not delay twice.
Rule: what is not known leaves an alert where it stands, and neither `for` nor `keep` runs.
Rule: only what fires and what ends is an event; what was pending ends without a trace.
"""

from dataclasses import replace
from typing import Literal, NamedTuple

from titik_collector.alerts.alert import Alert, AlertEvent, AlertKey, Phase
from titik_collector.alerts.rules import Finding, Rule
from titik_wire.instant import MINUTE_MS

REOPEN_MS = 30 * MINUTE_MS  # what fires again within so long is the same incident

Why = Literal["held", "again", "cleared", "removed"]


class Moved(NamedTuple):
    """An alert after a finding, and what happened to it."""

    alert: Alert
    event: AlertEvent | None = None


def move(
    before: Alert | None, key: AlertKey, rule: Rule, finding: Finding, at_ms: int
) -> Moved | None:
    """The alert as it stands now; None: it has none and needs none, or nothing changed."""
    if before is None:
        return _begin(None, key, rule, finding, at_ms) if finding.holds else None
    if finding.holds is None:
        return _stopped(before, at_ms)
    if before.phase == "inactive":
        return _begin(before, key, rule, finding, at_ms) if finding.holds else None
    if before.phase == "pending":
        return _pending(before, rule, finding, at_ms)
    if before.phase == "firing":
        return _firing(before, rule, finding, at_ms)
    return _recovering(before, rule, finding, at_ms)


def pause(alert: Alert, last_ms: int, at_ms: int) -> Alert:
    """The same alert after a time in which nobody looked: its clock stood still in between."""
    if not alert.known or alert.phase not in ("pending", "recovering"):
        return alert
    return replace(alert, held_ms=_held(alert, last_ms), seen_ms=at_ms)


def remove(alert: Alert, at_ms: int) -> Moved:
    """What it is about is no longer registered, or its rule is off."""
    return _end(alert, at_ms, at_ms, "removed")


def fire(key: AlertKey, from_ms: int, value: float | None, incident: int, at_ms: int) -> Moved:
    """An alert that others found to be true for long enough."""
    alert = Alert(
        key=key, phase="inactive", known=True, since_ms=at_ms, from_ms=from_ms, incident=incident
    )
    return _fire(alert, "inactive", value, at_ms, "held")


def mark(key: AlertKey, finding: Finding, at_ms: int) -> Alert:
    """An inactive alert, with the value that later ones are compared with."""
    return Alert(key=key, phase="inactive", known=True, since_ms=at_ms, value=finding.value)


def held_ms(alert: Alert, at_ms: int) -> int:
    """For how long `for` or `keep` has run."""
    return _held(alert, at_ms) if alert.known else alert.held_ms


def _begin(before: Alert | None, key: AlertKey, rule: Rule, finding: Finding, at_ms: int) -> Moved:
    from_ms = at_ms if finding.from_ms is None else min(finding.from_ms, at_ms)
    pending = Alert(
        key=key,
        phase="pending",
        known=finding.runs,
        since_ms=at_ms,
        from_ms=from_ms,
        seen_ms=at_ms,
        held_ms=at_ms - from_ms if finding.runs else 0,
        incident=_incident(before, from_ms),
        value=finding.value,
    )
    return _fire_if_held(pending, rule, at_ms, "inactive") or Moved(pending)


def _incident(before: Alert | None, from_ms: int) -> int | None:
    """That of before, which it reopens unless it was over for long."""
    if before is None or (before.phase == "inactive" and from_ms - before.since_ms > REOPEN_MS):
        return None
    return before.incident


def _fire_if_held(alert: Alert, rule: Rule, at_ms: int, was: Phase) -> Moved | None:
    if not alert.known or held_ms(alert, at_ms) < rule.for_ms:
        return None
    return _fire(alert, was, alert.value, at_ms, "held")


def _fire(alert: Alert, was: Phase, value: float | None, at_ms: int, why: Why) -> Moved:
    firing = replace(
        alert, phase="firing", known=True, since_ms=at_ms, seen_ms=at_ms, held_ms=0, value=value
    )
    return Moved(firing, AlertEvent(alert.key, at_ms, was, "firing", why))


def _pending(before: Alert, rule: Rule, finding: Finding, at_ms: int) -> Moved | None:
    if not finding.holds:
        return _end(before, at_ms, at_ms, "cleared")
    from_ms = before.from_ms if finding.from_ms is None else finding.from_ms
    if from_ms is not None and before.from_ms is not None and from_ms > before.from_ms:
        return _begin(before, before.key, rule, finding, at_ms)  # it ended in between, unseen
    if not finding.runs:
        return _stopped(before, at_ms)
    pending = _earlier(_running(before, at_ms), from_ms)
    fired = _fire_if_held(pending, rule, at_ms, "pending")
    return fired or (None if pending is before else Moved(pending))


def _firing(before: Alert, rule: Rule, finding: Finding, at_ms: int) -> Moved | None:
    if not finding.holds:
        recovering = replace(
            before, phase="recovering", known=True, since_ms=at_ms, seen_ms=at_ms, held_ms=0
        )
        if rule.keep_ms == 0:
            return _end(recovering, at_ms, at_ms, "cleared")
        return Moved(recovering, AlertEvent(before.key, at_ms, "firing", "recovering", "cleared"))
    firing = _earlier(_running(before, at_ms), finding.from_ms)
    if finding.is_mark and finding.value != firing.value:
        firing = replace(firing, value=finding.value)
    return None if firing is before else Moved(firing)


def _recovering(before: Alert, rule: Rule, finding: Finding, at_ms: int) -> Moved | None:
    if finding.holds:
        return _fire(before, "recovering", finding.value, at_ms, "again")
    running = _running(before, at_ms)
    if held_ms(running, at_ms) >= rule.keep_ms:
        return _end(running, running.since_ms, at_ms, "cleared")
    return None if running is before else Moved(running)


def _end(before: Alert, since_ms: int, at_ms: int, why: Why) -> Moved:
    """Inactive since it came back, which is before `keep` was over."""
    ended = replace(
        before, phase="inactive", known=True, since_ms=since_ms, seen_ms=at_ms, held_ms=0
    )
    if before.phase in ("pending", "inactive"):
        return Moved(ended)
    return Moved(ended, AlertEvent(before.key, at_ms, before.phase, "inactive", why))


def _stopped(before: Alert, at_ms: int) -> Moved | None:
    """Its clock stands still from now on."""
    if not before.known or before.phase == "inactive":
        return None
    return Moved(replace(before, known=False, held_ms=_held(before, at_ms), seen_ms=at_ms))


def _running(before: Alert, at_ms: int) -> Alert:
    return before if before.known else replace(before, known=True, seen_ms=at_ms)


def _earlier(before: Alert, from_ms: int | None) -> Alert:
    """It began earlier than was known: `for` has run for so much longer."""
    if from_ms is None or before.from_ms is None or from_ms >= before.from_ms:
        return before
    return replace(before, from_ms=from_ms, held_ms=before.held_ms + before.from_ms - from_ms)


def _held(alert: Alert, at_ms: int) -> int:
    if alert.phase not in ("pending", "recovering"):
        return 0
    return alert.held_ms + at_ms - (at_ms if alert.seen_ms is None else alert.seen_ms)
