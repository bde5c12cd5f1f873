"""What the commands say of a store whose file is damaged."""

import random
import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.collector.test_past import CONFIG, two_hours
from titik_collector.cli import titik

PAGE = 4096


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration whose store has noise in the middle, as a failing disk leaves it."""
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "titik.toml").write_text(CONFIG)
    with two_hours(folder / "db"):
        pass
    with (folder / "db").open("r+b") as store:
        store.seek(10 * PAGE)
        store.write(random.Random(1).randbytes(20 * PAGE))
    return folder / "titik.toml"


@pytest.mark.parametrize(
    "command", ["status", "top", "db check", "history city", "export", "events"]
)
def test_a_damaged_store_is_one_line_with_the_remedy(file: Path, command: str) -> None:
    """Whichever command meets the damage, and wherever."""
    done = CliRunner().invoke(titik, [*command.split(), "--config", str(file)])
    assert 1 == done.exit_code, done.output
    assert isinstance(done.exception, SystemExit)
    assert re.fullmatch(
        rf"Error: {file.parent}/db: .*; stop the collector, .* titik restore --only-store FILE\n",
        done.output,
    )
    # `top` asks every second, and a file left open each time would end it.
    assert [] == [one for one in open_files() if one.startswith(str(file.parent))]


def open_files() -> list[str]:
    """What this process holds."""
    found = []
    for one in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the folder that is read is one of them
            found.append(str(one.readlink()))
    return found


def test_a_collector_that_meets_the_damage_as_it_starts_says_the_same(tmp_path: Path) -> None:
    """In what it reads before it listens, here which samples are the newest."""
    (tmp_path / "titik.toml").write_text(CONFIG)
    with two_hours(tmp_path / "db"):
        pass
    with closing(sqlite3.connect(tmp_path / "db")) as db:
        (page,) = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sample_by_time'"
        ).fetchone()
    with (tmp_path / "db").open("r+b") as store:
        store.seek((page - 1) * PAGE)
        store.write(random.Random(1).randbytes(PAGE))
    done = CliRunner().invoke(titik, ["collect", "--config", str(tmp_path / "titik.toml")])
    assert isinstance(done.exception, SystemExit)
    assert f"Error: {tmp_path}/db: database disk image is malformed; stop the" in done.output
