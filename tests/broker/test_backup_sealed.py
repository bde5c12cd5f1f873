"""A backup that is sealed to a public key: two files, which only their identity opens."""

import json
import os
import re
import stat
import subprocess
import sys
import tarfile
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.broker.enrolled import City
from titik_collector.backups import kept as names
from titik_collector.backups import sealing
from titik_collector.backups.sealing import SealError
from titik_collector.cli import titik
from titik_collector.store.sqlite import open_writer

pytestmark = pytest.mark.system


@pytest.fixture
def identity(stored: City, tmp_path: Path) -> Path:
    """Made as an operator makes it; the city's file has what the command prints."""
    file = tmp_path / "elsewhere.key"
    seal_to(stored, file)
    return file


def made(file: Path, status: int = 0) -> str:
    """What is printed as an identity is made."""
    done = CliRunner().invoke(titik, ["backup", "key", str(file)])
    assert status == done.exit_code, done.output
    return done.output


def seal_to(city: City, file: Path) -> None:
    """What is sealed from now on is for a new identity."""
    output = made(file).partition("[backup]\n")[2]
    toml = city.folder / "titik.toml"
    text = toml.read_text().partition("[backup]\n")[0]
    toml.write_text(f"{text}[backup]\n{output}")


@pytest.fixture
def kept(city: City, identity: Path, tmp_path: Path) -> Path:
    """A folder with one sealed backup."""
    assert identity.exists()
    (tmp_path / "kept").mkdir()
    city.says("backup", "--keep", "2", str(tmp_path / "kept"))
    return tmp_path / "kept"


def parts(kept: Path) -> list[Path]:
    """Its keys and its store."""
    return sorted(kept.glob("*.age"))


def test_keys_and_store_are_two_files_that_nobody_reads(
    city: City, identity: Path, kept: Path
) -> None:
    """And a third that lists them, which the collector's user may read."""
    names = [re.sub("^titik-[0-9TZ]*", "", one.name) for one in sorted(kept.iterdir())]
    assert ["-keys.tar.gz.age", "-store.tar.gz.age", ".json"] == names
    (listed,) = kept.glob("*.json")
    assert 0o644 == stat.S_IMODE(listed.stat().st_mode)
    for one in parts(kept):
        assert 0o600 == stat.S_IMODE(one.stat().st_mode)
        assert sealing.is_sealed(one)
        assert b"tirosa" not in one.read_bytes()
    secret = identity.read_text().splitlines()[-1]
    assert 0o600 == stat.S_IMODE(identity.stat().st_mode)
    assert all(secret not in one.read_text() for one in (listed, city.folder / "titik.toml"))


def test_what_a_power_cut_left_unsealed_is_gone_with_the_next(city: City, kept: Path) -> None:
    """One that is made at this moment keeps its own, and so does anybody else."""
    now_s = time.time()
    left = [f".{names.name(now_s - 86400)}-part{end}" for end in (".db", ".db-wal", ".desk")]
    left += [f".{names.name(now_s - 86400)}-part-store.tar.gz.age.new"]
    other = [f".{names.name(now_s - 60)}-part.db", ".titik-verify.txt", ".titik-mine"]
    for one in (*left, *other):
        (kept / one).touch()
    city.says("backup", "--keep", "2", str(kept))
    assert {*other} == {one.name for one in kept.glob(".*")}


def opened(file: Path, identity: Path) -> list[str]:
    """The names in it."""
    into = file.with_suffix(".opened")
    sealing.unseal(file, into, identity)
    with tarfile.open(into) as tar:
        names = tar.getnames()
    into.unlink()
    return names


def test_the_store_comes_without_any_key(identity: Path, kept: Path) -> None:
    """So it can be given to somebody."""
    keys, store = parts(kept)
    assert ["city", "titik.db"] == opened(store, identity)
    names = opened(keys, identity)
    assert {"titik.toml", "broker/ca/ca.key", "store-is-apart"} <= {*names}
    assert "titik.db" not in names


