"""Who an upgrade reaches next, and when it stops: pure, of what is known of each router."""

import pytest

from titik_collector.store.rollout_rows import WaveRouter
from titik_collector.wishes.waves import (
    Bounds,
    LaterWave,
    RolloutMember,
    RouterNow,
    divided,
    judge,
    next_wave,
)
from titik_wire.instant import HOUR_MS, MINUTE_MS

T0 = 1_795_400_000_000
OLD, NEW = "0.1.0", "0.2.0"
B = Bounds()
ONLINE = RouterNow(True, OLD, True, T0, runs=1)
AWAY = ONLINE._replace(is_online=False, heard_ms=T0 - HOUR_MS)
RUNS_IT = ONLINE._replace(version=NEW, runs=2)


def members(number: int, model: str = "A", site: str = "s", first: int = 1) -> list[RolloutMember]:
    """So many of a kind at a site."""
    return [RolloutMember(one, site, model, "24.10", True) for one in range(first, first + number)]


def asked(router_id: int, wave: int = 0, at_ms: int = T0) -> WaveRouter:
    """A router that was asked then."""
    return WaveRouter(router_id, wave, at_ms, runs=1)


def upgraded(router_id: int, at_ms: int) -> WaveRouter:
    """The same, and it runs the version since."""
    return asked(router_id)._replace(fate="upgraded", fate_ms=at_ms)


def fates(*rows: tuple[WaveRouter, RouterNow], at_ms: int, accepted: int = 0) -> list[str | None]:
    """What became of each."""
    judged = judge(
        [row for row, _ in rows],
        {row.router_id: now for row, now in rows},
        NEW,
        at_ms,
        accepted,
        B,
    )
    return [one.fate for one in judged.rows]


def test_canaries_are_of_each_kind_and_of_many_sites() -> None:
    """A kind that is rare is met as early as the frequent one."""
    city = [
        *members(10, site="a"),
        *members(10, site="b", first=11),
        RolloutMember(30, "a", "B", "24.10", True),
        RolloutMember(31, "a", "A", "25.12", True),
    ]
    canaries = [one.router_id for one in divided(city, 4, 20) if one.wave == 0]
    by_id = {one.router_id: one for one in city}
    kinds = {(by_id[one].model, by_id[one].firmware) for one in canaries}
    assert {("A", "24.10"), ("B", "24.10"), ("A", "25.12")} == kinds
    assert {"a", "b"} == {by_id[one].site for one in canaries}


def test_waves_are_a_share_of_all_and_everybody_is_in_one() -> None:
    """The last one has what is left."""
    sizes = [0] * 6
    for one in divided(members(100), 5, 20):
        sizes[one.wave] += 1
    assert [5, 20, 20, 20, 20, 15] == sizes


def test_a_canary_is_online_where_any_router_is() -> None:
    """One that is away would show nothing."""
    city = [one._replace(is_online=one.router_id > 90) for one in members(100)]
    assert [91, 92, 93] == [one.router_id for one in divided(city, 3, 20) if one.wave == 0]


def test_a_few_routers_are_all_canaries() -> None:
    """A share of them is at least one, and half a router is one."""
    assert [0, 0, 1, 2] == [one.wave for one in divided(members(4), 2, 1)]
    assert [0, 1, 1, 1, 1, 2, 2] == [one.wave for one in divided(members(7), 1, 50)]


@pytest.mark.parametrize(
    ("now", "after_ms", "expected"),
    [
        (ONLINE, MINUTE_MS, None),
        (RUNS_IT, MINUTE_MS, "upgraded"),
        (RUNS_IT._replace(is_acked=False), MINUTE_MS, None),
        (ONLINE._replace(fate="rolled-back"), MINUTE_MS, "rolled-back"),
        (ONLINE._replace(fate="refused"), MINUTE_MS, "refused"),
        (ONLINE._replace(is_online=False), B.quiet_ms - 1, None),
        (ONLINE._replace(is_online=False), B.quiet_ms, "silent"),
        (ONLINE._replace(is_online=None), B.quiet_ms, None),
        (ONLINE, B.answer_ms, "unanswered"),
        (RUNS_IT._replace(runs=4), MINUTE_MS, "upgraded"),
        (RUNS_IT._replace(runs=5), MINUTE_MS, "restarts"),
        (RUNS_IT._replace(runs=5), B.watch_ms, "upgraded"),
    ],
)
def test_what_becomes_of_a_router_that_was_asked(
    now: RouterNow, after_ms: int, expected: str | None
) -> None:
    """It has the version once its samples are acknowledged; else the reason is named."""
    assert [expected] == fates((asked(1), now), at_ms=T0 + after_ms)


