"""The mutations of the fault campaign still fit the code that they break."""

import pytest

from tests.faults.mutations import HASTE, MUTATIONS, Edit, Stale
from tests.faults.scenarios import ELSEWHERE, SCENARIOS, played
from tests.project.sources import ROOT


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_edit_fits_once(name: str) -> None:
    """What it breaks is still there, and what comes of a Python file is still Python."""
    texts: dict[str, str] = {}
    for edit in (*MUTATIONS[name].edits, HASTE):
        before = texts.get(edit.file) or (ROOT / edit.file).read_text()
        texts[edit.file] = edit.of(before)
        assert texts[edit.file] != before
    for file, text in texts.items():
        if file.endswith(".py"):
            compile(text, file, "exec")


def test_a_mutation_that_does_not_fit_is_stale() -> None:
    """It would change nothing, or something else, and prove nothing."""
    edit = Edit("x.py", "there", "gone")
    assert edit.of("it is there") == "it is gone"
    for text in ("it is away", "there and there"):
        with pytest.raises(Stale, match=r"x\.py"):
            edit.of(text)


def test_every_mutation_names_a_scenario() -> None:
    """One that is played on its engine must catch it."""
    assert [] == [one for one in MUTATIONS.values() if one.scenario not in played(one.engine)]


def test_what_is_played_elsewhere_is_a_scenario() -> None:
    """Or it would be left out in silence when it is renamed."""
    assert {name for name, _ in ELSEWHERE} <= SCENARIOS.keys()
