"""Every input that was ever worth keeping, through its target, without an engine."""

from pathlib import Path

import pytest

from tests.fuzz import targets

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.thorough
@pytest.mark.usefixtures("caplog")  # what is read is damaged, and the readers say so
@pytest.mark.parametrize("name", targets.NAMES)
def test_nothing_in_the_corpus_is_a_finding(name: str) -> None:
    """The seeds, and what engines found to reach lines that the seeds do not."""
    target = targets.load(name)
    inputs = [file.read_bytes() for file in sorted((CORPUS / name).iterdir())]
    assert 0 < len(inputs) <= 50
    for data in (*target.seeds(), *inputs):
        target.one(data)
