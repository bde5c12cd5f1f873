"""The page of figures is what was measured."""

from bench import results, write_performance


def test_the_page_is_made_of_the_results() -> None:
    """Nobody edits a figure by hand."""
    assert write_performance.PAGE.read_text() == write_performance.page()


def test_every_part_was_measured() -> None:
    """A part that is not in the file would vanish from the page in silence."""
    parts = results.load()
    assert set(write_performance.TITLES) == set(parts)
    assert all(one.runs and one.command for _, part in parts.values() for one in part)
