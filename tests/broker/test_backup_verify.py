"""`titik backup verify`: what it finds of a backup, and what it leaves behind."""

import json
import re
import sqlite3
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.broker import enrolled
from tests.broker.enrolled import City
from tests.broker.test_backup import replaced
from titik_collector.backup_check import SCRATCH, Unverifiable, check, scratch
from titik_collector.store.database import migrations
from titik_collector.store.sqlite import FOLDER, open_writer

pytestmark = pytest.mark.system


@pytest.fixture
def kept(stored: City, tmp_path: Path) -> Path:
    """A backup in a folder of backups, of a city with a router and a store."""
    (tmp_path / "kept").mkdir()
    stored.says("backup", "--keep", "3", str(tmp_path / "kept"))
    (file,) = (tmp_path / "kept").iterdir()
    return file


def with_store(kept: Path, statement: str) -> None:
    """The backup with a store that a statement changed."""
    beside = kept.with_name("changed.db")
    subprocess.run(["tar", "-xzf", kept, "-C", kept.parent, "titik.db"], check=True)
    (kept.parent / "titik.db").rename(beside)
    with closing(sqlite3.connect(beside)) as db:
        db.executescript(statement)
    replaced(kept, "titik.db", beside.read_bytes())
    kept.with_suffix(".old").unlink()
    beside.unlink()


def seen(kept: Path) -> object:
    """What the file beside the backups says of the last look."""
    return json.loads((kept.parent / "verified.json").read_text())["problem"]


