"""The four parts of a place's time: what each cause counts as, and what holds whatever happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titik_collector.figures import stretches
from titik_collector.figures.windows import Span
from titik_collector.queries import availability
from titik_collector.queries.availability import (
    NO_INTERNET,
    NOT_KNOWN,
    PARTIES,
    Availability,
    AwayTime,
    Interruption,
    LostTime,
    ServiceTime,
    WindowEvidence,
)
from titik_wire.instant import HOUR_MS, MINUTE_MS

HOURS = 6
WHOLE = Span(0, HOURS * HOUR_MS)


def minutes(start: int, end: int) -> Span:
    """A span of minutes."""
    return Span(start * MINUTE_MS, end * MINUTE_MS)


def hour(covered: int = 60, aired: int | None = None, rounds: int = 0, answered: int = 0) -> (
    WindowEvidence
):  # fmt: skip
    """The first hour, with so many covered minutes."""
    aired = covered if aired is None else aired
    return WindowEvidence(minutes(0, 60), covered * MINUTE_MS, aired * MINUTE_MS, rounds, answered)


def of_hour(
    window: WindowEvidence, away: Sequence[AwayTime] = (), deaf: Sequence[Span] = ()
) -> Availability:
    """A place with one router, open all the time."""
    parts = availability.of_router(window.span, [window], away, deaf)
    return availability.measured(parts, [window.span])


def result(
    available: int, lost: Sequence[tuple[str, int]] = (), unknown: int = 0, unchecked: int = 0
) -> Availability:
    """In minutes."""
    return Availability(
        available * MINUTE_MS,
        tuple(LostTime(cause, of * MINUTE_MS) for cause, of in lost),
        unknown * MINUTE_MS,
        0,
        unchecked * MINUTE_MS,
    )


TEN = [minutes(10, 20)]
CASES = {
    "all fine": (hour(rounds=60, answered=60), "", False, result(60)),
    "no reach, so nobody asked the internet": (hour(), "", False, result(60, unchecked=60)),
    "no sample": (hour(0), "", False, result(0, unknown=60)),
    "half of the hour": (hour(30, rounds=30, answered=30), "", False, result(30, unknown=30)),
    "its Wi-Fi was off, or could not be read": (
        hour(60, 45, 60, 60), "", False, result(45, unknown=15),
    ),
    "the internet did not answer": (
        hour(rounds=60, answered=45), "", False, result(45, [(NO_INTERNET, 15)]),
    ),
    "a power cut": (
        hour(50, rounds=50, answered=50), "power cut", False, result(50, [("power cut", 10)]),
    ),
    "a reboot": (hour(50, rounds=5, answered=5), "reboot", False, result(50, [("reboot", 10)])),
    "away, and nobody knows why": (
        hour(50, rounds=5, answered=5), "unknown", False, result(50, [("unknown", 10)]),
    ),
    "an agent that crashed": (
        hour(50, rounds=5, answered=5), "agent crash", False, result(50, unknown=10),
    ),
    "an upgrade of the firmware": (
        hour(50, rounds=5, answered=5), "firmware upgrade", False, result(50, unknown=10),
    ),
    "the line was cut, and no sample came later": (
        hour(50, rounds=50, answered=50), "uplink lost", False, result(50, [("uplink lost", 10)]),
    ),
    "the line was cut, as its samples say later": (
        hour(60, rounds=60, answered=50), "uplink lost", False, result(50, [("uplink lost", 10)]),
    ),
    "it could not reach the server, and its internet answered": (
        hour(60, rounds=60, answered=60), "uplink lost", False, result(60),
    ),
    "it could not reach the server, and nobody asked its internet": (
        hour(60), "uplink lost", False, result(50, [("uplink lost", 10)], unchecked=50),
    ),
    "nobody heard it": (hour(50, rounds=50, answered=50), "", True, result(50, unknown=10)),
    "nobody heard it, and its samples came later": (
        hour(60, rounds=60, answered=60), "", True, result(60),
    ),
    "nobody heard it go": (
        hour(50, rounds=50, answered=50), "power cut", True, result(50, unknown=10),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("window", "cause", "is_deaf", "expected"), CASES.values(), ids=CASES)
def test_each_cause_counts_as_one_part(
    window: WindowEvidence, cause: str, is_deaf: bool, expected: Availability
) -> None:
    """Of one hour with ten minutes of something."""
    away = [AwayTime(TEN[0], cause)] if cause else []
    assert expected == of_hour(window, away, TEN if is_deaf else [])


def test_who_has_to_answer_is_known_of_each_cause() -> None:
    """And of the places together."""
    found = availability.together(
        [
            result(10, [("power cut", 3), ("uplink lost", 2)]),
            result(20, [(NO_INTERNET, 4), ("reboot", 1), ("unknown", 2)], unknown=7),
        ]
    )
    assert (
        result(
            30,
            [(NO_INTERNET, 4), ("power cut", 3), ("unknown", 2), ("uplink lost", 2), ("reboot", 1)],
            unknown=7,
        )
        == found
    )
    assert (
        ("provider", 6 * MINUTE_MS),
        ("power", 3 * MINUTE_MS),
        ("unknown", 2 * MINUTE_MS),
        ("us", 1 * MINUTE_MS),
    ) == found.by_party


def test_not_known_widens_the_bounds_and_is_not_in_the_figure() -> None:
    """96 of 98 known minutes, and two that nobody knows."""
    found = result(96, [("power cut", 2)], unknown=2)
    assert (0.96, 0.98, 96 / 98) == (found.least, found.most, found.ratio)
    assert (None, None, None) == (
        availability.NOTHING.least,
        availability.NOTHING.most,
        availability.NOTHING.ratio,
    )


def test_a_figure_that_leaves_out_more_than_a_twentieth_is_grey() -> None:
    """Of all the time, and not of what is left."""
    at_most = Availability(available_ms=95, excluded_ms=5)
    assert (False, True) == (at_most.is_grey, Availability(95, excluded_ms=6).is_grey)


def test_a_place_is_available_while_one_router_is() -> None:
    """And it is lost only while all are; the cause of most of them is its cause."""
    window = hour(50, rounds=50, answered=50)
    routers = [
        availability.of_router(
            window.span, [window], [AwayTime(minutes(start, start + 10), cause)], []
        )
        for start, cause in ((10, "power cut"), (15, "uplink lost"), (15, "power cut"))
    ]
    found = availability.of_place(routers)
    assert [(minutes(15, 20), "power cut")] == [(one.span, one.cause) for one in found if one.lost]
    assert result(55, [("power cut", 5)]) == availability.measured(found, [window.span])


def test_what_follows_each_other_for_one_cause_is_one_interruption() -> None:
    """Over the edge of a window, and as long as it was while the place was open."""
    parts = [
        ServiceTime(minutes(0, 50), 1.0, 0.0),
        ServiceTime(minutes(50, 60), 0.0, 1.0, "power cut"),
        ServiceTime(minutes(60, 70), 0.0, 1.0, "power cut"),
        ServiceTime(minutes(70, 90), 0.5, 0.5, NO_INTERNET),
        ServiceTime(minutes(90, 91), 0.0, 1.0, "reboot"),
        ServiceTime(minutes(100, 120), 0.0, 1.0, "unknown"),
    ]
    found = availability.interruptions(parts, [minutes(0, 65), minutes(68, 100)], 2 * MINUTE_MS)
    assert [
        Interruption(minutes(50, 70), 17 * MINUTE_MS, "power cut"),
        Interruption(minutes(70, 90), 10 * MINUTE_MS, NO_INTERNET),
    ] == found


# What holds whatever happened. Everything begins at a whole minute, so that a count can follow.


@dataclass(frozen=True)
class PlayedRouter:
    """One router of a place, with all that is known of it."""

    there: Span
    windows: tuple[WindowEvidence, ...]
    away: tuple[AwayTime, ...]


@st.composite
def spans(draw: st.DrawFn, most: int = 4) -> list[Span]:
    """Apart and in order."""
    edges = draw(st.lists(st.integers(0, HOURS * 60), max_size=2 * most, unique=True))
    return [minutes(*pair) for pair in list(pairwise(sorted(edges)))[::2]]


@st.composite
def windows(draw: st.DrawFn, can_fail: bool = True) -> tuple[WindowEvidence, ...]:
    """Some of the hours."""
    found = []
    for number in draw(st.lists(st.integers(0, HOURS - 1), unique=True)):
        covered = draw(st.sampled_from((0, 60)) | st.integers(0, 60)) * MINUTE_MS
        aired = covered if draw(st.booleans()) else draw(st.integers(0, covered))
        rounds = draw(st.sampled_from((0, 60)))
        answered = draw(st.integers(0, rounds)) if can_fail else rounds
        span = minutes(60 * number, 60 * number + 60)
        found.append(WindowEvidence(span, covered, aired, rounds, answered))
    return tuple(sorted(found))


CAUSES = sorted([*set(PARTIES) - {NO_INTERNET}, *NOT_KNOWN])


@st.composite
def routers(draw: st.DrawFn, causes: Sequence[str] = CAUSES) -> PlayedRouter:
    """One of a place."""
    there = draw(st.just(WHOLE) | spans(1).map(lambda found: found[0] if found else WHOLE))
    away = tuple(AwayTime(span, draw(st.sampled_from(causes))) for span in draw(spans()))
    return PlayedRouter(there, draw(windows()), away)


def service(place: Sequence[PlayedRouter], deaf: Sequence[Span]) -> list[ServiceTime]:
    """Of a place."""
    each = [availability.of_router(one.there, one.windows, one.away, deaf) for one in place]
    return availability.of_place(each)


@given(st.lists(routers(), min_size=1, max_size=3), spans(), spans())
def test_the_four_parts_add_up_to_the_time(
    place: list[PlayedRouter], deaf: list[Span], opened: list[Span]
) -> None:
    """In which the place was open and had a router."""
    there = stretches.united(one.there for one in place)
    excluded = stretches.without(there, there[:1])
    parts = service(place, deaf)
    kept = [
        part._replace(span=span)
        for part in parts
        for span in stretches.overlaps(part.span, there[:1])
    ]
    found = availability.measured(kept, opened, excluded)
    expected = sum(stretches.within(one, opened) for one in there)
    assert expected == found.available_ms + found.lost_ms + found.unknown_ms + found.excluded_ms
    assert min(found.available_ms, found.unknown_ms, found.excluded_ms) >= 0
    assert found.unchecked_ms <= found.available_ms


@given(
    st.lists(routers([one for one in CAUSES if one != "uplink lost"]), min_size=1, max_size=3),
    spans(),
    st.data(),
)
def test_what_becomes_known_narrows_the_bounds(
    place: list[PlayedRouter], deaf: list[Span], data: st.DataObject
) -> None:
    """Samples that came late, an agent that turns out to have been powered off, a server that
    turns out to have heard. Only a router that could not reach the server may turn out well.
    """
    before = availability.measured(service(place, deaf), [WHOLE])
    later = []
    for one in place:
        more = []
        for window in one.windows:
            share = data.draw(st.floats(1, 2))
            covered_ms = min(HOUR_MS, int(window.covered_ms * share))
            grown = covered_ms / window.covered_ms if window.covered_ms else 1
            more.append(
                window._replace(covered_ms=covered_ms, aired_ms=window.aired_ms * grown)  # type: ignore[arg-type]
            )
        away = tuple(
            out._replace(cause="power cut")
            if out.cause in NOT_KNOWN and data.draw(st.booleans())
            else out
            for out in one.away
        )
        later.append(PlayedRouter(one.there, tuple(more), away))
    after = availability.measured(service(later, deaf), [WHOLE])
    if before.least is None or before.most is None or after.least is None or after.most is None:
        assert before.counted_ms == after.counted_ms
        return
    rounding = 1e-5  # some milliseconds of six hours
    assert before.least - rounding <= after.least
    assert after.most <= before.most + rounding


def slow(
    place: Sequence[PlayedRouter], deaf: Sequence[Span], opened: Sequence[Span]
) -> tuple[float, dict[str, float], float]:
    """Minute by minute, as the rules say it: available, lost by cause, not known."""
    available, lost, unknown = 0.0, dict[str, float](), 0.0
    for at_ms in range(0, WHOLE.end_ms, MINUTE_MS):
        if not _in(at_ms, opened):
            continue
        each = [_minute(one, deaf, at_ms) for one in place if _in(at_ms, [one.there])]
        if not each:
            continue
        best, least = max(one[0] for one in each), min(one[1] for one in each)
        available, unknown = available + best, unknown + 1 - best - least
        if least:
            causes = [one[2] for one in each]
            order = list(PARTIES)
            cause = max(causes, key=lambda one: (causes.count(one), -order.index(one)))
            lost[cause] = lost.get(cause, 0.0) + least
    return available, lost, unknown


def _in(at_ms: int, some: Sequence[Span]) -> bool:
    return any(one.start_ms <= at_ms < one.end_ms for one in some)


def _kind(one: PlayedRouter, deaf: Sequence[Span], at_ms: int) -> str:
    """What explains a minute of a router."""
    if _in(at_ms, deaf):
        return "deaf"
    return next((out.cause for out in one.away if _in(at_ms, [out.span])), "")


def _minute(one: PlayedRouter, deaf: Sequence[Span], at_ms: int) -> tuple[float, float, str]:
    """Available, lost and why, of one minute of a router."""
    kind = _kind(one, deaf, at_ms)
    window = next((w for w in one.windows if _in(at_ms, [w.span])), None)
    if kind in NOT_KNOWN or (window is None and kind in ("", "deaf")):
        return 0.0, 0.0, ""
    if kind not in ("", "deaf", "uplink lost") or window is None or (
        kind == "uplink lost" and not window.rounds
    ):  # fmt: skip
        return 0.0, 1.0, kind
    every = range(
        max(window.span.start_ms, one.there.start_ms),
        min(window.span.end_ms, one.there.end_ms),
        MINUTE_MS,
    )
    kinds = [_kind(one, deaf, minute_ms) for minute_ms in every]
    free, doubtful = kinds.count(""), sum(of in ("deaf", "uplink lost") for of in kinds)
    covered = min(window.covered_ms / MINUTE_MS, free + doubtful)
    air = window.aired_ms / window.covered_ms if window.covered_ms else 0.0
    failed = covered * (1 - window.answered / window.rounds) if window.rounds else 0.0
    failed_late = min(failed, doubtful)
    late = max(covered - free, failed_late)
    if kind == "":
        share, of_failed = (covered - late) / free, (failed - failed_late) / free
    else:
        share, of_failed = late / doubtful, failed_late / doubtful
    fine = (share - of_failed) * air
    if kind == "uplink lost":
        return fine, 1 - share + of_failed, kind
    return fine, of_failed, NO_INTERNET


@given(st.lists(routers(), min_size=1, max_size=3), spans(2), spans())
def test_a_count_of_minutes_gives_the_same(
    place: list[PlayedRouter], deaf: list[Span], opened: list[Span]
) -> None:
    """Of one to three routers, with all causes, moves, and hours that are closed."""
    parts = service(place, deaf)
    found = availability.measured(parts, opened)
    available, lost, unknown = slow(place, deaf, opened)
    off = 2 + 2 * len(parts)  # each part is a whole number of milliseconds
    assert pytest.approx(available * MINUTE_MS, abs=off) == found.available_ms
    assert pytest.approx(unknown * MINUTE_MS, abs=off) == found.unknown_ms
    known = {one.cause: one.ms for one in found.lost}
    for cause in {*lost, *known}:
        assert pytest.approx(lost.get(cause, 0.0) * MINUTE_MS, abs=off) == known.get(cause, 0)
