"""The page of the fault campaign is what was measured."""

from tests.faults.mutations import MUTATIONS
from tests.faults.scenarios import SCENARIOS
from tools import write_reliability as report


def test_the_page_is_made_of_the_results() -> None:
    """Nobody edits a figure by hand, and `python -m tests.faults report` writes it again."""
    assert report.PAGE.read_text() == report.page()


def test_every_scenario_is_on_the_page() -> None:
    """Also one that was never played, or it would vanish in silence."""
    shown = report.page()
    assert [] == [name for name in (*SCENARIOS, *MUTATIONS) if f"`{name}`" not in shown]


def test_no_result_is_of_a_scenario_that_is_gone() -> None:
    """What cannot be repeated is no figure."""
    kept = report.load()
    assert kept["scenarios"].keys() <= SCENARIOS.keys()
    assert kept["mutations"].keys() <= MUTATIONS.keys()
