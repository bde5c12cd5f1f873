"""Numbers that the store keeps by name."""

from pathlib import Path

import pytest

from tests.collector.build import opened
from titik_collector.store import settings, writable


@pytest.mark.parametrize("name", ["heard_until_ms", "sealed_before_ms"])
def test_a_number_is_kept_by_its_name(tmp_path: Path, name: settings.Name) -> None:
    """The newest one; there is none before."""
    with opened(tmp_path / "db") as db:
        assert settings.number(db, name) is None
        settings.keep(db, name, 7)
        settings.change(db, name, 5)
        assert 5 == settings.number(db, name)


@pytest.mark.sqlite("SQLite counts what it writes")
def test_an_unchanged_seal_writes_nothing(tmp_path: Path) -> None:
    """Retention keeps it with every step, and each write is a commit to the disk."""
    with opened(tmp_path / "db") as db:
        settings.change(db, "sealed_before_ms", 5)
        before = db.raw.total_changes
        settings.change(db, "sealed_before_ms", 5)
        assert before == db.raw.total_changes


@pytest.mark.sqlite("SQLite counts what it writes")
def test_a_store_proves_itself_with_a_row_in_every_instant(tmp_path: Path) -> None:
    """A clock that stands still does not make a full disk look sound."""
    with opened(tmp_path / "db") as db:
        writable.prove(db, 5)
        before = db.raw.total_changes
        writable.prove(db, 5)
        assert before + 1 == db.raw.total_changes
