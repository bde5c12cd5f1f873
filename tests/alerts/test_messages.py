"""Who gets which message when: each promise to people who are called at night."""

from dataclasses import replace

import pytest

from tests.alerts.cities import MIDNIGHT_MS, MIN, NOON_MS, SETTINGS, H, Play, S, router, site
from titik_collector.alerts.alert import AlertSubject, Member
from titik_collector.alerts.alert_settings import Rota, Route, RuleSetting
from titik_collector.alerts.desk_facts import (
    Acknowledgement,
    DeliveryTime,
    DeskFacts,
    Maintenance,
    Silence,
)
from titik_collector.alerts.facts import LiveRouter

EVERY_MS = 15 * S
WEEK_MS = 7 * 24 * H


def down(name: str, since_ms: int = NOON_MS, **changes: object) -> LiveRouter:
    """A router that is offline."""
    return router(name, state="offline", since_ms=since_ms, **changes)


def test_a_place_that_is_down_is_one_message_and_its_end_another() -> None:
    """Down at 12:00: the message is out at 12:06, and ten minutes after it is back its end."""
    play = Play()
    play.stay(NOON_MS, NOON_MS + 20 * MIN, [down("park"), router("hall")])
    play.stay(NOON_MS + 20 * MIN, NOON_MS + H, [router("park"), router("hall")])
    assert [(6, "ops", "firing", "park"), (30, "ops", "resolved", "park")] == play.inbox()
    (end,) = play.messages("resolved")
    assert (NOON_MS, NOON_MS + 20 * MIN) == (end.from_ms, end.to_ms)


def test_what_ended_before_its_message_was_due_is_no_message() -> None:
    """It fired at 12:05 and was back before 12:06: nobody hears of it, nor that it is over."""
    play = Play()
    play.stay(NOON_MS, NOON_MS + 6 * MIN, [down("park")])
    play.stay(NOON_MS + 6 * MIN, NOON_MS + H, [router("park")])
    assert [] == play.inbox()


def test_what_fires_again_at_once_has_no_second_message() -> None:
    """It was back for five minutes: the end waits ten, and is withdrawn."""
    play = Play()
    play.stay(NOON_MS, NOON_MS + 10 * MIN, [down("park")])
    play.stay(NOON_MS + 10 * MIN, NOON_MS + 15 * MIN, [router("park")])
    play.stay(NOON_MS + 15 * MIN, NOON_MS + H, [down("park", NOON_MS + 15 * MIN)])
    assert [(6, "ops", "firing", "park")] == play.inbox()


def test_what_fires_again_within_half_an_hour_is_the_same_incident() -> None:
    """With its acknowledgement: it is reported again, but nobody is called twice."""
    play = Play(replace(SETTINGS, routes=(Route(("ops",), escalate=(("boss",),)),)))
    play.stay(NOON_MS, NOON_MS + 10 * MIN, [down("park")])
    play.desk = DeskFacts(
        acks=(Acknowledgement(1, "ani", NOON_MS + 7 * MIN, NOON_MS + 24 * H),),
        delivered=(DeliveryTime(1, NOON_MS + 6 * MIN),),
    )
    play.stay(NOON_MS + 10 * MIN, NOON_MS + 30 * MIN, [router("park")])
    play.stay(NOON_MS + 30 * MIN, NOON_MS + 6 * H, [down("park", NOON_MS + 30 * MIN)], None, MIN)
    assert [
        (6, "ops", "firing", "park"),
        (20, "ops", "resolved", "park"),
        (36, "ops", "firing", "park"),
    ] == play.inbox()
    assert [(False, None), (True, "ani")] == [
        (one.reopened, one.acked_by) for one in play.messages("firing")
    ]
    assert [1] == list(play.book.incidents)


def test_an_incident_that_is_reopened_is_since_its_newest_begin() -> None:
    """Down at 12:00 and at 12:30: both messages of the second say 12:30."""
    for restarts in (False, True):
        play = Play(restarts=restarts)
        play.stay(NOON_MS, NOON_MS + 10 * MIN, [down("park")])
        play.stay(NOON_MS + 10 * MIN, NOON_MS + 30 * MIN, [router("park")])
        again_ms, back_ms = NOON_MS + 30 * MIN, NOON_MS + 52 * MIN
        play.stay(again_ms, back_ms, [down("park", again_ms)])
        play.stay(back_ms, back_ms + H, [router("park")])
        assert [NOON_MS, again_ms] == [one.from_ms for one in play.messages("firing")]
        assert [(NOON_MS, NOON_MS + 10 * MIN), (again_ms, back_ms)] == [
            (one.from_ms, one.to_ms) for one in play.messages("resolved")
        ]
        (incident,) = [one for one in play.book.incidents.values() if one.kind == "site-offline"]
        assert (True, again_ms) == (incident.was_reopened, incident.from_ms)


def test_a_short_absence_after_the_end_reopens_nothing() -> None:
    """Back at 12:10 and away for three minutes at 12:15: the end is of 12:00."""
    play = Play()
    play.stay(NOON_MS, NOON_MS + 10 * MIN, [down("park")])
    play.stay(NOON_MS + 10 * MIN, NOON_MS + 15 * MIN, [router("park")])
    play.stay(NOON_MS + 15 * MIN, NOON_MS + 18 * MIN, [down("park", NOON_MS + 15 * MIN)])
    play.stay(NOON_MS + 18 * MIN, NOON_MS + H, [router("park")])
    assert [NOON_MS] == [one.from_ms for one in play.messages("resolved")]


