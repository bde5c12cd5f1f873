"""Tokens that say when a counter restarted."""

from pathlib import Path

import pytest

from titik_agent.sources.since import MAX_IDENTITIES, Since


def test_a_counter_that_counts_on_keeps_its_token() -> None:
    """Standing still is counting on."""
    since = Since()
    assert [since.token("b/1", values) for values in ((5, 5), (5, 6), (9, 6))] == ["b/1"] * 3


def test_a_value_that_fell_is_a_restart() -> None:
    """Any of the set, and every time: the collector never sees one token's counter fall."""
    since = Since()
    tokens = [since.token("b/1", values) for values in ((5, 5), (6, 4), (7, 7), (0, 0), (1, 0))]
    assert tokens == ["b/1", "b/1#1", "b/1#1", "b/1#2", "b/1#2"]


def test_counters_are_told_apart_by_their_identity() -> None:
    """The fall of one says nothing of another, nor of the same one's earlier identity."""
    since = Since()
    since.token("b/1", (9,))
    assert since.token("b/2", (1,)) == "b/2"
    assert since.token("b/1", (9,)) == "b/1"
    assert since.token("b/1", (8,)) == "b/1#1"


def test_the_next_life_never_gives_an_old_token_to_a_later_counter(tmp_path: Path) -> None:
    """Bytes counted under `#1` would else be counted a second time under the first token."""
    path = str(tmp_path / "since")
    before = Since(path)
    assert [before.token("b/1", (value,)) for value in (1000, 10, 5000)][-1] == "b/1#1"
    after = Since(path)
    assert after.token("b/1", (5001,)) == "b/1#1"
    assert after.token("b/1", (1,)) == "b/1#2"


def test_a_damaged_memory_is_forgotten(tmp_path: Path) -> None:
    """It may be anything after a power cut, and is nothing that sampling depends on."""
    path = tmp_path / "since"
    for content in (b"", b"b/1", b"b/1 x\n", b"\xff\xfe", b"b/1 1\n" * 100_000):
        path.write_bytes(content)
        assert Since(str(path)).token("b/2", (1,)) == "b/2"


def test_a_memory_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    """A full or read-only disk."""
    since = Since(str(tmp_path / "none" / "since"))
    assert [since.token("b/1", (value,)) for value in (2, 1)] == ["b/1", "b/1#1"]


@pytest.mark.thorough
def test_memory_stays_bounded(tmp_path: Path) -> None:
    """Interfaces that come and go for years are forgotten, one in use is not."""
    path = tmp_path / "since"
    since = Since(str(path))
    for number in range(2 * MAX_IDENTITIES):
        since.token(f"b/{number}", (2,))
        since.token(f"b/{number}", (1,))
        since.token("b/live", (2 * MAX_IDENTITIES - number,))
    assert since.token("b/live", (0,)) == f"b/live#{2 * MAX_IDENTITIES}"
    assert len(path.read_text().splitlines()) <= MAX_IDENTITIES
