"""A city in one file: what a backup holds, and that another machine goes on with it."""

import io
import os
import re
import shutil
import socket
import sqlite3
import stat
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.broker.enrolled import CONFIG, SAMPLE, City, Router
from tests.broker.running import RunningBroker
from titik_collector.broker_setup import broker_init
from titik_collector.broker_setup.broker_init import Request, init
from titik_collector.config.store_table import Store
from titik_collector.store import conservation, delivery_rows, notify_opening, remembered_rows
from titik_collector.store.delivery_rows import DeliveryRow
from titik_collector.store.lease import held
from titik_collector.store.sqlite import files, open_writer
from titik_collector.wording import when

pytestmark = pytest.mark.system


@pytest.fixture
def kept(city: City, tmp_path: Path) -> Path:
    """A backup of a city with a router, an engineer and a store; its keys are in `router`."""
    city.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    city.says("engineer", "add", "ina")
    city.enrol("tirosa-1", tmp_path / "router")
    with closing(open_writer(city.folder / "titik.db")) as db:
        db.execute("INSERT INTO router (name, registered, registered_ms) VALUES ('tirosa-1', 1, 1)")
    city.says("backup", str(tmp_path / "city.tar.gz"))
    return tmp_path / "city.tar.gz"


def rewritten(file: Path, name: str, content: bytes) -> None:
    """The backup with one more member."""
    old = file.with_suffix(".old")
    file.rename(old)
    with tarfile.open(old) as source, tarfile.open(file, "w:gz") as into:
        for member in source:
            into.addfile(member, source.extractfile(member))
        member = tarfile.TarInfo(name)
        member.size = len(content)
        into.addfile(member, io.BytesIO(content))