def test_what_the_server_has_again_and_again_is_not_repeated_to_who_handles_it() -> None:
    """A line that drops each half hour: its first message and end, and that it comes and goes."""
    play = Play()
    at_ms = NOON_MS
    for _ in range(4):
        play.stay(at_ms, at_ms + 10 * MIN, [router("park")], line_down_since_ms=at_ms)
        ack = Acknowledgement(1, "ani", NOON_MS + 7 * MIN, NOON_MS + 24 * H)
        play.desk = DeskFacts(acks=(ack,))
        play.stay(at_ms + 10 * MIN, at_ms + 30 * MIN, [router("park")])
        at_ms += 30 * MIN
    assert ["firing", "resolved", "flapping"] == [one.what for one in play.inbox()]
    assert [1, 2] == list(play.book.incidents)


def test_what_fires_after_half_an_hour_is_another_incident() -> None:
    """It was back for 40 minutes."""
    play = Play()
    play.stay(NOON_MS, NOON_MS + 10 * MIN, [down("park")])
    play.stay(NOON_MS + 10 * MIN, NOON_MS + 50 * MIN, [router("park")])
    play.stay(NOON_MS + 50 * MIN, NOON_MS + H, [down("park", NOON_MS + 50 * MIN)])
    assert [1, 2] == sorted({one.incident or 0 for one in play.outbox.values()})


def test_a_restart_changes_nothing() -> None:
    """A collector that starts again before each look plans the same messages."""
    inboxes = []
    for restarts in (False, True):
        play = Play(restarts=restarts)
        play.stay(NOON_MS, NOON_MS + 10 * MIN, [down("park"), router("hall")])
        play.stay(NOON_MS + 10 * MIN, NOON_MS + 15 * MIN, [router("park"), router("hall")])
        play.stay(NOON_MS + 15 * MIN, NOON_MS + H, [down("park", NOON_MS + 15 * MIN), down("hall")])
        play.stay(NOON_MS + H, NOON_MS + 2 * H, [router("park"), router("hall")])
        inboxes.append(play.inbox())
    assert inboxes[0] == inboxes[1]
    assert 5 == len(inboxes[0])


def test_a_clock_that_is_set_back_keeps_no_end_from_anybody() -> None:
    """What was out stays out: an hour back, its end comes ten minutes after the place is back."""
    for restarts in (False, True):
        play = Play(restarts=restarts)
        play.stay(NOON_MS, NOON_MS + 30 * MIN, [down("park")])
        play.stay(NOON_MS - H, NOON_MS - 30 * MIN, [router("park")])
        assert ["firing", "resolved"] == [one.what for one in play.inbox()]
        assert -50 == play.inbox()[-1].minute


# Groups


def names(count: int, name: str = "place") -> list[str]:
    """So many places."""
    return [f"{name}-{number}" for number in range(count)]


def test_five_places_within_three_minutes_are_one_message() -> None:
    """At any fleet size; the message is out three minutes after the fifth fell."""
    for fleet in (10, 400):
        up = [router(name) for name in names(fleet)[5:]]
        play = Play()
        fell = [down(name) for name in names(5)]
        play.stay(NOON_MS, NOON_MS + 30 * MIN, fell + up, None, MIN)
        every = [router(name) for name in names(fleet)]
        play.stay(NOON_MS + 30 * MIN, NOON_MS + H, every, None, MIN)
        assert [(3, "ops", "firing", "kupang"), (40, "ops", "resolved", "kupang")] == play.inbox()
        (first,) = play.messages("firing")
        assert ("group-outage", 5, fleet) == (first.kind, first.places, first.of_places)


def test_batteries_that_die_one_by_one_are_one_message() -> None:
    """Twenty places, a minute apart each: the window slides with the newest."""
    play = Play()
    for minute in range(60):
        at_ms = NOON_MS + minute * MIN
        fell = [NOON_MS + number * MIN for number in range(20)]
        now = [
            down(name, since_ms) if since_ms <= at_ms else router(name)
            for name, since_ms in zip(names(20), fell, strict=True)
        ]
        play.stay(at_ms, at_ms + MIN, now + [router(name) for name in names(20, "other")])
    assert ["kupang"] == [one.name for one in play.inbox()]


def test_places_that_fell_far_apart_are_messages_of_their_own() -> None:
    """Five places, four minutes apart each."""
    play = Play()
    now = [down(name, NOON_MS - 4 * number * MIN) for number, name in enumerate(names(5))]
    play.stay(NOON_MS, NOON_MS + 30 * MIN, now + [router(name) for name in names(40, "other")])
    assert sorted(names(5)) == sorted(one.name for one in play.inbox())


def test_half_of_a_district_is_one_message() -> None:
    """Three places of five, with the district's name."""
    sites = [site(name, district="Kota") for name in names(5)]
    sites += [site(name, district="Timur") for name in names(7, "other")]
    play = Play()
    now = [down(name) for name in names(3)] + [router("place-3"), router("place-4")]
    now += [router(name) for name in names(7, "other")]
    play.stay(NOON_MS, NOON_MS + 20 * MIN, now, sites)
    assert [(3, "ops", "firing", "district:Kota")] == play.inbox()
    (first,) = play.messages("firing")
    assert ("Kota", 3, 5, "critical") == (
        first.title,
        first.places,
        first.of_places,
        first.severity,
    )


def test_two_places_are_no_group() -> None:
    """Though they are half of a district of four."""
    sites = [site(name, district="Kota") for name in names(4)]
    play = Play()
    now = [down("place-0"), down("place-1"), router("place-2"), router("place-3")]
    play.stay(NOON_MS, NOON_MS + 20 * MIN, now, sites)
    assert ["place-0", "place-1"] == [one.name for one in play.inbox()]


