"""Tokens that say when a counter restarted."""

from pathlib import Path

import pytest

from titik_agent.limits import MAX_IDENTITIES
from titik_agent.sources.since import Since


def test_a_restart_is_a_new_token() -> None:
    """Every time; and one of it says nothing of another, nor of its earlier identity."""
    since = Since()
    tokens = [since.token("b/1")]
    for _ in range(2):
        since.restart("b/1")
        tokens.append(since.token("b/1"))
    assert tokens == ["b/1", "b/1#1", "b/1#2"]
    assert since.token("b/2") == "b/2"


def test_the_next_life_never_gives_an_old_token_to_a_later_counter(tmp_path: Path) -> None:
    """Bytes counted under `#1` would else be counted a second time under the first token."""
    path = str(tmp_path / "since")
    Since(path).restart("b/1")
    after = Since(path)
    assert after.token("b/1") == "b/1#1"
    after.restart("b/1")
    assert after.token("b/1") == "b/1#2"


@pytest.mark.thorough
def test_a_damaged_memory_is_forgotten(tmp_path: Path) -> None:
    """It may be anything after a power cut, and is nothing that sampling depends on."""
    path = tmp_path / "since"
    for content in (b"", b"b/1", b"b/1 x\n", b"\xff\xfe", b"b/1 1\n" * 100_000):
        path.write_bytes(content)
        assert Since(str(path)).token("b/2") == "b/2"


def test_a_memory_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    """A full or read-only disk."""
    since = Since(str(tmp_path / "none" / "since"))
    since.restart("b/1")
    assert since.token("b/1") == "b/1#1"


@pytest.mark.thorough
def test_memory_stays_bounded(tmp_path: Path) -> None:
    """Interfaces that come and go for years are forgotten, one in use is not."""
    path = tmp_path / "since"
    since = Since(str(path))
    for number in range(2 * MAX_IDENTITIES):
        since.restart(f"b/{number}")
        since.restart("b/live")
    assert since.token("b/live") == f"b/live#{2 * MAX_IDENTITIES}"
    assert len(path.read_text().splitlines()) <= MAX_IDENTITIES