def test_routers_and_engineers_come_back(city: City, kept: Path, tmp_path: Path) -> None:
    """On another machine, with what they were given on the first, and nobody visits them."""
    ina = (city.folder / "broker/secrets/ina.sh").rename(tmp_path / "ina.sh")
    shutil.rmtree(city.folder / "broker")  # the first machine is gone
    there = City(tmp_path / "there")
    assert "1 routers" in there.says("restore", str(kept))
    with RunningBroker(there.broker):
        router = Router(tmp_path / "router/etc/titik", there.broker.ports.router)
        assert router.is_in()
        assert router.publish(SAMPLE)
        router.close()
        assert "mosquitto" in subprocess.run(
            ["sh", str(ina), "-C", "1", "-W", "60", "-t", "$SYS/broker/version"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert "session is ended" in there.says("router", "revoke", "tirosa-1")
    there.broker.authority.check()  # it can enrol and revoke


def test_the_store_is_the_same(city: City, kept: Path, tmp_path: Path) -> None:
    """Row by row, and its audit finds nothing."""
    there = City(tmp_path / "there")
    there.says("restore", str(kept))
    with closing(sqlite3.connect(city.folder / "titik.db")) as db:
        before = list(db.iterdump())
    with closing(open_writer(there.folder / "titik.db")) as db:
        assert before == list(db.raw.iterdump())
        assert [] == conservation.findings(db)


def test_a_folder_is_no_file_and_a_file_is_no_folder(city: City, kept: Path) -> None:
    """The error has the option that is missing, or that is too much."""
    assert "is a folder; add --keep 14" in city.says("backup", str(city.folder), status=2)
    output = city.says("backup", "--keep", "2", str(kept), status=2)
    assert "is a file; leave out --keep" in output


def test_a_store_that_heard_nobody_is_no_obstacle(city: City, kept: Path) -> None:
    """A collector that was started before the restore left it."""
    store = city.folder / "titik.db"
    for one in files(store):
        one.unlink(missing_ok=True)
    open_writer(store).close()
    assert f"restored {store}" in city.says("restore", "--only-store", str(kept))
    assert [store] == [one for one in files(store) if one.exists()]


def test_a_damaged_store_is_brought_back_as_the_remedy_reads(city: City, kept: Path) -> None:
    """Moved away with what lies beside it, and the backup's alone put in its place."""
    store = city.folder / "titik.db"
    before = (city.folder / "broker/data/dynamic-security.json").read_bytes()
    store.write_bytes(b"no store at all " * 512)
    output = city.says("status", status=1)
    assert "move the store and its -wal and -shm away" in output
    assert "titik restore --only-store FILE" in output
    wal, shm = city.folder / "titik.db-wal", city.folder / "titik.db-shm"
    wal.write_bytes(b"of the damaged one")  # SQLite would play it back into the other store
    shm.unlink(missing_ok=True)
    refused = city.says("restore", "--only-store", str(kept), status=1)
    assert f"there already: {store}, {wal}; move away first" in refused
    store.rename(city.folder / "damaged.db")
    assert f"there already: {wal};" in city.says("restore", "--only-store", str(kept), status=1)
    wal.rename(city.folder / "damaged.db-wal")
    assert "titik restore --only-store FILE" in city.says("restore", str(kept), status=1)
    with held(store):
        assert "holds this store" in city.says("restore", "--only-store", str(kept), status=1)
    assert f"restored {store}" in city.says("restore", "--only-store", str(kept))
    assert "tirosa-1" in city.says("status", status=None)
    assert before == (city.folder / "broker/data/dynamic-security.json").read_bytes()


def test_a_damaged_store_is_in_no_backup(city: City, tmp_path: Path) -> None:
    """And the older backup of that name, which is whole, stays."""
    store, file = city.folder / "titik.db", tmp_path / "kept.tar.gz"
    with closing(open_writer(store)) as db:
        db.executemany(
            "INSERT INTO quarantine (arrived_ms, topic, rule, sha256, head)"
            " VALUES (0, 't', 'r', 'h', zeroblob(4000))",
            [()] * 100,
        )
        city.says("backup", str(file))
    before = file.read_bytes()
    size = store.stat().st_size
    with store.open("r+b") as raw:  # every page from the middle on; the first ones are the schema's
        raw.seek(size // 8192 * 4096)
        raw.write(b"\xa5" * (size - size // 8192 * 4096))
    output = city.says("backup", str(file), status=1)
    assert f"{store}: is damaged" in output
    assert "titik restore --only-store FILE" in output
    assert before == file.read_bytes()
    assert [file] == list(tmp_path.glob("*kept*"))


def test_a_backup_says_what_is_in_it_and_what_is_not(city: City, tmp_path: Path) -> None:
    """A store that is not begun, and a broker that the file does not name."""
    file = tmp_path / "city.tar.gz"
    output = city.says("backup", str(file))
    assert "holds configuration and broker, with every key of the city: keep it secret" in output
    assert (
        f"warning: left out: the store, because there is none at {city.folder / 'titik.db'}"
        in output
    )
    with closing(open_writer(city.folder / "titik.db")):
        output = city.says("backup", str(file))
        assert "holds configuration, broker and store, with every key" in output
        assert "warning" not in output
        toml = city.folder / "titik.toml"
        toml.write_text(toml.read_text().replace('directory = "broker"', ""))
        output = city.says("backup", str(file))
    assert "holds configuration and store, without any key" in output
    assert (
        f"warning: left out: the broker with every key of the city, because {toml} names none"
        in output
    )
    assert 'set directory = "DIR" under [broker]' in output
    with tarfile.open(file) as tar:
        assert ["titik.toml", "titik.db"] == tar.getnames()


def test_the_newest_backups_are_kept(city: City, tmp_path: Path) -> None:
    """Of a folder's files those that a backup of ours made; all others stay."""
    folder = tmp_path / "kept"
    folder.mkdir()
    for name in ("titik-20260101T023000Z.tar.gz", "titik-20260102T023000Z.tar.gz", "mine.tar.gz"):
        (folder / name).touch()
    city.says("backup", "--keep", "2", str(folder))
    found = sorted(one.name for one in folder.iterdir())
    assert ["mine.tar.gz", "titik-20260102T023000Z.tar.gz"] == found[:2]
    assert 3 == len(found)
    assert tarfile.is_tarfile(folder / found[2])


def test_without_a_name_it_is_one_more_in_the_configured_folder(city: City, tmp_path: Path) -> None:
    """Where the configuration names none, the error has the key."""
    assert "set folder under [backup]" in city.says("backup", status=2)
    toml = city.folder / "titik.toml"
    toml.write_text(f'{toml.read_text()}\n[backup]\nfolder = "kept"\n')
    (tmp_path / "kept").mkdir()
    city.says("backup")
    (found,) = (tmp_path / "kept").iterdir()
    assert re.fullmatch(r"titik-\d{8}T\d{6}Z\.tar\.gz", found.name)


def test_the_store_of_another_city_is_refused(city: City, kept: Path) -> None:
    """And a backup that is cut short; nothing is left in the store's place."""
    store = city.folder / "titik.db"
    for one in city.folder.glob("titik.db*"):
        one.unlink()
    file = city.folder / "titik.toml"
    text = file.read_text()
    file.write_text(text.replace('name = "kupang"', 'name = "soe"'))
    output = city.says("restore", "--only-store", str(kept), status=1)
    assert "is of the city kupang, not of soe" in output
    file.write_text(text)
    kept.write_bytes(kept.read_bytes()[:-20])
    assert "is no whole backup" in city.says("restore", "--only-store", str(kept), status=1)
    assert not store.exists()
    assert [] == list(city.folder.rglob("*.restored*"))


def test_restoring_says_how_to_start(tmp_path: Path) -> None:
    """The broker stays in the foreground, so the collector needs a terminal of its own."""
    trial, there = City(tmp_path), City(tmp_path / "there")
    (tmp_path / "titik.toml").write_text(CONFIG)
    init(tmp_path / "broker", Request())
    trial.says("backup", str(tmp_path / "city.tar.gz"))
    lines = there.says("restore", str(tmp_path / "city.tar.gz")).splitlines()
    assert f"in one terminal: titik broker run {there.folder / 'broker'}" in lines
    assert f"in another:      titik collect --config {there.folder / 'titik.toml'}" in lines


def test_who_gets_units_needs_no_terminals(kept: Path, tmp_path: Path) -> None:
    """Two ways to start one broker would be one too many; the way to the units comes last."""
    there = City(tmp_path / "there")
    lines = there.says("restore", str(kept)).splitlines()
    assert [] == [one for one in lines if "terminal" in one or "titik collect" in one]
    assert lines[-2].startswith(("titik broker init", "install:  systemctl link"))
    assert "then let localhost point to this machine" == lines[-1]


def test_who_was_revoked_after_a_backup_is_revoked_again(
    city: City, kept: Path, tmp_path: Path
) -> None:
    """Restoring names the moment by what is in the file: a copy has another time."""
    city.says("router", "revoke", "tirosa-1")
    with tarfile.open(kept) as tar:
        made_s = int(max(one.mtime for one in tar))
    os.utime(kept, (0, 0))
    output = City(tmp_path / "there").says("restore", str(kept))
    (line,) = [one for one in output.splitlines() if one.startswith("who was revoked or removed")]
    moments = [when.show_named((made_s + s) * 1000, ZoneInfo("Asia/Makassar")) for s in (0, -60)]
    assert any(f"after the backup, {one}, has access again" in line for one in moments)
    assert "titik router revoke NAME" in line
    assert "has access again" not in City(tmp_path).says("backup", str(tmp_path / "2.tar.gz"))


def test_a_port_that_somebody_holds_is_named(
    city: City, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's own broker holds one after `apt-get install mosquitto`; ours would not start."""
    port = city.broker.ports.collector
    monkeypatch.setattr(broker_init, "PORT", port)
    monkeypatch.setattr(broker_init, "DEBIANS", tmp_path / "mosquitto.service")
    with socket.create_server(("127.0.0.1", port)):
        held = f"port {port} of 127.0.0.1 is not free, and the broker needs it: first stop what"
        lines = City(tmp_path / "there").says("restore", str(kept)).splitlines()
        assert f"{held} holds it" in lines
        (tmp_path / "mosquitto.service").symlink_to("/lib/systemd/system/mosquitto.service")
        output = City(tmp_path / "another").says("restore", str(kept))
        assert f"{held} holds it (if it is Debian's own: systemctl disable --now mos" in output
    assert held not in City(tmp_path / "third").says("restore", str(kept))


def test_it_is_taken_while_the_store_is_written(city: City, tmp_path: Path) -> None:
    """An open transaction is neither waited for nor in it."""
    city.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    with closing(open_writer(city.folder / "titik.db")) as db:
        db.execute("INSERT INTO router (name, registered, registered_ms) VALUES ('tirosa-1', 1, 1)")
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO router (name, registered, registered_ms) VALUES ('tirosa-2', 1, 1)")
        city.says("backup", str(tmp_path / "city.tar.gz"))
        db.execute("ROLLBACK")
    there = City(tmp_path / "there")
    there.says("restore", str(tmp_path / "city.tar.gz"))
    with closing(sqlite3.connect(there.folder / "titik.db")) as db:
        assert [("tirosa-1",)] == db.execute("SELECT name FROM router").fetchall()


def test_all_of_it_is_its_owners_alone(city: City, kept: Path, tmp_path: Path) -> None:
    """The file, and after restoring every key and password."""
    there = City(tmp_path / "there")
    there.says("restore", str(kept))
    assert 0o600 == stat.S_IMODE(kept.stat().st_mode)
    for path in sorted((tmp_path / "broker").rglob("*")):
        twin = there.folder / "broker" / path.relative_to(city.folder / "broker")
        if path.is_file() and twin.exists():
            was, now = path.stat(), twin.stat()
            assert (was.st_mode, was.st_uid, was.st_gid) == (now.st_mode, now.st_uid, now.st_gid)
    assert (there.folder / "broker/ca/ca.key").exists()
    assert 0o700 == stat.S_IMODE((there.folder / "broker/ca").stat().st_mode)


@pytest.mark.parametrize("place", ["titik.toml", "titik.db", "titik.db-wal", "broker"])
def test_nothing_is_written_over(kept: Path, tmp_path: Path, place: str) -> None:
    """Whatever is there already; SQLite would play another store's -wal into the restored one."""
    there = City(tmp_path / "there")
    there.folder.mkdir()
    (there.folder / place).write_text("mine")
    assert "is there already" in there.says("restore", str(kept), status=1)
    assert ["mine"] == [one.read_text() for one in there.folder.iterdir()]


def replaced(file: Path, name: str, content: bytes) -> None:
    """The backup with another content of one member."""
    old = file.with_suffix(".old")
    file.rename(old)
    with tarfile.open(old) as source, tarfile.open(file, "w:gz") as into:
        for member in source:
            found = source.extractfile(member)
            assert found is not None
            text = content if member.name == name else found.read()
            member.size = len(text)
            into.addfile(member, io.BytesIO(text))


WEB = """
[web]
tls_key = "live/page.key"
tls_cert = "live/page.crt"
basemap = "coast.geojson"
"""


def with_a_page(city: City) -> Path:
    """A key behind a link, as certificates that are renewed have it; the folder of both."""
    files = ("live/page.key", "live/page.crt", "coast.geojson", "archive.key")
    (city.folder / "live").mkdir()
    for name in files:
        (city.folder / name).write_text(name)
    (city.folder / "live/page.key").unlink()
    (city.folder / "live/page.key").symlink_to("../archive.key")
    toml = city.folder / "titik.toml"
    toml.write_text(toml.read_text() + WEB)
    return toml


def test_what_the_page_needs_comes_back(city: City, tmp_path: Path) -> None:
    """Its keys and its map; root prints how its user gets them."""
    with_a_page(city)
    city.says("backup", str(tmp_path / "city.tar.gz"))
    there = City(tmp_path / "there")
    output = there.says("restore", str(tmp_path / "city.tar.gz"))
    names = ("live/page.key", "live/page.crt", "coast.geojson")
    assert ["archive.key", *names[1:]] == [(there.folder / one).read_text() for one in names]
    assert {0o600} == {stat.S_IMODE((there.folder / one).stat().st_mode) for one in names}
    files = " ".join(str(there.folder / one) for one in names)
    assert (os.geteuid() == 0) == (f"chown titik-web: {files}" in output)
    assert 0o755 == stat.S_IMODE((there.folder / "live").stat().st_mode)


def test_streets_are_in_no_backup(city: City, tmp_path: Path) -> None:
    """They may be large and never change; both commands say so, and neither is an error."""
    toml, streets = city.folder / "titik.toml", city.folder / "city.pmtiles"
    toml.write_text(f'{toml.read_text()}\n[web]\nbasemap = "{streets.name}"\n')
    streets.write_bytes(b"PMTiles")
    file = tmp_path / "city.tar.gz"
    assert f"keep a copy of {streets}" in city.says("backup", str(file))
    with tarfile.open(file) as tar:
        assert not [one for one in tar.getnames() if one.startswith("web")]
    there = City(tmp_path / "there")
    output = there.says("restore", str(file))
    assert f"in no backup: {there.folder}/city.pmtiles; copy it there" in output


def test_what_the_page_has_already_is_kept_with_a_word(city: City, tmp_path: Path) -> None:
    """It may be newer."""
    with_a_page(city)
    city.says("backup", str(tmp_path / "city.tar.gz"))
    there = City(tmp_path / "there")
    there.folder.mkdir()
    (there.folder / "coast.geojson").write_text("newer")
    output = there.says("restore", str(tmp_path / "city.tar.gz"))
    assert f"kept, because it may be newer than the backup's: {there.folder}/coast" in output
    assert "newer" == (there.folder / "coast.geojson").read_text()
    assert 1 == output.count("kept, because")


def test_a_backup_that_is_cut_short_leaves_nothing_for_the_page(city: City, tmp_path: Path) -> None:
    """Else the next restore, of another one, would keep its key beside the other's certificate."""
    with_a_page(city)
    file, there = tmp_path / "city.tar.gz", City(tmp_path / "there")
    city.says("backup", str(file))
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    assert "no whole backup" in there.says("restore", str(file), status=1)
    names = ("live/page.key", "live/page.crt", "coast.geojson")
    assert not [one for one in names if (there.folder / one).exists()]
    assert [] == list(there.folder.rglob("*.restored*"))
    file.write_bytes(whole)
    there.says("restore", str(file))
    assert [] == list(there.folder.rglob("*.restored*"))


def test_a_file_of_the_page_that_is_away_stops_no_backup(city: City, tmp_path: Path) -> None:
    """It is named, and the command ends with an error."""
    with_a_page(city)
    (city.folder / "coast.geojson").unlink()
    output = city.says("backup", str(tmp_path / "city.tar.gz"), status=1)
    assert f"warning: left out: {city.folder}/coast.geojson, which cannot be read" in output
    assert "holds configuration and broker" in output
    there = City(tmp_path / "there")
    there.says("restore", str(tmp_path / "city.tar.gz"))
    assert (there.folder / "live/page.crt").exists()


def test_no_whole_backup_goes_while_something_is_left_out(city: City, tmp_path: Path) -> None:
    """Else after some nights no file would have it; those that lack it are bounded as well."""
    with_a_page(city)
    folder, map_ = tmp_path / "kept", city.folder / "coast.geojson"
    folder.mkdir()
    whole, part = "titik-20260101T023000Z.tar.gz", "titik-20260102T023000Z-part.tar.gz"
    for name in (whole, part):
        (folder / name).touch()
    map_.unlink()
    output = city.says("backup", "--keep", "1", str(folder), status=1)
    assert "warning: it takes the place of no backup that holds all" in output
    first, newer = sorted(one.name for one in folder.iterdir())
    assert whole == first
    assert newer.endswith("Z-part.tar.gz")
    assert part != newer
    map_.touch()
    city.says("backup", "--keep", "1", str(folder))
    kept = [one.name for one in folder.iterdir() if one.name != newer]
    assert [False] == ["-part" in one or one == whole for one in kept]


@pytest.mark.parametrize("key", ["path", "directory"])
def test_a_backup_writes_outside_of_its_folder_only_by_force(
    city: City, kept: Path, tmp_path: Path, key: str
) -> None:
    """Root restores what somebody handed over, and the file says itself where its parts go."""
    text = (city.folder / "titik.toml").read_text()
    old = {"path": 'path = "titik.db"', "directory": 'directory = "broker"'}[key]
    elsewhere = tmp_path / "etc" / "evil"
    elsewhere.parent.mkdir()
    replaced(kept, "titik.toml", text.replace(old, f'{key} = "{elsewhere}"').encode())
    there = City(tmp_path / "there")
    output = there.says("restore", str(kept), status=1)
    assert f"the backup puts {elsewhere}" in output
    assert "titik restore --force FILE" in output
    assert [] == list(elsewhere.parent.iterdir())
    there.says("restore", "--force", str(kept))
    assert elsewhere.exists()


def test_a_file_that_the_backup_does_not_hold_needs_no_force(city: City, tmp_path: Path) -> None:
    """An earlier version kept none of the page's files, and names where they are."""
    outside = tmp_path / "coast.geojson"
    toml, file = city.folder / "titik.toml", tmp_path / "city.tar.gz"
    toml.write_text(f'{toml.read_text()}\n[web]\nbasemap = "{outside}"\n')
    city.says("backup", str(file), status=1)
    City(tmp_path / "there").says("restore", str(file))
    outside.write_text("{}")
    city.says("backup", str(file))
    outside.unlink()
    there = City(tmp_path / "another")
    assert f"the backup puts {outside}" in there.says("restore", str(file), status=1)
    assert not outside.exists()


@pytest.mark.parametrize("option", [(), ("--only-store",)])
def test_what_is_no_database_is_not_put_in_the_stores_place(
    city: City, kept: Path, tmp_path: Path, option: tuple[str, ...]
) -> None:
    """The collector would open it."""
    replaced(kept, "titik.db", b"#!/bin/sh\n" * 1000)
    there = City(tmp_path / "there")
    if option:
        there = city
        for one in city.folder.glob("titik.db*"):
            one.unlink()
    output = there.says("restore", *option, str(kept), status=1)
    assert "as titik.db is no database; use another backup" in output
    assert [] == [one for one in there.folder.glob("*titik.db*") if one.suffix != ".lease"]


def test_a_damaged_file_is_refused(kept: Path, tmp_path: Path) -> None:
    """Cut short anywhere, it leaves nothing that looks like a city."""
    whole = kept.read_bytes()
    there = City(tmp_path / "there")
    for size in (0, 100, len(whole) // 2, len(whole) - 20):
        kept.write_bytes(whole[:size])
        assert "no whole backup" in there.says("restore", str(kept), status=1)
        assert [] == list(there.folder.rglob("*"))
    kept.write_bytes(whole)
    there.says("restore", str(kept))


@pytest.mark.parametrize("name", ["broker/../../evil", "/etc/evil", "broker/secrets/a/b", "evil"])
def test_a_member_that_belongs_elsewhere_is_refused(kept: Path, tmp_path: Path, name: str) -> None:
    """Nothing of it is written, there or anywhere."""
    rewritten(kept, name, b"evil")
    there = City(tmp_path / "there")
    assert "belongs in no backup" in there.says("restore", str(kept), status=1)
    assert [] == [*tmp_path.rglob("evil"), *there.folder.glob("titik.*")]


def test_what_was_sent_comes_back(city: City, kept: Path, tmp_path: Path) -> None:
    """So that a restored city sends nothing twice; what is there already is newer, and stays.

    Which store was served stays behind, so messages of before the restore expire.
    """
    row = DeliveryRow("store", 1, 5, None, "it", 5, "delivered")
    with notify_opening.opened(Store(path=city.folder / "titik.db")) as db, db.transaction():
        delivery_rows.add(db, [row])
        remembered_rows.write(db, remembered_rows.SERVED, "here")
    city.says("backup", str(kept))
    there = City(tmp_path / "there")
    there.says("restore", str(kept))
    newer = row._replace(message=2)
    restored = Store(path=there.folder / "titik.db")
    with notify_opening.opened(restored) as db, db.transaction():
        assert [row] == delivery_rows.since(db, 0)
        assert remembered_rows.read(db, remembered_rows.SERVED) is None
        delivery_rows.add(db, [newer])
    for one in files(there.folder / "titik.db"):
        one.unlink(missing_ok=True)
    there.says("restore", "--only-store", str(kept))
    with notify_opening.opened(restored) as db:
        assert [row, newer] == delivery_rows.since(db, 0)
