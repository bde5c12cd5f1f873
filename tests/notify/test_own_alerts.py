"""What only `titik notify` can see: the collector's silence, and receivers that nothing reaches."""

from dataclasses import replace

import pytest

from tests.notify.messages import DOWN, notification
from titik_collector.alerts.alert import AlertSubject, Message
from titik_collector.notify import own_alerts
from titik_collector.notify.own_alerts import OwnAlerts, OwnFinding, SeenCollector
from titik_collector.own_state.collector_state import CollectorState
from titik_collector.store.delivery_rows import DeliveryRow, Outcome

MINUTE_MS = 60_000
NOW_MS = 10_000 * MINUTE_MS
STORING = CollectorState("main", 1, NOW_MS, NOW_MS - MINUTE_MS, storing=True)
STUCK = replace(STORING, storing=False, store_problem="disk full")
LONG_AGO_MS = NOW_MS - 60 * MINUTE_MS


def seen(
    age_ms: int | None, state: CollectorState | None = None, watched_ms: int = 60 * MINUTE_MS
) -> SeenCollector:
    """A collector whose beat is so old."""
    beat_ms = None if age_ms is None else NOW_MS - age_ms
    return SeenCollector(NOW_MS, beat_ms, age_ms, watched_ms, state)


@pytest.mark.parametrize(
    ("found", "down", "stuck"),
    [
        (seen(5000, STORING), False, False),
        (seen(59_999), False, False),
        (seen(60_000), True, None),
        (seen(60_000, STORING), True, False),
        (seen(60_000, STUCK), None, True),
        (seen(60_000, replace(STUCK, at_ms=LONG_AGO_MS)), True, None),
        (seen(None), True, None),
        (seen(None, STUCK), None, True),
        (seen(60_000, watched_ms=59_999), None, None),
        (seen(None, watched_ms=59_999), None, None),
    ],
    ids=[
        *("works", "just", "gone", "hangs", "full disk", "killed then", "never", "never stored"),
        *("just started", "never yet"),
    ],
)
def test_what_is_wrong_with_the_collector(
    found: SeenCollector, down: bool | None, stuck: bool | None
) -> None:
    """A full disk is not a dead collector, and what was not watched is not known."""
    expected = [("collector-down", down), ("store-failing", stuck)]
    findings = own_alerts.of_collector(found, "main", "Kota Kupang")
    assert expected == [(one.key.kind, one.condition) for one in findings]


def played(*conditions: tuple[int, bool | None]) -> list[tuple[int, str, int]]:
    """Minute and condition; what is reported at which minute, and from when."""
    alerts, found, is_firing = OwnAlerts(), list[tuple[int, str, int]](), False
    key = own_alerts.OwnKey("collector-down", "main")
    for minute, condition in conditions:
        one = OwnFinding(key, "Kota Kupang", condition, 7, own_alerts.FOR_MS)
        message: Message | None = alerts.moved(one, is_firing, minute * MINUTE_MS)
        if message is not None:
            is_firing = message.what == "firing"
            found.append((minute, message.what, message.from_ms))
    return found


def test_it_is_reported_after_a_minute_and_over_after_ten() -> None:
    """Each once; what is not known in between changes nothing."""
    assert [(2, "firing", 7), (15, "resolved", 7)] == played(
        *((1, True), (2, True), (3, True), (4, None), (5, False), (14, False), (15, False)),
        (16, False),
    )


def test_what_comes_back_within_ten_minutes_is_the_same_incident() -> None:
    """Nobody reads that it is over, and a moment later that it is not."""
    assert [(2, "firing", 7), (30, "resolved", 7)] == played(
        (1, True), (2, True), (5, False), (14, True), (20, False), (30, False)
    )


def test_what_is_over_within_a_minute_is_not_reported() -> None:
    """As a collector that is upgraded."""
    assert [] == played((1, True), (1, False), (2, True), (2, False), (9, False))


def tries(*outcomes: tuple[int, Outcome]) -> list[DeliveryRow]:
    """Minutes ago, and what became of it; the oldest first."""
    return [
        DeliveryRow("store", n, 1, None, "it", NOW_MS - ago * MINUTE_MS, outcome)
        for n, (ago, outcome) in enumerate(outcomes)
    ]


@pytest.mark.parametrize(
    ("given", "condition"),
    [
        ((), None),
        (((20, "delivered"),), False),
        (((20, "failed"), (10, "failed")), None),
        (((14, "failed"), (10, "failed"), (1, "failed")), None),
        (((16, "failed"), (10, "failed"), (1, "failed")), True),
        (((16, "refused"), (10, "refused"), (1, "refused")), True),
        (((30, "failed"), (20, "delivered"), (10, "failed"), (9, "failed"), (8, "failed")), None),
        (((16, "failed"), (10, "failed"), (2, "failed"), (1, "delivered")), False),
    ],
)
def test_a_receiver_that_nothing_reaches_for_a_quarter_of_an_hour(
    given: tuple[tuple[int, Outcome], ...], condition: bool | None
) -> None:
    """Three tries at least; one that arrives ends it, and none that was tried says nothing."""
    assert condition is own_alerts.of_receiver(tries(*given), "it", NOW_MS).condition


def test_what_only_we_saw_is_in_the_digest() -> None:
    """Each incident once, as long as it went on after the digest before."""
    city = AlertSubject("city", "kupang")
    digest = replace(DOWN, what="digest", subject=city, from_ms=NOW_MS, members=(), places=0)
    fired = replace(
        DOWN, kind="collector-down", subject=AlertSubject("server", "main"), from_ms=7, members=()
    )
    over = replace(fired, what="resolved", to_ms=NOW_MS + 1)
    own = [replace(notification(), message=one, incident=None) for one in (fired, fired, over)]
    found = own_alerts.with_own(digest, own)
    assert (1, [NOW_MS + 1]) == (found.places, [one.to_ms for one in found.members])
    old = [replace(notification(), message=replace(over, to_ms=NOW_MS))]
    assert digest == own_alerts.with_own(digest, old)
