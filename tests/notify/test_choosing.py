"""Which message a receiver gets next."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.notify.messages import NOON_MS, notification
from titik_collector.alerts.alert import Notification, What
from titik_collector.limits import MAX_MESSAGES
from titik_collector.notify import choosing
from titik_collector.notify.choosing import Choice, Failure
from titik_collector.notify.composed import MessageKey
from titik_collector.store.delivery_rows import DeliveryRow

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
FAILED = Failure("failed", "no answer")


def chosen(
    notifications: list[Notification],
    deliveries: list[DeliveryRow],
    now_ms: int,
    is_person: bool = True,
) -> Choice | None:
    """The next of these."""
    found = choosing.waiting_of(
        [(choosing.key_of("store", one), one) for one in notifications], deliveries
    )
    return choosing.choose(found, deliveries, now_ms, is_person=is_person)


def numbers(choice: Choice | None) -> tuple[str, list[int]] | None:
    """How, and which."""
    return None if choice is None else (choice.form, [one.key.number for one in choice.of])


@pytest.mark.parametrize(
    ("tries", "wait_s"), [(1, 10), (2, 30), (3, 120), (4, 600), (5, 1800), (6, 3600), (20, 3600)]
)
def test_each_failure_waits_longer_and_then_an_hour(tries: int, wait_s: int) -> None:
    """So a short hiccup costs seconds, and a long one little traffic."""
    failed = [NOON_MS + n for n in range(tries)]
    assert failed[-1] + wait_s * 1000 == choosing.next_try_ms(NOON_MS, failed)


def test_a_message_is_tried_for_a_day() -> None:
    """What it says then helps nobody."""
    (one,) = choosing.waiting_of([(MessageKey("store", 1, 0), notification())], [])
    day_ms = 24 * HOUR_MS
    assert (False, True) == (
        choosing.is_over(one, NOON_MS + day_ms),
        choosing.is_over(one, NOON_MS + day_ms + 1),
    )


def test_an_end_waits_for_its_beginning() -> None:
    """Whoever reads that it is over has read that it began."""
    both = [notification(1), notification(2, "resolved", NOON_MS + MINUTE_MS)]
    (row,) = choosing.rows_of(chosen(both, [], NOON_MS) or Choice("single", ()), NOON_MS, FAILED)
    now_ms = NOON_MS + MINUTE_MS
    assert None is chosen(both, [row._replace(at_ms=now_ms)], now_ms)
    assert ("single", [1]) == numbers(chosen(both, [row], now_ms))
    arrived = row._replace(outcome="delivered")
    assert ("single", [2]) == numbers(chosen(both, [arrived], now_ms))


def test_a_beginning_and_an_end_that_both_wait_long_are_one_message() -> None:
    """For people: a program opens and closes its ticket."""
    both = [notification(1), notification(2, "resolved", NOON_MS + MINUTE_MS)]
    now_ms = NOON_MS + 12 * MINUTE_MS
    merged = chosen(both, [], now_ms)
    assert ("merged", [1, 2]) == numbers(merged)
    assert merged is not None
    assert ["merged", "delivered"] == [one.outcome for one in choosing.rows_of(merged, 0, None)]
    assert ("single", [1]) == numbers(chosen(both, [], now_ms, is_person=False))


def test_what_is_critical_goes_first() -> None:
    """However long others wait."""
    first = notification(1, incident=1)
    mild = replace(first, message=replace(first.message, severity="warning"))
    grave = notification(2, incident=2, due_ms=NOON_MS + 1)
    assert ("single", [2]) == numbers(chosen([mild, grave], [], NOON_MS + 1))


def delivered(number: int, at_ms: int = NOON_MS) -> DeliveryRow:
    """One that arrived."""
    return DeliveryRow("store", number, at_ms, number, "it", at_ms, "delivered")


def test_above_so_many_an_hour_one_message_counts_the_rest() -> None:
    """What is never capped goes out beside it."""
    hour = [delivered(n) for n in range(100, 100 + MAX_MESSAGES)]
    rest = [notification(n, incident=n) for n in range(1, 31)]
    more = chosen(rest, hour, NOON_MS)
    assert ("more", list(range(1, 31))) == numbers(more)
    assert more is not None
    hour += choosing.rows_of(more, NOON_MS, None)
    later = [notification(50, incident=50), notification(51, incident=51, is_uncapped=True)]
    assert ("single", [51]) == numbers(chosen(later, hour, NOON_MS))
    assert None is chosen(later[:1], hour, NOON_MS + HOUR_MS - 1)
    assert ("single", [50]) == numbers(chosen(later[:1], hour, NOON_MS + HOUR_MS))
    assert ("single", [50]) == numbers(chosen(later[:1], hour, NOON_MS, is_person=False))


def test_a_digest_is_never_capped() -> None:
    """That none comes would look like a dead server."""
    hour = [delivered(n) for n in range(100, 100 + MAX_MESSAGES)]
    assert ("single", [1]) == numbers(
        chosen([notification(1, "digest", incident=None)], hour, NOON_MS)
    )


def test_a_number_that_a_restored_store_gives_again_is_another_message() -> None:
    """Else it would never be sent."""
    again = notification(1, due_ms=NOON_MS + 1)
    assert ("single", [1]) == numbers(chosen([again], [delivered(1)], NOON_MS + 1))


def test_after_a_restore_what_is_older_than_an_hour_is_not_sent() -> None:
    """It was sent long ago, or helps nobody."""
    rows = [
        (MessageKey("store", n, 0), notification(n, due_ms=due))
        for n, due in ((1, NOON_MS - HOUR_MS - 1), (2, NOON_MS - HOUR_MS))
    ]
    assert [1] == [key.number for key, _ in choosing.expired(rows, NOON_MS)]


WHATS: tuple[What, ...] = ("firing", "update", "resolved")


@given(
    incidents=st.lists(
        st.lists(st.integers(0, 40), min_size=1, max_size=3), min_size=1, max_size=12
    ),
    fates=st.lists(st.sampled_from(["ok", "ok", "fail", "kill"]), min_size=1, max_size=60),
    is_person=st.booleans(),
)
def test_no_message_is_lost_and_a_kill_costs_one_double_at_most(
    incidents: list[list[int]], fates: list[str], is_person: bool
) -> None:
    """Whatever fails, and wherever the process is killed between sending and marking."""
    rows = [
        notification(10 * one + place, WHATS[place], NOON_MS + minutes * MINUTE_MS, incident=one)
        for one, gaps in enumerate(incidents)
        for place, minutes in enumerate(sorted(gaps))
    ]
    rows = [replace(one, made_ms=NOON_MS) for one in rows]
    deliveries: list[DeliveryRow] = []
    sent: Counter[MessageKey] = Counter()
    kills = 0
    now_ms, fate = NOON_MS, iter(fates)
    for _ in range(3000):
        due = [one for one in rows if one.due_ms <= now_ms]
        choice = chosen(due, deliveries, now_ms, is_person)
        if choice is None:
            now_ms += MINUTE_MS
            if now_ms > NOON_MS + 20 * HOUR_MS:
                break
            continue
        what = next(fate, "ok")
        if what == "fail":
            deliveries += choosing.rows_of(choice, now_ms, FAILED)
            continue
        sent.update(one.key for one in choice.of)
        if what == "kill":
            kills += 1
        else:
            deliveries += choosing.rows_of(choice, now_ms, None)
    assert {choosing.key_of("store", one) for one in rows} == set(sent)
    doubles = sum(times - 1 for times in sent.values())
    assert doubles <= kills * (len(rows) if is_person else 1)
    assert all(one.outcome != "failed" or sent[choosing.tried(one)] for one in deliveries)
