"""What `titik status` warns of where backups are missing, old or not known to be good."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.build import opened
from tests.collector.test_config import LEAST
from titik_collector.backups import verified
from titik_collector.backups.verified import Verified
from titik_collector.config import model
from titik_collector.queries import backup_warnings
from titik_collector.store import settings
from titik_collector.store.database import Database
from titik_wire.instant import DAY_MS, HOUR_MS

NOW_MS = 1_000 * DAY_MS
OF_A_FOLDER = '[backup]\nfolder = "kept"\n'
OFF = '[[alert]]\nkind = "backup-missing"\non = false\n'


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """A store that a collector has had for a month."""
    with opened(tmp_path / "titik.db", ()) as made:
        settings.keep(made, "collected_ms", NOW_MS - 30 * DAY_MS)
        yield made


def lines(db: Database, folder: Path, more: str) -> list[str]:
    """The warnings of a city."""
    city = model.parse((LEAST + more).encode(), folder / "titik.toml")
    return [one.text for one in backup_warnings.warned(city, NOW_MS, db)]


def made(folder: Path, hours_ago: int) -> Path:
    """A folder of backups with one so old."""
    (folder / "kept").mkdir()
    file = folder / "kept/titik-20260101T023000Z.tar.gz"
    file.touch()
    os.utime(file, ((NOW_MS - hours_ago * HOUR_MS) / 1000,) * 2)
    return folder / "kept"


def test_no_folder_is_named(db: Database, tmp_path: Path) -> None:
    """The line has the key; who switched the rule off has none."""
    (line,) = lines(db, tmp_path, "")
    assert f"name it as folder under [backup] of {tmp_path / 'titik.toml'}" in line
    assert [] == lines(db, tmp_path, OFF)


def test_a_new_city_has_a_day(db: Database, tmp_path: Path) -> None:
    """So a trial of an hour has no line, and neither has one that no collector had."""
    settings.keep(db, "collected_ms", NOW_MS - 23 * HOUR_MS)
    assert [] == lines(db, tmp_path, "")
    settings.keep(db, "collected_ms", NOW_MS - 24 * HOUR_MS)
    assert 1 == len(lines(db, tmp_path, ""))


def test_no_backup_is_in_the_folder(db: Database, tmp_path: Path) -> None:
    """Nor is the folder there."""
    (line,) = lines(db, tmp_path, OF_A_FOLDER)
    assert line.endswith(f"as root: titik backup --keep 14 {tmp_path / 'kept'}")


def test_one_that_is_fresh_and_was_looked_into_is_no_warning(db: Database, tmp_path: Path) -> None:
    """All is well."""
    folder = made(tmp_path, 36)
    verified.write(folder, Verified(at_ms=NOW_MS - 10 * DAY_MS, backup="titik-1.tar.gz"))
    assert [] == lines(db, tmp_path, OF_A_FOLDER)


def test_the_newest_is_old_and_nobody_looked(db: Database, tmp_path: Path) -> None:
    """Two lines, each with its remedy."""
    folder = made(tmp_path, 49)
    old, unknown = lines(db, tmp_path, OF_A_FOLDER)
    assert old.startswith("the newest backup is 2 d 01 h old; as root: systemctl status titik-bac")
    assert f"no backup was ever looked into; as root: titik backup verify {folder}" == unknown


@pytest.mark.parametrize(
    ("problem", "days", "expected"),
    [
        (None, 11, "no backup was looked into for 11 d 00 h"),
        ("titik.db: is damaged", 1, "would not bring the city back (titik.db: is damaged)"),
    ],
)
def test_the_last_look_was_long_ago_or_bad(
    db: Database, tmp_path: Path, problem: str | None, days: int, expected: str
) -> None:
    """What it found is in the line."""
    folder = made(tmp_path, 1)
    looked = Verified(at_ms=NOW_MS - days * DAY_MS, backup="titik-1.tar.gz", problem=problem)
    verified.write(folder, looked)
    (line,) = lines(db, tmp_path, OF_A_FOLDER)
    assert expected in line
    assert f"titik backup verify {folder}" in line


def test_a_folder_that_may_not_be_read_is_not_called_empty(db: Database, tmp_path: Path) -> None:
    """Nothing is known of it."""
    (tmp_path / "kept").write_text("no folder")
    assert [] == lines(db, tmp_path, OF_A_FOLDER)