@pytest.mark.parametrize("heard_ms", [T0 - HOUR_MS, T0 + 20 * MINUTE_MS])
def test_silence_counts_from_the_question_and_from_the_last_sign(heard_ms: int) -> None:
    """A router that was quiet before is not blamed; one that spoke since has its time again."""
    gone = ONLINE._replace(is_online=False, heard_ms=heard_ms)
    end_ms = max(T0, heard_ms) + B.quiet_ms
    assert [None] == fates((asked(1), gone), at_ms=end_ms - 1)
    assert ["silent"] == fates((asked(1), gone), at_ms=end_ms)


def test_a_router_that_was_silent_may_come_back() -> None:
    """It is asked still. Where its wish was withdrawn, it has failed for good."""
    row = asked(1)._replace(fate="silent", fate_ms=T0)
    assert [None] == fates((row, ONLINE), at_ms=T0 + MINUTE_MS)
    gone = ONLINE._replace(is_wished=False)
    assert ["silent"] == fates((row, gone), at_ms=T0 + MINUTE_MS)


def test_restarts_count_for_good() -> None:
    """Also once the hour is over in which they do."""
    row = asked(1)._replace(fate="restarts", fate_ms=T0)
    assert ["restarts"] == fates((row, RUNS_IT), at_ms=T0 + 2 * HOUR_MS)


def test_the_release_of_a_package_is_known_to_its_helper_alone() -> None:
    """An agent reports the same version before and after a second release."""
    rows, version = [asked(1)], f"{NEW}-r2"
    found = judge(rows, {1: RUNS_IT}, version, T0 + MINUTE_MS, 0, B)
    assert [None] == [one.fate for one in found.rows]
    applied = RUNS_IT._replace(fate="upgraded")
    found = judge(rows, {1: applied}, version, T0 + MINUTE_MS, 0, B)
    assert ["upgraded"] == [one.fate for one in found.rows]
    again = judge(found.rows, {1: RUNS_IT}, version, T0 + HOUR_MS, 0, B)
    assert ["upgraded"] == [one.fate for one in again.rows]
    first = judge(rows, {1: RUNS_IT}, f"{NEW}-r1", T0 + MINUTE_MS, 0, B)
    assert ["upgraded"] == [one.fate for one in first.rows]


def test_restarts_that_were_before_do_not_count() -> None:
    """A router behind a weak supply restarts whatever it runs."""
    row = asked(1)._replace(restarts=5)
    assert ["upgraded"] == fates((row, RUNS_IT._replace(runs=7)), at_ms=T0 + MINUTE_MS)


def test_a_router_that_goes_back_later_has_failed() -> None:
    """By hand or by itself: it does not run the version."""
    row = asked(1)._replace(fate="upgraded", fate_ms=T0)
    assert ["rolled-back"] == fates((row, ONLINE), at_ms=T0 + 2 * HOUR_MS)


def test_a_router_that_is_revoked_later_stays_upgraded() -> None:
    """Nothing is known of it any more, as if it had never been heard."""
    row = upgraded(1, T0 + MINUTE_MS)
    gone = ONLINE._replace(is_online=False, version=None)
    assert ["upgraded"] == fates((row, gone), at_ms=T0 + 2 * HOUR_MS)


def test_a_router_that_has_the_version_is_not_asked() -> None:
    """It counts as one that was."""
    found = judge([WaveRouter(1, 0)], {1: RUNS_IT}, NEW, T0, 0, B)
    assert (("upgraded",), (), True) == (
        tuple(r.fate for r in found.rows),
        found.ask,
        found.is_over,
    )


