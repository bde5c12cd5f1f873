"""Outages that are longer than the spool, the queue or the store's patience."""

import json
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.system.city import City, Remembering, bytes_of, bytes_taken
from titik_collector.simulation.fleet import Node
from titik_wire import topics

pytestmark = pytest.mark.system

SMALL = 64 * 1024


def lowest(node: Node) -> int:
    """The first seq that is not acked."""
    return node.spool.held().get(node.run, (node.sampler.seq + 1, 0))[0]


def test_an_outage_longer_than_the_spool_costs_resolution_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Merged ranges tile all that was taken; totals are exact to the byte."""
    with City(tmp_path) as city:
        city.collect()
        node = city.node(interval_s=0.005, spool=Remembering(limit_bytes=SMALL))
        city.until(lambda: lowest(node) > 1, "one is acked")
        node.cut(1e6)
        city.until_taken(node, 400)
        assert node.spool.merged > 100
        node.cut_until = 0.0
        city.until_taken(node, 1)
        city.until_acked()
        books = city.close_books()
        taken = node.sampler.seq
        assert {node.run: (taken, taken, 0, 0, 0)} == books
        assert city.number("SELECT count(*) FROM sample WHERE seq > first_seq") > 10
        assert isinstance(node.spool, Remembering)
        with city.reader() as db:
            assert bytes_taken(node.spool.taken) == bytes_of(db, node.name)
            last = node.spool.taken[-1]
            rolled = db.execute(
                "SELECT sum(client_ms), sum(observed_ms) FROM rollup"
                " WHERE scope = 'router' AND length = '1m'"
            ).fetchone()
        assert (last.client_ms, last.observed_ms) == rolled
    assert "broker unreachable" in caplog.text


def test_what_a_spool_had_to_drop_is_declared_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Taken is stored plus lost exactly, and the lost are those that the router gave up."""
    with City(tmp_path) as city:
        city.collect()
        node = city.node(interval_s=0.02)
        city.until(lambda: lowest(node) > 1, "one is acked")
        node.cut(1e6)
        sent = node.sampler.seq  # up to here, some may be with the collector
        city.until_taken(node, 30)
        held = node.spool.keys()
        given_up = [key for key in held if key.seq > sent and key.seq % 3 == 0]
        for key in given_up:
            node.spool.discard(key)
        node.cut_until = 0.0
        city.until(lambda: settled(city, node.run), "the holes are known")
        city.until_acked()
        taken = node.sampler.seq
        books = city.close_books()
        assert {node.run: (taken, taken - len(given_up), 0, len(given_up), 0)} == books
        stored = {one[0] for one in city.ask("SELECT seq FROM sample")}
        assert set(range(1, taken + 1)) - {key.seq for key in given_up} == stored
        assert isinstance(node.spool, Remembering)
        with city.reader() as db:
            assert bytes_taken(node.spool.taken) == bytes_of(db, node.name)
    assert "broker unreachable" in caplog.text


def settled(city: City, run: str) -> bool:
    """The store knows of losses, and of nothing that only the router still has."""
    _, _, _, lost, in_spool = city.books().get(run, (0, 0, 0, 0, 0))
    return lost > 0 and in_spool == 0


def test_a_broker_whose_queue_was_too_short_loses_nothing(tmp_path: Path) -> None:
    """What it dropped in silence is sent again, because no ack covers it."""
    short = ("max_queued_messages 100000", "max_queued_messages 5")
    with City(tmp_path, conf=[short]) as city:
        city.collect().kill()
        node = city.node(interval_s=0.05)
        city.until_taken(node, 40)
        city.collect()
        city.until_acked()
        assert {node.run: (node.sampler.seq, node.sampler.seq, 0, 0, 0)} == city.close_books()
        assert isinstance(node.spool, Remembering)
        with city.reader() as db:
            assert bytes_taken(node.spool.taken) == bytes_of(db, node.name)


def test_a_locked_store_stops_acknowledgements_and_resumes(tmp_path: Path) -> None:
    """Routers are informed, memory stays bounded, nothing is lost; it goes on by itself."""
    with City(tmp_path) as city:
        collector = city.collect()
        node = city.node(interval_s=0.01)
        city.until_taken(node, 20)
        with city.engineer(topics.collector("main")) as engineer:
            assert "online" == json.loads(engineer.next()[1])["state"]
            with closing(sqlite3.connect(city.store, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                city.until(lambda: not engineer.received.empty(), "the collector says so")
                assert "offline" == json.loads(engineer.next()[1])["state"]
                stored = city.number("SELECT count(*) FROM sample")
                before = psutil.Process(collector.popen.pid).memory_info().rss
                city.until_taken(node, 150)
                assert stored == city.number("SELECT count(*) FROM sample")
                assert node.spool.spooled >= 150
                grown = psutil.Process(collector.popen.pid).memory_info().rss - before
                assert grown < 8 << 20
                other.execute("ROLLBACK")
            city.until(lambda: not engineer.received.empty(), "the collector works again")
            assert "online" == json.loads(engineer.next()[1])["state"]
        city.until_acked()
        assert {node.run: (node.sampler.seq, node.sampler.seq, 0, 0, 0)} == city.close_books()
        assert 1 == collector.output().count("store fails")
        assert 1 == collector.output().count("store works again")


def test_a_collector_waits_for_a_store_that_somebody_else_writes(tmp_path: Path) -> None:
    """Started while the store is locked, it says so once, and begins when it can."""
    with City(tmp_path) as city:
        assert 0 == city.collect().stop()
        output = (tmp_path / "collector.log").read_text
        with (
            closing(sqlite3.connect(city.store, isolation_level=None)) as other,
            ThreadPoolExecutor(1) as thread,
        ):
            other.execute("BEGIN IMMEDIATE")
            started = thread.submit(city.collect)
            city.until(lambda: "store is busy" in output(), "the collector says so")
            city.until(lambda: "is locked" in str(city.state()), "its state file says so")
            other.execute("ROLLBACK")
            assert not started.result(60).is_over
        assert 1 == output().count("store is busy")


def test_a_store_restored_from_an_older_copy_goes_on(tmp_path: Path) -> None:
    """What the copy lacks is lost and reported to be; no router sends for ever, none is stuck."""
    with City(tmp_path) as city:
        city.collect()
        node = city.node()
        city.until(lambda: city.number("SELECT count(*) FROM sample") > 5, "some are stored")
        assert city.collector is not None
        assert city.collector.stop() == 0
        copied = city.number("SELECT max(seq) FROM sample")
        shutil.copy(city.store, tmp_path / "copy")
        collector = city.collect()
        city.until_taken(node, 10)
        city.until(lambda: lowest(node) > copied + 5, "acks")
        collector.kill()
        gone = city.number("SELECT min(floor) FROM run")
        for one in tmp_path.glob("titik.db*"):
            one.unlink()
        shutil.copy(tmp_path / "copy", city.store)
        city.collect()
        city.until_taken(node, 5)
        city.until_acked()
        ((taken, stored, refused, lost, in_spool),) = city.close_books().values()
        assert (node.sampler.seq, 0, 0) == (taken, refused, in_spool)
        assert taken == stored + lost
        # The floor is what the collector had heard; the router may have let go of more.
        assert gone - copied <= lost < taken - copied
        assert isinstance(node.spool, Remembering)
        with city.reader() as db:
            assert bytes_taken(node.spool.taken) == bytes_of(db, node.name)