def test_a_group_is_named_after_what_fell_more_of() -> None:
    """Five places of one district and one provider, which has places elsewhere."""
    sites = [site(name, district="Kota", provider="Telko") for name in names(5)]
    sites += [site(name, district="Timur", provider="Telko") for name in names(5, "other")]
    play = Play()
    now = [down(name) for name in names(5)] + [router(name) for name in names(5, "other")]
    play.stay(NOON_MS, NOON_MS + 20 * MIN, now, sites)
    assert ["district:Kota"] == [one.name for one in play.inbox()]


def test_an_incident_that_widens_has_one_update() -> None:
    """A district first, then the whole city within three minutes."""
    sites = [site(name, district="Kota") for name in names(4)]
    sites += [site(name, district="Timur") for name in names(40, "other")]
    first = [down(name) for name in names(4)]
    play = Play()
    later = [router(name) for name in names(40, "other")]
    play.stay(NOON_MS, NOON_MS + 4 * MIN, first + later, sites)
    fell = [down(name, NOON_MS + 150 * S) for name in names(6, "other")]
    play.stay(NOON_MS + 4 * MIN, NOON_MS + 40 * MIN, first + fell + later[6:], sites)
    assert [
        (3, "ops", "firing", "district:Kota"),
        (8, "ops", "update", "kupang"),
    ] == play.inbox()
    assert [10] == [one.places for one in play.messages("update")]


def test_a_provider_without_internet_is_one_message() -> None:
    """All places of one provider are online, and none has internet."""
    sites = [site(name, provider="Telko") for name in names(6)]
    sites += [site(name, provider="Indo") for name in names(6, "other")]
    play = Play()
    cut = {"internet": False, "internet_since_ms": NOON_MS - 5 * MIN}
    now = [router(name, **cut) for name in names(6)] + [router(name) for name in names(6, "other")]
    play.stay(NOON_MS, NOON_MS + 20 * MIN, now, sites)
    play.stay(NOON_MS + 20 * MIN, NOON_MS + H, [router(one.name) for one in sites], sites)
    assert [
        (1, "ops", "firing", "provider:Telko"),
        (30, "ops", "resolved", "provider:Telko"),
    ] == play.inbox()
    assert ["no-internet"] == [one.kind for one in play.messages("firing")]


def test_routers_of_one_site_are_one_message_about_the_site() -> None:
    """Two of three routers away since the same minute: a warning, with both."""
    now = [down("a", site="park"), down("b", site="park"), router("c", "park")]
    play = Play()
    play.stay(NOON_MS, NOON_MS + 20 * MIN, now)
    assert [(16, "ops", "firing", "park")] == play.inbox()
    (first,) = play.messages("firing")
    assert ("router-offline", "warning", ["a", "b"]) == (
        first.kind,
        first.severity,
        [one.subject.name for one in first.members],
    )


def test_a_router_is_not_reported_while_its_site_is() -> None:
    """One router is away for long; then the site goes. That the router is back is reported."""
    play = Play()
    one = [down("a", site="park"), router("b", "park")]
    both = [down("a", site="park"), down("b", NOON_MS + 14 * MIN, site="park")]
    play.stay(NOON_MS, NOON_MS + 14 * MIN, one)
    play.stay(NOON_MS + 14 * MIN, NOON_MS + H, both)
    assert [(20, "ops", "firing", "park")] == play.inbox()


# Night


NIGHT = MIDNIGHT_MS + 2 * H


def test_a_single_park_waits_for_the_morning() -> None:
    """Down at 02:00: the message is out at 07:00, if it is still down then."""
    play = Play()
    play.stay(NIGHT, NIGHT + 6 * H, [down("park", NIGHT), router("hall")], None, MIN)
    assert [(5 * 60, "ops", "firing", "park")] == play.inbox()


def test_a_park_that_was_down_by_night_is_no_message() -> None:
    """Down at 02:00, back at 05:00."""
    play = Play()
    play.stay(NIGHT, NIGHT + 3 * H, [down("park", NIGHT)], None, MIN)
    play.stay(NIGHT + 3 * H, NIGHT + 8 * H, [router("park")], None, MIN)
    assert [] == play.inbox()


def test_a_place_of_the_first_tier_wakes_somebody() -> None:
    """The hospital's, at 02:00."""
    play = Play()
    sites = [site("hospital", tier=1), site("park", tier=2)]
    now = [down("hospital", NIGHT), down("park", NIGHT - 10 * MIN)]
    play.stay(NIGHT, NIGHT + H, now, sites, MIN)
    assert [(6, "ops", "firing", "hospital")] == play.inbox()


def test_a_group_wakes_somebody() -> None:
    """Places that each would wait for the morning do not when they fall together."""
    play = Play()
    play.stay(NIGHT, NIGHT + 30 * MIN, [down(name, NIGHT) for name in names(5)], None, MIN)
    assert [(3, "ops", "firing", "kupang")] == play.inbox()


def test_a_warning_waits_for_the_morning() -> None:
    """One of two routers, away since 02:00."""
    play = Play()
    now = [down("a", NIGHT, site="park"), router("b", "park")]
    play.stay(NIGHT, NIGHT + 6 * H, now, None, MIN)
    assert [(5 * 60, "ops", "firing", "a")] == play.inbox()


def test_a_closed_place_does_not_alert() -> None:
    """Switched off for the night; when it opens, `for` begins."""
    play = Play()
    off = [down("library"), router("hall")]
    closed = [site("library", is_open=False), site("hall")]
    opened = [site("library", is_open=True), site("hall")]
    play.stay(NOON_MS, NOON_MS + H, off, closed)
    play.stay(NOON_MS + H, NOON_MS + 64 * MIN, off, opened)
    assert [] == play.inbox()
    play.stay(NOON_MS + 64 * MIN, NOON_MS + 70 * MIN, off, opened)
    assert [(66, "ops", "firing", "library")] == play.inbox()


