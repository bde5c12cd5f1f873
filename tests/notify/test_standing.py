"""What is posted again: the newest of each alert, and what ended just now."""

from dataclasses import replace

from tests.notify.messages import NOON_MS, notification
from titik_collector.alerts.alert import AlertSubject, Notification, Severity
from titik_collector.limits import MAX_STANDING
from titik_collector.notify.standing import Standing, standing

MINUTE_MS = 60_000


def rank(one: Notification, severity: Severity) -> Notification:
    """The same as a warning, or as critical."""
    return replace(one, message=replace(one.message, severity=severity))


def test_an_alert_goes_on_by_its_newest_message() -> None:
    """Of each incident; what has no incident is an alert by its kind and subject."""
    first, again = notification(1), notification(2, "repeat", NOON_MS + MINUTE_MS)
    other, own = notification(3, incident=4), notification(4, incident=None)
    expected = [Standing(again, None), Standing(other, None), Standing(own, None)]
    assert expected == standing([again, own, first, other], NOON_MS)


def test_what_was_over_before_is_left_out() -> None:
    """And what is over since then ends when it ended."""
    first = notification(1)
    end = notification(2, "resolved", NOON_MS + MINUTE_MS)
    assert [Standing(end, NOON_MS)] == standing([first, end], NOON_MS)
    assert [] == standing([first, end], NOON_MS + 1)


def test_other_labels_end_those_before() -> None:
    """When the message was due that had the others."""
    first, rose = rank(notification(1), "warning"), notification(2, "update", NOON_MS + MINUTE_MS)
    wide = replace(
        notification(3, "update", NOON_MS + 2 * MINUTE_MS),
        message=replace(rose.message, subject=AlertSubject("city", "kupang")),
    )
    assert [
        Standing(first, NOON_MS + MINUTE_MS),
        Standing(rose, NOON_MS + 2 * MINUTE_MS),
        Standing(wide, None),
    ] == standing([first, rose, wide], NOON_MS)


def test_what_is_about_no_alert_is_left_out() -> None:
    """The summary of a day, a test and a report."""
    assert [] == standing([notification(1, "digest", incident=None)], NOON_MS)


def test_so_many_of_the_newest_are_posted() -> None:
    """A request stays small."""
    many = [notification(n, due_ms=NOON_MS + n, incident=n) for n in range(MAX_STANDING + 2)]
    found = standing(many, NOON_MS)
    assert (MAX_STANDING, 2) == (len(found), found[0].notification.incident)