def test_the_next_wave_waits_for_the_last_of_the_one_before() -> None:
    """And for a while after it, in which restarts would show."""
    done = asked(1)._replace(fate="upgraded", fate_ms=T0)
    rows = [done, asked(2), WaveRouter(3, 1)]
    now = {1: RUNS_IT, 2: ONLINE, 3: ONLINE}
    assert () == judge(rows, now, NEW, T0 + MINUTE_MS, 0, B).ask
    rows[1] = done._replace(router_id=2)
    now[2] = RUNS_IT
    assert () == judge(rows, now, NEW, T0 + B.settle_ms - 1, 0, B).ask
    assert (3,) == judge(rows, now, NEW, T0 + B.settle_ms, 0, B).ask


def test_routers_that_are_away_hold_up_no_wave() -> None:
    """They are asked when they are back, whichever wave it is then."""
    done = asked(1)._replace(fate="upgraded", fate_ms=T0)
    rows = [done, WaveRouter(2, 0), WaveRouter(3, 1), WaveRouter(4, 1), WaveRouter(5, 2)]
    now = {1: RUNS_IT, 2: AWAY, 3: AWAY, 4: AWAY, 5: ONLINE}
    at_ms = T0 + HOUR_MS
    assert (5,) == judge(rows, now, NEW, at_ms, 0, B).ask
    rows[4] = asked(5, 2, at_ms)
    assert (2,) == judge(rows, now | {2: ONLINE}, NEW, at_ms, 0, B).ask


def test_without_one_that_came_through_no_wave_follows() -> None:
    """Canaries that are all away prove nothing."""
    rows = [WaveRouter(1, 0), WaveRouter(2, 1)]
    assert () == judge(rows, {1: AWAY, 2: ONLINE}, NEW, T0, 0, B).ask


def test_one_canary_that_fails_stops_it_and_one_of_many_does_not() -> None:
    """Five of a hundred may fail; the sixth is too many."""
    now = {one: ONLINE._replace(fate="rolled-back") if one <= 6 else ONLINE for one in range(101)}
    for number, expected in ((5, True), (19, True)):
        rows = [asked(one) for one in range(6, 6 + number)]
        assert expected == judge(rows, now, NEW, T0, 0, B).stops
    rows = [asked(one) for one in range(1, 101)]
    assert judge(rows, now, NEW, T0, 0, B).stops
    assert not judge(rows, now | {6: ONLINE}, NEW, T0, 0, B).stops


def test_failures_that_somebody_accepted_do_not_stop_it_again() -> None:
    """A new one does."""
    rows = [asked(1)._replace(fate="refused", fate_ms=T0), asked(2)]
    refused = ONLINE._replace(fate="refused")
    assert not judge(rows, {1: refused, 2: ONLINE}, NEW, T0, 1, B).stops
    assert judge(rows, {1: refused, 2: refused}, NEW, T0, 1, B).stops


def test_accepted_failures_are_no_part_of_the_share() -> None:
    """Of those that were asked besides them, few may fail."""
    failed = {one: ONLINE._replace(fate="refused") for one in range(22)}
    now = failed | dict.fromkeys(range(22, 40), ONLINE)
    assert judge([asked(one) for one in range(40)], now, NEW, T0, 20, B).stops
    now[21] = ONLINE
    assert not judge([asked(one) for one in range(40)], now, NEW, T0, 20, B).stops


def test_waves_come_one_by_one() -> None:
    """The one after the next waits, though nobody of the next was asked yet."""
    done = asked(1)._replace(fate="upgraded", fate_ms=T0)
    rows = [done, WaveRouter(2, 0), WaveRouter(3, 1), WaveRouter(4, 1), WaveRouter(5, 2)]
    now = {1: RUNS_IT, **dict.fromkeys((2, 3, 4, 5), ONLINE)}
    assert (2,) == judge(rows, now, NEW, T0 + HOUR_MS, 0, B).ask
    unknown = now | {2: ONLINE._replace(is_online=None)}
    assert () == judge(rows, unknown, NEW, T0 + HOUR_MS, 0, B).ask
    rows[1] = done._replace(router_id=2)
    now |= {2: RUNS_IT, 4: AWAY}
    found = judge([*rows[:3], *rows[4:]], now, NEW, T0 + HOUR_MS, 0, B)
    assert ((3,), False) == (found.ask, found.is_over)