# The server


def test_while_the_server_is_at_fault_its_alert_is_the_only_one() -> None:
    """Its own line is cut: all routers go, and come back within minutes after it."""
    play = Play()
    up = [router(name) for name in names(10)]
    cut_ms = NOON_MS + 10 * MIN
    gone = [down(name, cut_ms) for name in names(10)]
    play.stay(NOON_MS, cut_ms, up)
    play.stay(cut_ms, cut_ms + H, gone, line_down_since_ms=cut_ms)
    play.stay(cut_ms + H, cut_ms + H + 4 * MIN, gone)
    play.stay(cut_ms + H + 4 * MIN, cut_ms + 2 * H, up)
    assert [
        (13, "ops", "firing", "kupang-1"),
        (80, "ops", "resolved", "kupang-1"),
    ] == play.inbox()
    assert {"line-down"} == {one.message.kind for one in play.outbox.values()}


def test_who_is_not_back_after_the_hold_off_is_reported() -> None:
    """Twelve minutes after the broker is back, one of ten is not: from when it was missed."""
    play = Play()
    up = [router(name) for name in names(10)]
    back_ms = NOON_MS + 10 * MIN
    play.stay(NOON_MS, NOON_MS + 5 * MIN, up)
    play.stay(NOON_MS + 5 * MIN, back_ms, up, connected=False)
    gone = [down("place-0", back_ms), *up[1:]]
    play.stay(back_ms, back_ms + 20 * MIN, gone, connected_since_ms=back_ms)
    assert [(8, "kupang-1", "firing"), (20, "kupang-1", "resolved"), (23, "place-0", "firing")] == [
        (one.minute, one.name, one.what) for one in play.inbox()
    ]


def test_the_hold_off_ends_when_nearly_all_are_back() -> None:
    """Of 40 routers one is missing: it is reported as always."""
    play = Play()
    up = [router(name) for name in names(40)]
    back_ms = NOON_MS + 5 * MIN
    play.stay(NOON_MS, NOON_MS + 5 * MIN, up)
    gone = [down("place-0", back_ms), *up[1:]]
    play.stay(back_ms, back_ms + 10 * MIN, gone, connected_since_ms=back_ms)
    assert [(11, "ops", "firing", "place-0")] == play.inbox()


def test_who_came_back_and_goes_again_is_not_waited_for() -> None:
    """In a city of ten one is a tenth: its own outage is reported, right after a start too."""
    play = Play()
    up = [router(name) for name in names(10)]
    back_ms = NOON_MS + 5 * MIN
    play.stay(NOON_MS, NOON_MS + 5 * MIN, up)
    play.stay(back_ms, back_ms + MIN, up, connected_since_ms=back_ms)
    gone = [down("place-0", back_ms + MIN), *up[1:]]
    play.stay(back_ms + MIN, back_ms + 10 * MIN, gone, connected_since_ms=back_ms)
    assert [(12, "ops", "firing", "place-0")] == play.inbox()


def test_the_last_to_come_back_are_no_group() -> None:
    """Of 200 routers nine come two minutes later than the others."""
    play = Play()
    up = [router(name) for name in names(200)]
    cut_ms, back_ms = NOON_MS + 5 * MIN, NOON_MS + 35 * MIN
    gone = [down(name, cut_ms) for name in names(200)]
    play.stay(NOON_MS, cut_ms, up)
    play.stay(cut_ms, back_ms, gone, None, MIN, line_down_since_ms=cut_ms)
    play.stay(back_ms, back_ms + 2 * MIN, gone)
    play.stay(back_ms + 2 * MIN, back_ms + 4 * MIN + 30 * S, [*gone[:9], *up[9:]])
    play.stay(back_ms + 4 * MIN + 30 * S, back_ms + H, up)
    assert {"kupang-1"} == {one.name for one in play.inbox()}
    assert ["line-down"] == [one.kind for one in play.book.incidents.values()]


def unstable(play: Play, from_ms: int, to_ms: int, routers: list[LiveRouter]) -> None:
    """Its line is down for one minute in every four."""
    for at_ms in range(from_ms, to_ms, 4 * MIN):
        play.stay(at_ms, at_ms + MIN, routers, None, 20 * S, line_down_since_ms=at_ms)
        play.stay(at_ms + MIN, at_ms + 4 * MIN, routers, None, 20 * S)


def test_a_server_that_goes_again_and_again_hides_no_place_for_long() -> None:
    """One of ten places dies while its line drops every few minutes; it is one message, too."""
    play = Play()
    up = [router(name) for name in names(10)]
    play.stay(NOON_MS, NOON_MS + 4 * MIN, up)
    unstable(play, NOON_MS + 4 * MIN, NOON_MS + 24 * MIN, up)
    dead_ms = NOON_MS + 24 * MIN + 30 * S
    gone = [down("place-0", dead_ms), *up[1:]]
    unstable(play, NOON_MS + 24 * MIN, NOON_MS + 2 * H, gone)
    assert [
        (17, "ops", "flapping", "kupang-1"),
        (59.7, "ops", "firing", "place-0"),  # its line was there for 25 minutes since
    ] == [(round(minute, 1), *rest) for minute, *rest in play.inbox()]
    assert [("server-unstable",)] == [one.notes for one in play.messages("firing")]
    assert ["critical"] == [one.severity for one in play.messages("flapping")]
    play.stay(NOON_MS + 2 * H, NOON_MS + 4 * H, gone, None, MIN)
    assert ("ops", "resolved", "kupang-1") == play.inbox()[-1][1:]
    assert 177 == round(play.inbox()[-1].minute)  # an hour after the last time


