"""The page of the fault campaign is what was measured."""

from tests.faults.mutations import MUTATIONS
from tests.faults.scenarios import SCENARIOS, played
from tools import write_reliability as report


def test_the_page_is_made_of_the_results() -> None:
    """Nobody edits a figure by hand, and `python -m tests.faults report` writes it again."""
    assert report.PAGE.read_text() == report.page()


def test_every_scenario_is_on_the_page() -> None:
    """Also one that was never played, or it would vanish in silence."""
    shown = report.page()
    assert [] == [name for name in (*SCENARIOS, *MUTATIONS) if f"`{name}`" not in shown]


def test_each_engine_has_its_own_results() -> None:
    """A scenario of one name is two lines."""
    kept: report.Result = {kind: {} for kind, _ in report.ENGINES.values()}
    for engine in report.ENGINES:
        result = {"scenario": "agent-kills", "engine": engine, "verdict": None}
        report._take(kept, f"agent-kills-{engine}", result)
    assert ["sqlite", "postgresql"] == [one["agent-kills"]["engine"] for one in kept.values()]


def test_no_result_is_of_a_scenario_that_is_gone() -> None:
    """What cannot be repeated is no figure."""
    kept = report.load()
    for engine, (kind, _) in report.ENGINES.items():
        assert kept[kind].keys() <= set(played(engine))
    assert kept["mutations"].keys() <= MUTATIONS.keys()
