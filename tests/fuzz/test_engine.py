"""The search goes on after a finding, and the corpus keeps what reaches something new."""

import json
from pathlib import Path

from tests.fuzz.engine import Search
from tests.fuzz.targets import Target
from tests.fuzz.trim import choose


def one(data: bytes) -> None:
    """Breaks at two places."""
    if data.startswith(b"a"):
        raise ValueError(data)
    assert not data.startswith(b"b")


def test_each_place_is_a_finding_once(tmp_path: Path) -> None:
    """Else one bug would fill a disk, and hide the next."""
    search = Search(Target("planted", one, list), tmp_path)
    for data in (b"a1", b"a2", b"b1", b"c", b"b2"):
        search.one(data)
    found = sorted(file.read_bytes() for file in tmp_path.glob("crash-*[0-9a-f]"))
    assert [b"a1", b"b1"] == found
    assert 5 == search.executions


def test_a_finding_comes_with_its_traceback(tmp_path: Path) -> None:
    """Beside the input."""
    Search(Target("planted", one, list), tmp_path).one(b"a1")
    (text,) = tmp_path.glob("crash-*.txt")
    assert "ValueError: b'a1'" in text.read_text()


def test_executions_are_reported_while_the_engine_runs(tmp_path: Path) -> None:
    """It ends the process, and nothing of ours runs after that."""
    Search(Target("planted", one, list), tmp_path).one(b"c")
    assert 1 == json.loads((tmp_path / "executions.json").read_text())


def test_fewest_inputs_that_reach_everything_are_kept() -> None:
    """The shorter of equals, and none that only repeats."""
    first, second, third = (("f", 1, 0), ("f", 2, 1), ("f", 3, 2))
    reached = {
        b"long": {first, second},
        b"all": {first, second},
        b"x": {first},
        b"third": {third},
    }
    assert [b"all", b"third"] == choose(reached, ())
    assert [b"third"] == choose(reached, (first, second))
