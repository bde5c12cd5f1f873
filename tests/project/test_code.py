"""How the code reads, as far as a machine can tell."""

import ast
from pathlib import Path

from tests.project.sources import ROOT, everything

# A module is named for the noun it holds; these name nothing.
EMPTY_NAMES = {"utils", "util", "helpers", "common", "manager", "handler", "base", "core", "misc"}


def test_every_module_says_its_one_idea() -> None:
    """A file that holds code begins with a docstring."""
    silent = [
        str(file.relative_to(ROOT))
        for file in everything()
        if file.stat().st_size and ast.get_docstring(ast.parse(file.read_text())) is None
    ]
    assert silent == []


def test_no_module_is_a_drawer() -> None:
    """`utils` and its like say nothing about what is inside."""
    assert [file.name for file in everything() if file.stem in EMPTY_NAMES] == []


def test_no_test_is_skipped_or_mocked() -> None:
    """What cannot run here fails here; what stands in for a device is a small class."""
    wanted = ("pytest.skip", "mark.skip", "importorskip", "unittest.mock", "MagicMock")
    found = [
        f"{file.relative_to(ROOT)}: {word}"
        for file in (ROOT / "tests").rglob("*.py")
        if file != Path(__file__)
        for word in wanted
        if word in file.read_text()
    ]
    assert found == []
