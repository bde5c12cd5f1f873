"""The page of figures is what was measured."""

from bench import results, write_performance
from bench.results import Result


def test_the_page_is_made_of_the_results() -> None:
    """Nobody edits a figure by hand."""
    assert write_performance.PAGE.read_text() == write_performance.page()


def test_every_part_was_measured() -> None:
    """A part that is not in the file would vanish from the page in silence."""
    parts = results.load()
    assert set(write_performance.TITLES) == set(parts)
    assert all(one.runs and one.command for _, part in parts.values() for one in part)


def test_a_database_s_own_processor_time_has_a_column() -> None:
    """It is there where a database has processes of its own, and empty for the other figures."""
    ours = Result("a sample", "ms", (0.1,), None, "run")
    theirs = Result("a sample", "ms", (0.2,), None, "run", server=(0.05, 0.06, 0.07))
    assert "| a sample | 0.1 ms |  |  |  | `run` |" in write_performance.table([ours])
    table = write_performance.table([ours, theirs])
    assert "| figure | median | range | database | wanted | reached | command |" in table
    assert "| a sample | 0.1 ms |  |  |  |  | `run` |" in table
    assert "| a sample | 0.2 ms |  | 0.06 ms |  |  | `run` |" in table