@contextmanager
def disk(folder: Path, size: int) -> Iterator[Path]:
    """Another disk with so many bytes."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_whole_backup_is_called_whole_with_what_it_has(city: City, kept: Path) -> None:
    """The newest of the folder; one that lacks something is newer, and does not count."""
    (kept.parent / "titik-29990101T000000Z-part.tar.gz").touch()
    before = sorted(kept.parent.iterdir())
    output = city.says("backup", "verify", str(kept.parent))
    assert re.match(r"made \d{4}-\d\d-\d\d \d\d:\d\d WITA, \d+ (s|min) ago\n", output), output
    assert "city: Kupang, 1 routers at 1 sites" in output
    assert (
        "keys: the authority, the broker and the certificates belong together; routers: 1" in output
    )
    assert f"store: schema {migrations(FOLDER)[-1].number}, no sample" in output
    assert "samples taken 0 = stored 0 + refused 0 + lost 0 + in spool 0" in output
    assert f"{kept}: is whole\n" == output.splitlines(keepends=True)[-1]
    state = kept.parent / "verified.json"
    assert [*before, state] == sorted(kept.parent.iterdir())
    assert seen(kept) is None
    assert 0o644 == stat.S_IMODE(state.stat().st_mode)


def test_without_a_name_it_is_the_configured_folder_s_newest(city: City, kept: Path) -> None:
    """Where the configuration names none, the error has the key."""
    output = city.says("backup", "verify", status=2)
    assert "set folder under [backup]" in output
    toml = city.folder / "titik.toml"
    toml.write_text(f'{toml.read_text()}\n[backup]\nfolder = "kept"\n')
    assert f"{kept}: is whole" in city.says("backup", "verify")
    kept.unlink()
    assert "there is no whole backup" in city.says("backup", "verify", status=1)


def test_a_file_that_is_named_changes_nothing_beside_it(city: City, kept: Path) -> None:
    """It may be an old one, which says nothing of the nights."""
    assert "is whole" in city.says("backup", "verify", str(kept))
    assert [kept] == list(kept.parent.iterdir())


DAMAGES = {
    "a schema of a later version": ("PRAGMA user_version = 9999", "schema 9999"),
    "a row without its parent": (
        "INSERT INTO open_run (run_id, touched_ms) VALUES (77, 1)",
        "open_run row 77: no such row in run",
    ),
    "a run that settled a seq twice": (
        "INSERT INTO run (id, router_id, token) VALUES (1, 1, 'r');"
        "INSERT INTO settled (run_id, kind, first_seq, last_seq)"
        " VALUES (1, 'stored', 1, 5), (1, 'refused', 4, 9)",
        "taken 0 is not stored 5 + refused 6",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_store_that_is_not_whole_is_found(city: City, kept: Path, damage: str) -> None:
    """By what `titik db check` would find; the state file has the first problem."""
    statement, expected = DAMAGES[damage]
    with_store(kept, statement)
    output = city.says("backup", "verify", str(kept.parent), status=1)
    assert f"{kept}: would not bring the city back as it was" in output
    assert expected in output.partition("wrong: ")[2]
    assert expected in str(seen(kept))
    assert not (kept.parent / SCRATCH).exists()


def test_damaged_pages_are_found(city: City, kept: Path) -> None:
    """Though the archive around them is whole."""
    with_store(kept, "VACUUM")
    subprocess.run(["tar", "-xzf", kept, "-C", kept.parent, "titik.db"], check=True)
    content = bytearray((kept.parent / "titik.db").read_bytes())
    content[len(content) // 2 :] = b"\xa5" * (len(content) - len(content) // 2)
    replaced(kept, "titik.db", bytes(content))
    assert "wrong: " in city.says("backup", "verify", str(kept), status=1)


def test_a_store_of_an_earlier_version_is_whole(city: City, kept: Path) -> None:
    """A restore brings it up to date, so a look does as well; the backup stays as it was."""
    newest = migrations(FOLDER)[-1].number
    old = kept.with_name("old.db")
    open_writer(old, newest - 1).close()
    with closing(sqlite3.connect(old)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    replaced(kept, "titik.db", old.read_bytes())
    before = kept.read_bytes()
    assert f"store: schema {newest - 1}," in city.says("backup", "verify", str(kept))
    assert before == kept.read_bytes()


@pytest.mark.parametrize("name", ["ca/ca.key", "tls/server.key", "tls/ca.crt"])
def test_keys_of_another_city_are_found(city: City, kept: Path, tmp_path: Path, name: str) -> None:
    """Routers would refuse the broker, or nobody could be enrolled."""
    (tmp_path / "other").mkdir()
    other = enrolled.made(tmp_path / "other").folder / "broker" / name
    replaced(kept, f"broker/{name}", other.read_bytes())
    output = city.says("backup", "verify", str(kept), status=1)
    assert "wrong: " in output
    assert name.partition("/")[0] in output.partition("wrong: ")[2]
    assert SCRATCH not in output


def test_what_the_configuration_names_and_is_not_there_is_found(city: City, kept: Path) -> None:
    """A restore would end without it."""
    toml = (city.folder / "titik.toml").read_text()
    replaced(kept, "titik.toml", f'{toml}[web]\ntls_key = "k"\ntls_cert = "c"\n'.encode())
    output = city.says("backup", "verify", str(kept), status=1)
    assert "wrong: lacks web/tls.key, which its configuration names" in output


def test_a_file_that_is_cut_is_found(city: City, kept: Path) -> None:
    """Anywhere; and what is no backup at all."""
    whole = kept.read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 20):
        kept.write_bytes(whole[:size])
        assert "no whole backup" in city.says("backup", "verify", str(kept.parent), status=1)
        assert "no whole backup" in str(seen(kept))


def test_without_room_nothing_is_known(city: City, kept: Path, tmp_path: Path) -> None:
    """Another exit status, and what was known before stays."""
    with disk(tmp_path / "small", 1 << 20) as small:
        city.says("backup", "verify", str(kept.parent))
        before = (kept.parent / "verified.json").read_bytes()
        output = city.says("backup", "verify", str(kept.parent), "--scratch", str(small), status=2)
        assert "and 268 MB to spare, and 1 MB are free; free the rest, or name" in output
        assert [] == list(small.iterdir())
    assert before == (kept.parent / "verified.json").read_bytes()


def much(_: Path) -> int:
    """Room that others take before it is used."""
    return 1 << 40


def test_a_disk_that_fills_says_nothing_of_the_backup(kept: Path, tmp_path: Path) -> None:
    """Though there was room when it began."""
    with (
        disk(tmp_path / "small", 128 << 10) as small,
        scratch(small) as room,
        pytest.raises(OSError, match="No space left") as caught,
    ):
        check(kept, room, much)
    assert str(caught.value.filename).startswith(str(room))


def test_nor_does_one_that_fills_while_a_store_is_brought_up_to_date(
    kept: Path, tmp_path: Path
) -> None:
    """It takes more room than its file."""
    old = kept.with_name("old.db")
    open_writer(old, migrations(FOLDER)[0].number).close()
    with closing(sqlite3.connect(old)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    replaced(kept, "titik.db", old.read_bytes())
    with tarfile.open(kept) as tar:
        size = sum(-(-one.size // 4096) * 4096 for one in tar)
    with (
        disk(tmp_path / "small", size + (192 << 10)) as small,
        scratch(small) as room,
        pytest.raises(Unverifiable, match="full; free the disk"),
    ):
        check(kept, room, much)


def test_what_cannot_be_looked_at_is_not_called_bad(city: City, tmp_path: Path) -> None:
    """A folder that is gone, or is none; the remedy is printed as ever."""
    (tmp_path / "file").touch()
    for folder in (tmp_path / "gone", tmp_path / "file" / "kept"):
        assert f"{folder}" in city.says("backup", "verify", str(folder), status=2)


def test_what_a_look_left_that_was_killed_is_removed(city: City, kept: Path) -> None:
    """So the disk holds one unpacked backup at most."""
    (kept.parent / SCRATCH / "broker").mkdir(parents=True)
    (kept.parent / SCRATCH / "broker/x").write_text("left")
    assert "is whole" in city.says("backup", "verify", str(kept))
    assert [kept] == list(kept.parent.iterdir())


def test_nobody_else_may_read_what_is_unpacked(tmp_path: Path) -> None:
    """Every key of the city is in it for a moment."""
    with scratch(tmp_path) as folder:
        assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