@pytest.mark.parametrize("order", [1, -1])
def test_both_bring_the_city_back(kept: Path, identity: Path, tmp_path: Path, order: int) -> None:
    """In either order; nothing that was opened is left."""
    there = City(tmp_path / "there")
    there.folder.mkdir()
    files = [str(one) for one in parts(kept)[::order]]
    output = there.says("restore", *files, "--identity", str(identity))
    assert f"1 routers, store {there.folder / 'titik.db'}" in output
    there.broker.authority.check()
    with closing(open_writer(there.folder / "titik.db")) as db:
        assert [("tirosa-1",)] == db.execute("SELECT name FROM router").fetchall()
    assert [] == list(there.folder.glob(".titik-*"))


def test_keys_alone_name_the_file_that_is_missing(
    kept: Path, identity: Path, tmp_path: Path
) -> None:
    """A city without its store would count all that was acknowledged as lost."""
    keys, _ = parts(kept)
    there = City(tmp_path / "there")
    output = there.says("restore", str(keys), "--identity", str(identity), status=1)
    assert "another file, whose name ends in -store.tar.gz.age; give both" in output
    assert not (there.folder / "titik.toml").exists()


def test_the_store_alone_is_brought_back_into_its_city(
    city: City, kept: Path, identity: Path
) -> None:
    """One of another city is not."""
    keys, store = parts(kept)
    for one in city.folder.glob("titik.db*"):
        if one.is_file():
            one.unlink()
    toml = city.folder / "titik.toml"
    text = toml.read_text()
    toml.write_text(text.replace('name = "kupang"', 'name = "soe"'))
    says = ("restore", "--only-store", str(store), "--identity", str(identity))
    assert "is of the city kupang, not of soe" in city.says(*says, status=1)
    toml.write_text(text)
    assert "restored" in city.says(*says)
    assert (city.folder / "titik.db").exists()
    assert "give both" in City(city.folder / "x").says(
        "restore", str(keys), "--identity", str(identity), status=1
    )


def test_another_identity_is_refused_with_both_names(
    city: City, kept: Path, identity: Path, tmp_path: Path
) -> None:
    """None at all, and a file that is no identity, have their own words."""
    files = [str(one) for one in parts(kept)]
    there = City(tmp_path / "there")
    there.folder.mkdir()
    other, text = tmp_path / "other.key", tmp_path / "text"
    made(other)
    text.write_text("no key")
    assert "is sealed; add --identity FILE" in there.says("restore", *files, status=1)
    output = there.says("restore", *files, "--identity", str(other), status=1)
    assert f"{files[0]}: cannot be opened with {other}" in output
    output = there.says("restore", *files, "--identity", str(text), status=1)
    assert "holds no line that begins with AGE-SECRET-KEY-" in output
    assert [] == list(there.folder.iterdir())
    assert "is there already" in made(other, status=1)
    output = city.says("backup", "verify", str(kept), "--identity", str(other), status=2)
    assert "cannot be opened" in output
    assert "is whole" in city.says("backup", "verify", str(kept), "--identity", str(identity))


def seen(kept: Path) -> object:
    """What the file beside the backups says of the last look."""
    return json.loads((kept / "verified.json").read_text())["problem"]


def test_without_an_identity_the_files_are_compared(city: City, kept: Path) -> None:
    """As the weekly timer does; it prints that nothing was opened."""
    output = city.says("backup", "verify", str(kept))
    assert "its files are as they were written, and its store was whole before" in output
    assert "it was not opened now" in output
    assert seen(kept) is None
    _, store = parts(kept)
    content = store.read_bytes()
    for changed in (content[:-1], content[:-1] + bytes([content[-1] ^ 1])):
        store.write_bytes(changed)
        output = city.says("backup", "verify", str(kept), status=1)
        assert f"wrong: {store.name}: is not as it was written" in output
    store.unlink()
    city.says("backup", "verify", str(kept), status=1)
    assert f"{store.name}: is missing" == seen(kept)