def test_who_needs_minutes_to_come_back_each_time_is_not_reported() -> None:
    """All routers go with each drop, and are back for the last two minutes of four."""
    play = Play()
    up = [router(name) for name in names(10)]
    play.stay(NOON_MS, NOON_MS + 4 * MIN, up)
    for at_ms in range(NOON_MS + 4 * MIN, NOON_MS + 2 * H, 6 * MIN):
        gone = [down(name, at_ms) for name in names(10)]
        play.stay(at_ms, at_ms + MIN, gone, None, 20 * S, line_down_since_ms=at_ms)
        play.stay(at_ms + MIN, at_ms + 5 * MIN + 20 * S, gone, None, 20 * S)
        back = [router(name, since_ms=at_ms + 5 * MIN + 20 * S) for name in names(10)]
        play.stay(at_ms + 5 * MIN + 20 * S, at_ms + 6 * MIN, back, None, 20 * S)
    assert ["flapping"] == [one.what for one in play.inbox()]


def test_after_a_long_fault_a_short_one_gives_no_less_time_to_come_back() -> None:
    """The broker is back after an hour, for a minute; and again two minutes later."""
    play = Play()
    up = [router(name) for name in names(10)]
    cut_ms = NOON_MS + 4 * MIN
    gone = [down(name, cut_ms) for name in names(10)]
    play.stay(NOON_MS, cut_ms, up)
    play.stay(cut_ms, cut_ms + H, gone, line_down_since_ms=cut_ms)
    play.stay(cut_ms + H, cut_ms + H + MIN, gone)
    back_ms = cut_ms + H + MIN
    play.stay(back_ms, back_ms + 5 * MIN, gone, connected_since_ms=back_ms)
    play.stay(back_ms + 5 * MIN, back_ms + H, up, connected_since_ms=back_ms)
    assert {"kupang-1"} == {one.name for one in play.inbox()}


def test_a_line_that_is_down_again_and_again_pages_twice_and_no_more() -> None:
    """Three minutes in each twenty, all night: then it is one message that it comes and goes."""
    play = Play()
    up = [router(name) for name in names(10)]
    for at_ms in range(MIDNIGHT_MS, MIDNIGHT_MS + 5 * H, 20 * MIN):
        play.stay(at_ms, at_ms + 4 * MIN, up, line_down_since_ms=at_ms)
        play.stay(at_ms + 4 * MIN, at_ms + 20 * MIN, up)
    assert [
        ("firing", "line-down"),
        ("resolved", "line-down"),
        ("firing", "line-down"),
        ("flapping", "flapping"),
        ("resolved", "line-down"),
        ("repeat", "flapping"),
    ] == [
        (one.message.what, one.message.kind)
        for one in sorted(play.outbox.values(), key=lambda one: one.due_ms)
        if one.due_ms <= (play.book.looked_ms or 0)
    ]


def test_a_city_that_went_may_be_a_line_that_nobody_tests() -> None:
    """All places fell at once, and no address outside is configured; with one, it is known."""
    for is_tested, notes in ((False, ("line-untested",)), (True, ())):
        play = Play()
        gone = [down(name) for name in names(10)]
        play.stay(NOON_MS, NOON_MS + 10 * MIN, gone, is_line_tested=is_tested)
        assert [("city", notes)] == [
            (one.subject.scope, one.notes) for one in play.messages("firing")
        ]
    play = Play()
    most = [*[down(name) for name in names(10)[:6]], *[router(name) for name in names(10)[6:]]]
    play.stay(NOON_MS, NOON_MS + 10 * MIN, most, is_line_tested=False)
    assert [()] == [one.notes for one in play.messages("firing")]


def test_first_criticals_their_ends_and_the_server_are_never_capped() -> None:
    """A warning may be, and so may a repeat."""
    play = Play()
    sites = [site("hospital", tier=1), site("hall")]
    now = [down("hospital"), down("a", site="hall"), router("b", "hall")]
    play.stay(NOON_MS, NOON_MS + 5 * H, now, sites, MIN, certificate_days=10)
    rest = [router("hospital"), router("a", "hall"), router("b", "hall")]
    play.stay(NOON_MS + 5 * H, NOON_MS + 6 * H, rest, sites, MIN, certificate_days=90)
    assert {
        ("site-offline", "firing", True),
        ("site-offline", "repeat", False),
        ("site-offline", "resolved", True),
        ("router-offline", "firing", False),
        ("router-offline", "resolved", False),
        ("certificate-ending", "firing", True),
        ("certificate-ending", "resolved", True),
    } == {(one.message.kind, one.message.what, one.is_uncapped) for one in play.outbox.values()}


# Flapping


def test_what_flaps_is_reported_as_flapping_and_then_as_down() -> None:
    """Ten minutes a round; one message that it flaps instead of many, then one that it stays."""
    play = Play()
    at_ms = NOON_MS
    for _ in range(4):
        play.stay(at_ms, at_ms + 7 * MIN, [down("park", at_ms)])
        play.stay(at_ms + 7 * MIN, at_ms + 10 * MIN, [router("park")])
        at_ms += 10 * MIN
    play.stay(at_ms, at_ms + 40 * MIN, [down("park", at_ms)])
    play.stay(at_ms + 40 * MIN, at_ms + 3 * H, [router("park")])
    assert [
        (6, "ops", "firing", "park"),
        (20, "ops", "flapping", "park"),
        (90, "ops", "resolved", "park"),  # it is back since 80
        (142, "ops", "resolved", "park"),  # it flaps no more: its last change was at 82
    ] == play.inbox()


