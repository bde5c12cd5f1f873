"""What the endurance run calls growth, and that the page it predicts by says the same figures."""

import random
import re
from pathlib import Path

import pytest

from tests.faults import size
from tests.faults.endurance import AGENTS, MORTAL, faults, grown
from tests.faults.pulse import QUIET, Reading, trend
from tests.faults.size import DEFAULT, predict

HOUR_S = 3600.0
OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"


def readings(rss_per_hour: int = 0, fds_at_end: int = 8, dip: int = 8) -> list[Reading]:
    """An hour of a process with 20 MB, a reading every 5 s; `dip`: descriptors in every ninth."""
    return [
        Reading(
            at_s=1000.0 + at,
            rss_bytes=20_000_000 + round(rss_per_hour * at / HOUR_S),
            fds=dip if at % 45 == 0 else 8 if at < HOUR_S / 2 else fds_at_end,
            threads=1,
        )
        for at in range(0, int(HOUR_S), 5)
    ]


def test_a_level_line_does_not_grow() -> None:
    """Nothing is reported of a process that stays as it is."""
    assert [] == grown({"one": trend(readings())}, HOUR_S)


def test_slope_is_a_share_of_the_memory_an_hour() -> None:
    """Whatever the length of what was seen."""
    found = trend(readings(rss_per_hour=400_000)).rss_slope_ratio_per_hour
    assert 0.0198 == pytest.approx(found, abs=1e-4)


@pytest.mark.thorough
def test_two_percent_an_hour_is_growth() -> None:
    """One is allowed."""
    line = {"one": trend(readings(rss_per_hour=400_000))}
    assert ["one: memory grows by 1.98% an hour"] == grown(line, HOUR_S)
    assert [] == grown({"one": trend(readings(rss_per_hour=150_000))}, HOUR_S)


def test_memory_is_not_judged_by_a_minute() -> None:
    """In which a page more is a percent an hour."""
    assert [] == grown({"one": trend(readings(rss_per_hour=400_000))}, 60.0)


def test_a_descriptor_more_at_the_end_is_a_leak() -> None:
    """However short the time."""
    assert ["one: fds 8 to 9"] == grown({"one": trend(readings(fds_at_end=9))}, 60.0)


def test_a_reconnect_is_no_leak() -> None:
    """A reading in which a socket was closed is not what the process usually has."""
    assert [] == grown({"one": trend(readings(dip=7))}, 60.0)


def test_what_a_fault_opens_for_a_while_is_no_leak() -> None:
    """Only the quiet times are compared."""
    some = readings()
    for number in range(QUIET, len(some) - QUIET):
        some[number] = some[number]._replace(fds=9)
    assert [] == grown({"one": trend(some)}, 60.0)


def test_schedule_is_of_its_seed_and_kills_only_the_mortal() -> None:
    """The others live as long as the run, so that their memory is a line."""
    plan = faults(random.Random("endurance 1"), 600.0)
    assert plan == faults(random.Random("endurance 1"), 600.0)
    killed = {one.target for one in plan if one.kind.startswith("kill")}
    assert killed <= {f"r-{AGENTS - number}" for number in range(MORTAL)}
    assert {"kill agent"} == {one.kind for one in plan if one.kind.startswith("kill")}


def test_the_page_predicts_by_the_same_figures() -> None:
    """The formula of docs/operating.md has the constants of `size.py`."""
    text = OPERATING.read_text()
    for name, value in vars(size).items():
        if name.endswith("_BYTES"):
            assert re.search(rf"\b{value}\b", text), name


def test_the_page_says_what_ten_routers_take() -> None:
    """Its example is the formula's result, with the default retention after a year."""
    found = predict(DEFAULT, 10, 10, a_day=2880, bss=2, days=365)
    assert f"about {round(found / 1e6)} MB" in OPERATING.read_text()
