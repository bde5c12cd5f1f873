"""The evidence for the defaults: its cities, how it counts, and what the documents make of it."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench import alert_city, alert_evidence
from bench.alert_city import Fault, Lived, Minute, Place
from bench.alert_evidence import KINDS, TRIED_ON, TUNED_ON, Past, Raised, Score
from tests.alerts.cities import MIDNIGHT_MS, MIN, SETTINGS
from titik_collector.alerts.alert import Kind
from titik_collector.alerts.book import AlertBook
from titik_collector.alerts.desk_facts import DeskFacts
from titik_collector.alerts.evaluation import evaluate
from titik_collector.alerts.rules import DEFAULTS
from titik_collector.simulation.world import DAY_MINUTES

HALL = Place("kantor-0", 50, 60, 40.0, 1.0, None, None, is_shut=True)
BUSY = Minute(is_online=True, clients=20, down_bps=6e6, answers=True, usual=20.0)
EMPTY = BUSY._replace(clients=0, down_bps=0.0)
NIGHT = EMPTY._replace(usual=0.0)


def past(*minutes: tuple[Minute, int]) -> Past:
    """A place that was like this, each for so many minutes."""
    every = [one for one, count in minutes for _ in range(count)]
    return Past(Lived(HALL, MIDNIGHT_MS, every, ()))


def fired(some: Past, kind: Kind) -> list[int]:
    """The minutes at which a rule fired, as it is shipped."""
    return [(one.fired_ms - MIDNIGHT_MS) // MIN for one in some.raised(DEFAULTS[kind])]


def test_a_place_that_is_empty_each_night_raises_nothing_as_it_opens() -> None:
    """The first visitors have half an hour."""
    assert [] == fired(past((NIGHT, 420), (EMPTY, 25), (BUSY, 60)), "radio-stuck")


def test_a_radio_that_hung_in_the_night_is_found_in_the_morning() -> None:
    """As soon as people stay away for too long."""
    after = round(DEFAULTS["radio-stuck"].for_ms / MIN)
    assert [420 + after] == fired(past((NIGHT, 420), (EMPTY, 120), (BUSY, 60)), "radio-stuck")


def test_a_radio_that_hangs_by_day_is_found_after_an_hour() -> None:
    """Counted from the last visitor."""
    assert [180] == fired(past((BUSY, 120), (EMPTY, 120)), "radio-stuck")


def test_a_cut_is_found_and_a_short_loss_is_not() -> None:
    """Each round is one minute."""
    lost = BUSY._replace(answers=False)
    assert [] == fired(past((BUSY, 30), (lost, 4), (BUSY, 30)), "no-internet")
    assert [35] == fired(past((BUSY, 30), (lost, 40), (BUSY, 30)), "no-internet")


@pytest.mark.thorough
def test_a_rule_by_itself_finds_what_a_whole_look_finds() -> None:
    """The evidence looks at single rules, which is quicker."""
    some = [Past(one) for one in alert_city.city(1, 1, 4)]
    found = {
        (kind, one.fired_ms)
        for past in some
        for kind in KINDS
        for one in past.raised(DEFAULTS[kind])
    }
    whole = set()
    for past in some:
        book = AlertBook()
        for look in past.looks:
            step = evaluate(
                book, alert_evidence.present(past.lived, look).facts, DeskFacts(), SETTINGS
            )
            book = step.book
            whole |= {
                (one.key.kind, one.at_ms)
                for one in step.events
                if one.became == "firing" and one.key.kind in KINDS
            }
    assert found
    assert found <= whole


@pytest.mark.thorough
def test_the_command_prints_and_writes_what_it_finds(tmp_path: Path) -> None:
    """In seconds, with its quick length."""
    out = tmp_path / "evidence.json"
    done = CliRunner().invoke(alert_evidence.main, ["--quick", "--out", str(out)])
    found = alert_evidence.load(out)
    assert done.exit_code == 0
    assert alert_evidence.table(found.trial) in done.output
    assert {one.seed for one in found.trial} == set(TRIED_ON)


def test_a_seed_gives_one_city() -> None:
    """So that anybody gets the same evidence."""
    assert list(alert_city.city(7, 1, 3)) == list(alert_city.city(7, 1, 3))
    assert list(alert_city.city(7, 1, 3)) != list(alert_city.city(8, 1, 3))


def test_each_fault_is_counted_once() -> None:
    """An alert in two faults finds both, and one without a fault is false."""
    lived = Lived(HALL, 0, (), [Fault("crowded", 10, 50), Fault("crowded", 60, 90)])
    alerts = [Raised(20 * MIN, 80 * MIN), Raised(200 * MIN, 220 * MIN)]
    nothing = Score("crowded", 1, 0, 1, 1, 0, 0, 0, ())
    wanted = replace(nothing, faults=2, found=2, false=1, delays=(10, 0))
    assert wanted == alert_evidence.add(nothing, lived, alerts)


def test_what_wants_more_than_there_is_for_long_is_a_fault() -> None:
    """A gap of a quarter of an hour ends none, and a short one is none."""
    so = bytearray(DAY_MINUTES)
    so[10:40] = b"\1" * 30
    so[50:60] = b"\1" * 10
    so[300:320] = b"\1" * 20
    assert [(10, 60)] == list(alert_city.stretches(so))


def test_the_file_has_what_the_product_is_shipped_with() -> None:
    """Who changes a default gathers the evidence again."""
    found = alert_evidence.load()
    for kind in KINDS:
        rule = DEFAULTS[kind]
        shipped = (rule.for_ms / MIN, rule.threshold, rule.clear)
        seeds = [
            one.seed
            for one in found.trial
            if (one.kind, one.for_minutes, one.threshold, one.clear) == (kind, *shipped)
        ]
        assert list(TRIED_ON) == seeds
    assert set(TUNED_ON) == {one.seed for one in found.tuning}
    assert (alert_city.DAYS, alert_evidence.PLACES) == (found.days, found.places)


def test_what_is_tried_is_in_order() -> None:
    """A lower threshold never finds less; the grid would show it."""
    found = alert_evidence.together(alert_evidence.load().tuning)
    full = sorted(
        (one for one in found if one.kind == "uplink-full"), key=lambda one: one.threshold
    )
    assert all(low.found >= high.found for low, high in pairwise(full))