def test_what_was_wrong_before_it_was_sealed_is_known(city: City, kept: Path) -> None:
    """For afterwards nobody here can look; the backup is written all the same."""
    with closing(open_writer(city.folder / "titik.db")) as db:
        db.execute("INSERT INTO run (id, router_id, token) VALUES (1, 1, 'r')")
        db.execute(
            "INSERT INTO settled (run_id, kind, first_seq, last_seq) VALUES (1, 'stored', 1, 5)"
        )
    for one in kept.iterdir():
        one.unlink()
    output = city.says("backup", "--keep", "2", str(kept), status=1)
    assert "wrong before it was sealed: router=tirosa-1 run=r: taken 0 is not" in output
    assert "before it was sealed: router=tirosa-1" in city.says(
        "backup", "verify", str(kept), status=1
    )


def test_the_newest_are_kept_whole(city: City, kept: Path) -> None:
    """With all their files; older ones go, sealed or not, and so does what was cut off."""
    for one in kept.iterdir():
        one.rename(one.with_name(re.sub("2[0-9]*T[0-9]*Z", "20260103T023000Z", one.name)))
    for name in ("0101T023000Z.tar.gz", "0102T023000Z.tar.gz", "0102T023000Z-keys.tar.gz.age"):
        (kept / f"titik-2026{name}").touch()
    (kept / "mine.json").touch()
    city.says("backup", "--keep", "2", str(kept))
    names = sorted(one.name for one in kept.iterdir())
    assert ["mine.json", *["titik-20260103T023000Z"] * 3] == [one[:22] for one in names[:4]]
    assert 7 == len(names)


def test_a_single_name_makes_three_files(city: City, identity: Path, tmp_path: Path) -> None:
    """An unsealed backup is still brought back without any identity."""
    file = tmp_path / "city.tar.gz"
    city.says("backup", str(file))
    assert ["city-keys.tar.gz.age", "city-store.tar.gz.age", "city.json"] == sorted(
        one.name for one in tmp_path.glob("city[-.]*")
    )
    toml = city.folder / "titik.toml"
    toml.write_text(toml.read_text().partition("[backup]")[0])
    city.says("backup", str(file))
    assert identity.exists()
    assert "restored Kupang" in City(tmp_path / "there").says("restore", str(file))


def test_an_identity_is_as_age_writes_one(identity: Path) -> None:
    """A line of comment, and the key; so `age -d -i` opens a backup without Titik."""
    comment, secret = identity.read_text().splitlines()
    assert re.fullmatch(r"# public key: age1[a-z0-9]{58}", comment)
    assert re.fullmatch(r"AGE-SECRET-KEY-1[A-Z0-9]{58}", secret)


def test_a_full_disk_ends_the_sealing(identity: Path) -> None:
    """With the disk's own error, and nothing hangs."""
    public = identity.read_text().split()[3]

    def write() -> None:
        with open("/dev/full", "wb") as full, sealing.sealing(full, public) as sink:
            for _ in range(64):
                sink.write(bytes(1 << 20))

    with pytest.raises(OSError, match="No space left"):
        write()


def test_memory_does_not_grow_with_the_file(identity: Path, tmp_path: Path) -> None:
    """300 MB through a process that may have 150 MB more than it begins with."""
    public = identity.read_text().split()[3]
    program = f"""
import resource
from pathlib import Path
from titik_collector.backups import sealing
folder = Path({str(tmp_path)!r})
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with (folder / "s").open("wb") as raw, sealing.sealing(raw, {public!r}) as sink:
    sink.write(b"x")
before = peak()
with (folder / "s").open("wb") as raw, sealing.sealing(raw, {public!r}) as sink:
    for _ in range(300):
        sink.write(bytes(1 << 20))
sealing.unseal(folder / "s", folder / "o", Path({str(identity)!r}))
assert (folder / "o").stat().st_size == 300 << 20
print((peak() - before) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": "agent:broker"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "" == done.stderr
    assert int(done.stdout) < 20


def test_a_wrong_key_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """It has the right letters, and a wrong checksum."""
    with (
        pytest.raises(SealError, match="is no public key of age"),
        (tmp_path / "s").open("wb") as raw,
        sealing.sealing(raw, "age1" + "q" * 58),
    ):
        pass
