"""The player shows facts as the script says them, and a difference so that people find it."""

from dataclasses import replace
from datetime import timedelta

from tests.alerts.played import inbox
from tests.alerts.played.inbox import InboxLine
from tests.alerts.played.script import Away, Play, Trouble, clock, night
from tests.alerts.played.world import World, ms
from titik_collector.alerts.facts import LiveRouter

NIGHT = night(10)
TIROSA = "tirosa-1"
FELL = clock(NIGHT.begins.date(), "19:20")


def play(*events: Away | Trouble) -> Play:
    """The city of ten routers, with these events alone."""
    return replace(NIGHT, events=events)


def router(world: World, seconds: float, name: str = TIROSA) -> LiveRouter:
    """One router, so many seconds after it fell."""
    facts = world.at(ms(FELL + timedelta(seconds=seconds)))
    return next(one for one in facts.routers if one.name == name)


def away(seconds: float) -> Away:
    """Tirosa, for so long."""
    return Away(FELL, FELL + timedelta(seconds=seconds), "taman-tirosa", "power cut")


def test_what_is_away_is_seen_75_seconds_later_and_counts_from_when_it_fell() -> None:
    """Its cause is known 20 seconds after its return."""
    world = World(play(away(600)))
    assert "online" == router(world, 74).state
    assert ("offline", ms(FELL)) == (router(world, 75).state, router(world, 75).since_ms)
    assert ("online", None) == (router(world, 600).state, router(world, 600).cause)
    assert "power cut" == router(world, 620).cause


def test_what_is_away_for_a_minute_is_not_seen() -> None:
    """Its connection did not fail in the meantime."""
    world = World(play(away(60)))
    assert [] == [at_ms for at_ms in world.moments if at_ms == ms(FELL) + 75_000]


def test_routers_come_back_one_after_the_other_when_the_broker_was_stopped() -> None:
    """From 30 to 270 seconds after its end, by their names; until then each is in doubt."""
    world = World(play(Trouble(FELL, FELL + timedelta(seconds=60), "broker away")))
    assert (True, True) == (router(world, 89, "camat-1").in_doubt, router(world, 89).in_doubt)
    assert (False, True) == (router(world, 90, "camat-1").in_doubt, router(world, 90).in_doubt)
    assert not router(world, 330).in_doubt


def test_while_the_line_of_the_server_is_cut_its_routers_are_away() -> None:
    """The broker runs and notices that they are gone; the line is known to be cut before."""
    world = World(play(Trouble(FELL, FELL + timedelta(seconds=900), "line cut")))
    facts = world.at(ms(FELL) + 30_000)
    assert (ms(FELL), True) == (facts.server.line_down_since_ms, facts.hears)
    assert {"online"} == {one.state for one in facts.routers}
    assert {"offline"} == {one.state for one in world.at(ms(FELL) + 75_000).routers}


FIRING = InboxLine("2026-11-27 19:25", "siti", "firing", "critical", "site-offline", "site:x", "1")


def test_an_expected_line_is_read_as_it_is_printed() -> None:
    """What stands behind `#` is a remark."""
    assert [FIRING] == list(inbox.read(f"# nothing: here\n\n{FIRING}  # 2 min and 60 s\n"))


def test_a_message_of_another_minute_is_one_difference() -> None:
    """One that is missing and one that is too many are two."""
    late = FIRING._replace(minute="2026-11-27 19:27")
    other = FIRING._replace(subject="site:y")
    assert [(FIRING, late)] == inbox.differences([FIRING], [late])
    assert [(FIRING, None), (None, other)] == inbox.differences([FIRING], [other])
    assert [(None, FIRING)] == inbox.differences([FIRING], [FIRING, FIRING])


def test_a_page_in_the_night_belongs_to_the_shift_that_began_the_evening_before() -> None:
    """The end of what was critical wakes nobody."""
    night_ = FIRING._replace(minute="2026-11-28 06:59")
    end = night_._replace(what="resolved")
    pages = inbox.pages_by_shift([FIRING, night_, night_, end])
    assert {("2026-11-27 15:00", "siti"): 1, ("2026-11-27 23:00", "siti"): 2} == pages