def test_what_flaps_and_then_stays_down_is_down() -> None:
    """It was over when it began to flap: down for 15 minutes without a break, it fires."""
    play = Play()
    at_ms = NOON_MS
    for _ in range(2):
        play.stay(at_ms, at_ms + 6 * MIN, [down("park", at_ms)])
        play.stay(at_ms + 6 * MIN, at_ms + 24 * MIN, [router("park")])
        at_ms += 24 * MIN
    play.stay(at_ms, at_ms + 40 * MIN, [down("park", at_ms)])
    found = [(one.minute, one.what, one.name) for one in play.inbox()]
    assert (33, "flapping", "park") in found
    assert (64, "firing", "park") == found[-1]


# People


def test_nobody_acknowledged_so_the_next_are_called() -> None:
    """Half an hour and two hours after the first message arrived; each gets the end."""
    play = Play(replace(SETTINGS, routes=(Route(("ops",), escalate=(("boss",), ("mayor",))),)))
    play.desk = DeskFacts(delivered=(DeliveryTime(1, NOON_MS + 8 * MIN),))
    sites = [site("hospital", tier=1)]
    play.stay(NOON_MS, NOON_MS + 3 * H, [down("hospital")], sites, MIN)
    play.stay(NOON_MS + 3 * H, NOON_MS + 4 * H, [router("hospital")], sites, MIN)
    assert [
        (6, "ops", "firing"),
        (38, "boss", "escalation"),
        (128, "mayor", "escalation"),
        (190, "ops", "resolved"),
        (190, "boss", "resolved"),
        (190, "mayor", "resolved"),
    ] == [(one.minute, one.receiver, one.what) for one in play.inbox()]


def test_an_escalation_is_planned_while_the_store_can_be_written() -> None:
    """It waits in the outbox half an hour before it is due."""
    play = Play(replace(SETTINGS, routes=(Route(("ops",), escalate=(("boss",),)),)))
    play.desk = DeskFacts(delivered=(DeliveryTime(1, NOON_MS + 6 * MIN),))
    sites = [site("hospital", tier=1)]
    play.stay(NOON_MS, NOON_MS + 8 * MIN, [down("hospital")], sites)
    assert [("boss", NOON_MS + 36 * MIN)] == [
        (one.receiver, one.due_ms)
        for one in play.outbox.values()
        if one.message.what == "escalation"
    ]


def test_an_acknowledgement_stops_repeats_and_escalation() -> None:
    """Not the end."""
    play = Play(replace(SETTINGS, routes=(Route(("ops",), escalate=(("boss",),)),)))
    sites = [site("hospital", tier=1)]
    delivered = (DeliveryTime(1, NOON_MS + 6 * MIN),)
    play.desk = DeskFacts(delivered=delivered)
    play.stay(NOON_MS, NOON_MS + 10 * MIN, [down("hospital")], sites)
    acks = (Acknowledgement(1, "ani", NOON_MS + 9 * MIN, NOON_MS + 24 * H),)
    play.desk = DeskFacts(acks=acks, delivered=delivered)
    play.stay(NOON_MS + 10 * MIN, NOON_MS + 9 * H, [down("hospital")], sites, MIN)
    play.stay(NOON_MS + 9 * H, NOON_MS + 10 * H, [router("hospital")], sites, MIN)
    assert ["firing", "resolved"] == [one.what for one in play.inbox()]


def test_a_critical_is_repeated_every_four_hours() -> None:
    """By day and by night; a warning is in the digest instead."""
    play = Play()
    sites = [site("hospital", tier=1), site("hall")]
    now = [down("hospital"), down("a", site="hall"), router("b", "hall")]
    play.stay(NOON_MS, NOON_MS + 13 * H, now, sites, MIN)
    assert [
        (6, "firing", "hospital"),
        (16, "firing", "a"),
        (246, "repeat", "hospital"),
        (486, "repeat", "hospital"),
        (726, "repeat", "hospital"),
    ] == [(one.minute, one.what, one.name) for one in play.inbox()]


def test_a_silence_leaves_out_messages_and_its_end_sends_one() -> None:
    """Of one site for an hour, while it is down; at once when it ends."""
    play = Play()
    subject = AlertSubject("site", "park")
    quiet = Silence(1, subject, None, NOON_MS, NOON_MS + H, "ani", "roof")
    play.desk = DeskFacts(silences=(quiet,))
    play.stay(NOON_MS, NOON_MS + H, [down("park")], None, MIN)
    assert [] == play.inbox()
    play.desk = DeskFacts()
    play.stay(NOON_MS + H, NOON_MS + 2 * H, [down("park")], None, MIN)
    assert [(60, "ops", "firing", "park")] == play.inbox()


@pytest.mark.parametrize(("name", "messages"), [("", []), ("hall", ["firing"])])
def test_a_silence_without_a_name_is_of_all_of_its_scope(name: str, messages: list[str]) -> None:
    """Such as of each site; that of another site leaves out nothing."""
    play = Play()
    quiet = Silence(1, AlertSubject("site", name), None, NOON_MS, NOON_MS + H, "ani", "storm")
    play.desk = DeskFacts(silences=(quiet,))
    play.stay(NOON_MS, NOON_MS + 30 * MIN, [down("park")], None, MIN)
    assert messages == [one.what for one in play.inbox()]


def test_a_silence_that_is_lifted_early_sends_what_fires_a_minute_later() -> None:
    """It was for a day, and lifted after half an hour."""
    play = Play()
    subject = AlertSubject("site", "park")
    quiet = Silence(1, subject, None, NOON_MS, NOON_MS + 24 * H, "ani", "roof")
    play.desk = DeskFacts(silences=(quiet,))
    play.stay(NOON_MS, NOON_MS + 30 * MIN, [down("park")])
    play.desk = DeskFacts()
    play.stay(NOON_MS + 30 * MIN, NOON_MS + 2 * H, [down("park")])
    assert [(31, "ops", "firing", "park")] == play.inbox()