def test_it_is_over_when_nobody_is_left_but_those_that_are_away() -> None:
    """Not while one was asked and has not answered, nor while one is asked now."""
    done = asked(1)._replace(fate="upgraded", fate_ms=T0)
    now = {1: RUNS_IT, 2: ONLINE, 3: AWAY}
    rows = [done, asked(2), WaveRouter(3, 0)]
    assert not judge(rows, now, NEW, T0 + MINUTE_MS, 0, B).is_over
    rows[1] = WaveRouter(2, 0)
    assert not judge(rows, now, NEW, T0 + MINUTE_MS, 0, B).is_over
    rows[1] = done._replace(router_id=2)
    now[2] = RUNS_IT
    assert judge(rows, now, NEW, T0 + MINUTE_MS, 0, B).is_over
    rows[1:2] = [WaveRouter(2, 1)]  # its wave has not begun: the one before has just ended
    now[2] = ONLINE
    assert not judge(rows, now, NEW, T0 + MINUTE_MS, 0, B).is_over


def test_late_ones_come_no_faster_than_a_wave() -> None:
    """Those that are asked and have not answered count; after a power cut all are back at once."""
    done = asked(100)._replace(fate="upgraded", fate_ms=T0)
    rows = [done, *(WaveRouter(one, 1 + one // 4) for one in range(12))]
    now = {100: RUNS_IT, **dict.fromkeys(range(12), AWAY)}
    assert judge(rows, now, NEW, T0 + HOUR_MS, 0, B).is_over
    back = {100: RUNS_IT, **dict.fromkeys(range(12), ONLINE)}
    assert 4 == len(judge(rows, back, NEW, T0 + HOUR_MS, 0, B).ask)
    at_ms = T0 + HOUR_MS
    for open_now, expected in ((0, 4), (2, 2), (4, 0), (5, 0)):
        ones = range(11, 11 - open_now, -1)
        open_rows = [asked(one, 1 + one // 4, at_ms) for one in ones]
        through = [done._replace(router_id=one, wave=3) for one in range(8, 12 - open_now)]
        rest = [one for one in rows if one.router_id < min(8, 12 - open_now)]
        now = back | {one.router_id: RUNS_IT for one in through}
        found = judge([rows[0], *rest, *open_rows, *through], now, NEW, at_ms, 0, B)
        assert expected == len(found.ask)


@pytest.mark.parametrize(
    ("wave", "away", "expected"),
    [
        ([asked(1), asked(2)], set(), LaterWave("last")),
        ([upgraded(1, T0), asked(2)], set(), LaterWave("last")),
        ([upgraded(1, T0), upgraded(2, T0 + 9)], set(), LaterWave("rest", T0 + 9 + B.settle_ms)),
        ([upgraded(1, T0), WaveRouter(2, 0)], {2}, LaterWave("rest", T0 + B.settle_ms)),
        ([upgraded(1, T0), WaveRouter(2, 0)], set(), LaterWave("last")),  # it is asked in a moment
        ([asked(1)._replace(fate="refused", fate_ms=T0)], set(), LaterWave("one")),
        ([WaveRouter(1, 0, fate="upgraded", fate_ms=T0)], set(), None),  # it begins now
    ],
)
def test_when_the_next_wave_begins_is_known(
    wave: list[WaveRouter], away: set[int], expected: LaterWave | None
) -> None:
    """Some minutes after the last router of the one before; one must run the version."""
    rows = [*wave, WaveRouter(9, 1)]
    assert expected == next_wave(rows, away)
    assert None is next_wave(wave, away)
    if expected is not None and expected.from_ms is not None:
        now = {one.router_id: AWAY if one.router_id in away else RUNS_IT for one in rows}
        now[9] = ONLINE
        for early_ms in (0, 1):
            judged = judge(rows, now, NEW, expected.from_ms - early_ms, 0, B)
            assert (not early_ms) == (9 in judged.ask)
