"""A copied city, and a store that was brought back, over a real broker."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.system.city import City, Remembering

pytestmark = pytest.mark.system


def copied(city: City) -> Path:
    """The city's store as of now, as `cp` would have it of a stopped one."""
    copy = city.folder / "copy.db"
    with closing(sqlite3.connect(city.store)) as db, closing(sqlite3.connect(copy)) as into:
        db.backup(into)
    return copy


def test_a_copied_city_does_not_collect_beside_the_first(tmp_path: Path) -> None:
    """It stops, names the other store, and takes nothing from it."""
    with City(tmp_path) as city:
        city.collect()
        node = city.node()
        city.until_taken(node, 5)
        copy = copied(city)
        beside = city.file.with_name("copy.toml")
        text = city.file.read_text().replace(str(city.store), str(copy))
        beside.write_text(text.replace(str(city.state_file), str(tmp_path / "copy.state")))
        status, output = city.titik("collect", "--config", str(beside))
        assert status == 1
        assert "another collector is at work here" in output
        assert not (tmp_path / "copy.state").exists()
        city.until_taken(node, 5)
        city.until_acked()
        assert city.collector is not None
        assert "connection lost" not in city.collector.output()
        assert {node.run: (node.sampler.seq, node.sampler.seq, 0, 0, 0)} == city.close_books()


def test_what_a_restored_store_lacks_is_counted_before_its_acks_are_written_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a run that goes on, and of one that the backup never heard of and that is over."""
    with City(tmp_path, "tirosa-1", "tirosa-2") as city:
        city.collect()
        node = city.node()
        city.until_taken(node, 5)
        before = copied(city)
        ending = city.node("tirosa-2")
        city.until_taken(ending, 5)
        city.until_taken(node, 10)
        city.until_acked()
        acked = ending.sampler.seq
        city.power_cut(ending)
        assert city.collector is not None
        city.collector.stop()
        for end in ("", "-wal", "-shm"):
            city.store.with_name(city.store.name + end).unlink(missing_ok=True)
        shutil.move(before, city.store)
        city.collect()
        node.is_sampling = True
        city.until_taken(node, 3)
        city.until_acked()
        books = city.close_books()

        taken, stored, refused, lost, in_spool = books[node.run]
        assert (node.sampler.seq, 0, 0) == (taken, refused, in_spool)
        assert stored + lost == taken
        assert lost > 0
        assert "broker unreachable" in caplog.text
        assert (acked, 1, 0, acked - 1, 0) == books[ending.run]  # the broker has the newest
        assert "lost with a newer state of this store router=tirosa-2" in city.collector.output()
        assert (
            "had been acknowledged by a newer state"
            in city.titik("db", "check", "--config", str(city.file))[1]
        )


def test_a_door_that_does_not_open_stops_nobody(tmp_path: Path) -> None:
    """The engineers' listener lets nobody read: it is logged once, and the collector works."""
    with City(tmp_path) as city:
        text = city.directory.config_file.read_text()
        port = city.directory.ports.engineer
        lines = [one for one in text.splitlines() if not one.startswith(f"listener {port} ")]
        assert len(lines) < len(text.splitlines())
        city.directory.config_file.write_text("\n".join(lines))
        city.broker.stop()
        city.broker.start()
        city.collect()
        node = city.node()
        city.until_taken(node, 3)
        city.until_acked()
        assert city.collector is not None
        assert 1 == city.collector.output().count("without checking for another collector")


def empty_at(city: City) -> Path:
    """The same city with an empty store, as after an edit of store.path; the first one rests."""
    assert city.collector is not None
    city.collector.stop()
    beside = city.file.with_name("moved.toml")
    beside.write_text(city.file.read_text().replace(str(city.store), str(city.folder / "new.db")))
    return beside