def test_a_silence_never_holds_back_that_it_is_over() -> None:
    """Silenced after the message was out."""
    play = Play()
    play.stay(NOON_MS, NOON_MS + 10 * MIN, [down("park")])
    subject = AlertSubject("city", "kupang")
    quiet = Silence(1, subject, None, NOON_MS, NOON_MS + 24 * H, "ani", "rain")
    play.desk = DeskFacts(silences=(quiet,))
    play.stay(NOON_MS + 10 * MIN, NOON_MS + H, [router("park")])
    assert ["firing", "resolved"] == [one.what for one in play.inbox()]


def test_what_still_fails_after_maintenance_fires_a_minute_later() -> None:
    """Two sites in maintenance until 13:00; one is back by then."""
    play = Play()
    work = Maintenance(1, AlertSubject("city", "kupang"), NOON_MS, NOON_MS + H, "ani", "fibre")
    play.desk = DeskFacts(maintenance=(work,))
    play.stay(NOON_MS, NOON_MS + 50 * MIN, [down("park"), down("hall")], None, MIN)
    rest = [down("park"), router("hall")]
    play.stay(NOON_MS + 50 * MIN, NOON_MS + H, rest, None, MIN)
    play.desk = DeskFacts()
    play.stay(NOON_MS + H, NOON_MS + 2 * H, rest, None, MIN)
    assert [(61, "ops", "firing", "park")] == play.inbox()


def test_places_in_maintenance_are_no_group() -> None:
    """Four that are worked at, and one that fell: one message about one place."""
    play = Play()
    play.desk = DeskFacts(
        maintenance=tuple(
            Maintenance(n, AlertSubject("site", name), NOON_MS, NOON_MS + H, "ani", "mast")
            for n, name in enumerate(names(4))
        )
    )
    play.stay(NOON_MS, NOON_MS + 30 * MIN, [down(name) for name in names(5)])
    assert [(6, "ops", "firing", "place-4")] == play.inbox()


def test_the_person_of_the_week_gets_the_message() -> None:
    """The first in the first week, the second in the next one."""
    monday_ms = MIDNIGHT_MS - 2 * 24 * H
    settings = replace(
        SETTINGS,
        routes=(Route(("duty",)),),
        rotas=(Rota("duty", ("ani", "budi"), monday_ms),),
    )
    got = []
    for week in range(3):
        play, at_ms = Play(settings), NOON_MS + week * WEEK_MS
        play.stay(at_ms, at_ms + 10 * MIN, [down("park", at_ms)])
        got += [one.receiver for one in play.inbox()]
    assert ["ani", "budi", "ani"] == got


def test_who_takes_over_hears_of_what_goes_on_in_the_morning() -> None:
    """The week begins at midnight; of a hospital the new one hears when it is repeated."""
    monday_ms = MIDNIGHT_MS + 5 * 24 * H
    settings = replace(
        SETTINGS,
        routes=(Route(("duty",)),),
        rotas=(Rota("duty", ("ani", "budi"), monday_ms - WEEK_MS),),
    )
    play = Play(settings)
    sites = [site("hospital", tier=1)]
    fell_ms = monday_ms - H
    play.stay(fell_ms, monday_ms + 8 * H, [down("hospital", fell_ms)], sites, MIN)
    assert [("ani", "firing", 6), ("budi", "firing", 246), ("budi", "repeat", 486)] == [
        (one.receiver, one.what, one.minute) for one in play.inbox()
    ]


def test_a_route_is_of_severities_and_places() -> None:
    """The district's technician gets what is of the district, and the phone only criticals."""
    routes = (
        Route(("technician",), districts=("Kota",)),
        Route(("phone",), severities=("critical",)),
    )
    sites = [site("park", district="Kota"), site("hall", district="Timur", tier=1)]
    play = Play(replace(SETTINGS, routes=routes))
    now = [down("a", site="park"), router("b", "park"), down("hall")]
    play.stay(NOON_MS, NOON_MS + 30 * MIN, now, sites)
    assert [("phone", "hall"), ("technician", "a")] == [
        (one.receiver, one.name) for one in play.inbox()
    ]


def test_a_small_city_may_be_called_for_every_place() -> None:
    """It configures the severity of the rule; then a park wakes somebody."""
    rules = (RuleSetting("site-offline", severity="critical"),)
    play = Play(replace(SETTINGS, rules=rules))
    play.stay(NIGHT, NIGHT + 10 * MIN, [down("park", NIGHT), router("hall")])
    assert [(6, "ops", "firing", "park")] == play.inbox()


def test_a_message_has_who_is_down_first_and_the_cause() -> None:
    """Of six places one is back; the power was cut."""
    sites = [site(name, clients_before=7) for name in names(6)]
    fell = [down(name, NOON_MS + number * S) for number, name in enumerate(names(6))]
    caused = [replace(one, cause="power cut") for one in fell]
    back = [router("place-0", cause="power cut"), *caused[1:]]
    play = Play()
    play.stay(NOON_MS + 5 * S, NOON_MS + 2 * MIN + 30 * S, fell, sites)
    play.stay(NOON_MS + 2 * MIN + 30 * S, NOON_MS + 6 * MIN, back, sites)
    (first,) = play.messages("firing")
    assert ("power cut", 6) == (first.cause, first.places)
    park = AlertSubject("site", "place-1")
    assert Member(park, "Place-1", NOON_MS + S, None, "power cut", 7) == first.members[0]
    assert "place-0" == first.members[-1].subject.name


