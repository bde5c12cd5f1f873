"""Where an alert stands after what a rule finds."""

from tests.alerts.cities import MIN, NOON_MS, Play, S, router


def test_for_counts_from_when_it_happened() -> None:
    """An outage that is noticed after two minutes fires three minutes later."""
    play = Play()
    play.stay(NOON_MS, NOON_MS + 2 * MIN, [router("park")])
    away = [router("park", state="offline", since_ms=NOON_MS)]
    play.stay(NOON_MS + 2 * MIN, NOON_MS + 6 * MIN, away)
    assert [(NOON_MS + 5 * MIN, "pending", "firing")] == [
        (one.at_ms, one.was, one.became) for one in play.events()
    ]


def test_what_ends_before_it_fires_leaves_no_trace() -> None:
    """Four minutes away are no event, and no row is left."""
    play = Play()
    play.stay(NOON_MS, NOON_MS + 4 * MIN, [router("park", state="offline", since_ms=NOON_MS)])
    play.stay(NOON_MS + 4 * MIN, NOON_MS + 5 * MIN, [router("park")])
    assert ([], {}) == (play.events(), dict(play.book.alerts))


def test_it_is_resolved_after_it_was_back_for_a_while() -> None:
    """Two minutes, so that a router that starts and stops is one outage."""
    play = Play()
    play.stay(NOON_MS, NOON_MS + 6 * MIN, [router("park", state="offline", since_ms=NOON_MS)])
    play.stay(NOON_MS + 6 * MIN, NOON_MS + 9 * MIN, [router("park")])
    assert [
        (NOON_MS + 5 * MIN, "firing"),
        (NOON_MS + 6 * MIN, "recovering"),
        (NOON_MS + 8 * MIN, "inactive"),
    ] == [(one.at_ms, one.became) for one in play.events()]


def test_what_is_not_known_stops_the_clock() -> None:
    """Ten minutes of doubt do not count as downtime, nor end it."""
    play = Play()
    away = [router("park", state="offline", since_ms=NOON_MS)]
    doubted = [router("park", state="offline", since_ms=NOON_MS, in_doubt=True)]
    play.stay(NOON_MS, NOON_MS + 3 * MIN, away)
    play.stay(NOON_MS + 3 * MIN, NOON_MS + 13 * MIN, doubted)
    play.stay(NOON_MS + 13 * MIN, NOON_MS + 16 * MIN, away)
    assert [NOON_MS + 15 * MIN] == [one.at_ms for one in play.events()]


def test_nothing_is_written_while_nothing_changes() -> None:
    """Looks between the first and the one that fires find nothing new."""
    play = Play()
    play.stay(NOON_MS, NOON_MS + 5 * MIN, [router("park", state="offline", since_ms=NOON_MS)])
    assert [True] * 19 == [step.is_empty for step in play.steps[1:]]


def test_a_long_time_without_looks_does_not_count() -> None:
    """The collector was away for an hour: what it did not see it does not count."""
    play = Play()
    away = [router("park", state="offline", since_ms=NOON_MS)]
    play.stay(NOON_MS, NOON_MS + 1 * MIN, away)
    play.stay(NOON_MS + 60 * MIN, NOON_MS + 63 * MIN, away)
    assert [] == play.events()
    alert = play.alert("site-offline", "park")
    assert alert is not None
    assert ("pending", 45 * S) == (alert.phase, alert.held_ms)