def test_an_empty_store_does_not_take_the_place_of_another(tmp_path: Path) -> None:
    """It is refused with the command that copies the other one, after which nothing is lost."""
    with City(tmp_path) as city:
        city.collect()
        node = city.node()
        city.until_taken(node, 5)
        city.until_acked()
        moved = empty_at(city)
        for _ in range(2):  # what the first try made is empty still
            status, output = city.titik("collect", "--config", str(moved))
            assert status == 1
            assert "titik store copy OLD titik.toml" in output
        _, output = city.titik("status", "--config", str(moved))
        assert "it begins an empty store" in " ".join(output.split())
        status, _ = city.titik("store", "copy", str(city.store), str(moved))
        assert status == 0
        moved.replace(city.file)
        city.store = city.folder / "new.db"
        city.collect()
        node.is_sampling = True
        city.until_taken(node, 3)
        city.until_acked()
        assert {node.run: (node.sampler.seq, node.sampler.seq, 0, 0, 0)} == city.close_books()


def test_an_empty_store_is_begun_on_purpose(tmp_path: Path) -> None:
    """The other one is gone for good: what it had acknowledged counts as lost."""
    with City(tmp_path) as city:
        city.collect()
        node = city.node()
        city.until_taken(node, 5)
        city.until_acked()
        moved = empty_at(city)
        assert 1 == city.titik("collect", "--config", str(moved))[0]
        assert 0 == city.titik("store", "begin", "--config", str(moved))[0]
        moved.replace(city.file)
        city.store = city.folder / "new.db"
        city.collect()
        node.is_sampling = True
        city.until_taken(node, 3)
        city.until_acked()
        taken, stored, refused, lost, in_spool = city.close_books()[node.run]
        assert (node.sampler.seq, 0, 0) == (taken, refused, in_spool)
        assert stored + lost == taken
        assert lost > 0


def bring_back(city: City, copy: Path) -> None:
    """An older state of the store, as `titik restore --only-store` puts it there."""
    assert city.collector is not None
    city.collector.stop()
    for end in ("", "-wal", "-shm"):
        city.store.with_name(city.store.name + end).unlink(missing_ok=True)
    shutil.copy(copy, city.store)
    city.collect()


def test_a_restored_store_gets_back_what_routers_keep(tmp_path: Path) -> None:
    """Twice, from the same backup: nothing is lost, and nothing is counted twice."""
    with City(tmp_path) as city:
        city.collect()
        node = city.node(spool=Remembering(tmp_path / "spool"))
        city.until_taken(node, 5)
        city.until_acked()
        copy = copied(city)
        for _ in range(2):
            node.is_sampling = True
            city.until_taken(node, 30)
            city.until_acked()
            bring_back(city, copy)
            node.is_sampling = True
            city.until_taken(node, 20)  # one in sixteen says what is kept
            city.until(lambda: not missing(city, node.run), "all is stored again")
        city.until_acked()

        assert {node.run: (node.sampler.seq, node.sampler.seq, 0, 0, 0)} == city.close_books()
        assert (
            "at most 0 of them are lost" in city.titik("db", "check", "--config", str(city.file))[1]
        )


@pytest.mark.usefixtures("caplog")
def test_a_new_store_gets_what_routers_keep(tmp_path: Path) -> None:
    """The disk is gone, and no backup is there: the run that is over comes back too."""
    with City(tmp_path) as city:
        city.collect()
        before = city.node(spool=Remembering(tmp_path / "spool"))
        city.until_taken(before, 20)
        city.until_acked()
        city.power_cut(before)
        before.spool.close()
        node = city.node(spool=Remembering(tmp_path / "spool"))
        city.until_taken(node, 20)
        city.until_acked()
        assert city.collector is not None
        city.collector.stop()
        for end in ("", "-wal", "-shm"):
            city.store.with_name(city.store.name + end).unlink(missing_ok=True)
        assert 0 == city.titik("store", "begin", "--config", str(city.file))[0]
        city.collect()
        node.is_sampling = True
        city.until_taken(node, 20)
        for run in (before.run, node.run):
            city.until(lambda run=run: not missing(city, run), "all is stored again")  # type: ignore[misc]
        city.until_acked()
        books = city.close_books()

        assert (node.sampler.seq, node.sampler.seq, 0, 0, 0) == books[node.run]
        assert (before.sampler.seq, before.sampler.seq, 0, 0, 0) == books[before.run]


def missing(city: City, run: str) -> int:
    """How many samples of a run the store has heard of and lacks."""
    with city.reader() as db:
        rows = db.execute("SELECT taken - stored FROM v_conservation WHERE run = ?", (run,))
        return sum(int(row[0]) for row in rows) if rows else 1