def test_the_digest_comes_at_eight_and_has_what_there_was() -> None:
    """To who wants it, also when all is well; what was over by night is in it."""
    routes = (Route(("ops",)), Route(("phone",), ("critical",)))
    play = Play(replace(SETTINGS, routes=routes))
    at_ms = MIDNIGHT_MS
    play.stay(at_ms, at_ms + H, [down("park", at_ms), router("hall")], None, MIN)
    play.stay(at_ms + H, at_ms + 60 * H, [router("park"), router("hall")], None, MIN)
    digests = [one for one in play.outbox.values() if one.message.what == "digest"]
    assert [("ops", 8 * H), ("ops", 32 * H), ("ops", 56 * H)] == [
        (one.receiver, one.due_ms - at_ms) for one in digests
    ]
    assert [1, 0, 0] == [one.message.places for one in digests]
    message = digests[0].message
    assert (2, 2) == (message.value, message.of_places)
    park = AlertSubject("site", "park")
    back_ms = at_ms + 62 * MIN
    assert [Member(park, "Park", at_ms, back_ms, kind="site-offline")] == list(message.members)


def test_a_city_has_no_digest_of_the_morning_before_it_began() -> None:
    """It would report of a day that nobody collected; the next morning there is one."""
    play = Play()
    at_ms = MIDNIGHT_MS + 8 * H + 30 * MIN
    play.stay(at_ms, at_ms + 25 * H, [router("park")], None, MIN, collected_ms=at_ms)
    digests = [one for one in play.outbox.values() if one.message.what == "digest"]
    assert [MIDNIGHT_MS + 32 * H] == [one.due_ms for one in digests]


def test_the_digest_leaves_out_what_was_in_maintenance() -> None:
    """Nobody wanted a message about it."""
    play = Play()
    at_ms = MIDNIGHT_MS + 6 * H
    park = AlertSubject("site", "park")
    work = Maintenance(1, park, at_ms, at_ms + H, "ani", "mast")
    play.desk = DeskFacts(maintenance=(work,))
    play.stay(at_ms, at_ms + 50 * MIN, [down("park", at_ms)], None, MIN)
    play.stay(at_ms + 50 * MIN, at_ms + 3 * H, [router("park")], None, MIN)
    assert [0] == [one.places for one in play.messages("digest")]


# What holds messages back that are about to go out


def test_what_has_no_keep_and_ends_at_once_is_no_message() -> None:
    """A certificate is renewed half a minute after it was found."""
    play = Play()
    up = [router("park")]
    play.stay(NOON_MS, NOON_MS + 30 * S, up, certificate_days=10)
    play.stay(NOON_MS + 30 * S, NOON_MS + H, up, certificate_days=90)
    assert [] == play.inbox()


def test_nothing_is_repeated_while_the_server_is_at_fault() -> None:
    """A hospital is down for hours, and then the server's own line."""
    play = Play()
    sites = [site("hospital", tier=1), site("park")]
    now = [down("hospital"), router("park")]
    play.stay(NOON_MS, NOON_MS + 4 * H, now, sites, MIN)
    cut_ms = NOON_MS + 4 * H
    play.stay(cut_ms, cut_ms + H, now, sites, MIN, line_down_since_ms=cut_ms)
    assert [("hospital", "firing"), ("kupang-1", "firing")] == [
        (one.name, one.what) for one in play.inbox()
    ]


def test_nothing_is_repeated_about_a_closed_place() -> None:
    """It closes at 14:00, and is still down at 16:06."""
    play = Play()
    now = [down("clinic")]
    play.stay(NOON_MS, NOON_MS + 2 * H, now, [site("clinic", tier=1, is_open=True)], MIN)
    play.stay(NOON_MS + 2 * H, NOON_MS + 6 * H, now, [site("clinic", tier=1, is_open=False)], MIN)
    assert [(6, "ops", "firing", "clinic")] == play.inbox()


def test_a_router_that_waits_for_the_morning_is_left_out_once_its_site_is_down() -> None:
    """The router went at 02:00, the rest of its site at 03:00: in the morning it is the site."""
    play = Play()
    gone = down("a", NIGHT, site="park")
    play.stay(NIGHT, NIGHT + H, [gone, router("b", "park")], None, MIN)
    both = [gone, down("b", NIGHT + H, site="park")]
    play.stay(NIGHT + H, NIGHT + 6 * H, both, None, MIN)
    assert [(5 * 60, "ops", "firing", "park")] == play.inbox()


def test_one_place_alone_does_not_reopen_the_incident_of_a_group() -> None:
    """At night five places fall together; one falls again, which wakes nobody."""
    play = Play()
    up = [router(name) for name in names(5)]
    play.stay(NIGHT, NIGHT + 10 * MIN, [down(name, NIGHT) for name in names(5)])
    play.stay(NIGHT + 10 * MIN, NIGHT + 30 * MIN, up)
    again = [down("place-0", NIGHT + 30 * MIN), *up[1:]]
    play.stay(NIGHT + 30 * MIN, NIGHT + 6 * H, again, None, MIN)
    assert [
        (3, "ops", "firing", "kupang"),
        (20, "ops", "resolved", "kupang"),
        (5 * 60, "ops", "firing", "place-0"),
    ] == play.inbox()


def test_what_was_lost_before_the_first_look_is_no_alert() -> None:
    """An upgrade finds losses of years; only what is lost from then on is listed."""
    play = Play()
    play.stay(NOON_MS, NOON_MS + MIN, [router("park", lost=17)])
    assert [] == list(play.book.incidents)
    play.stay(NOON_MS + MIN, NOON_MS + 2 * MIN, [router("park", lost=18)])
    assert ["samples-lost"] == [one.kind for one in play.book.incidents.values()]
