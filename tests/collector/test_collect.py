"""What the collector does around a store that fails and a broker that was away."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import pytest

from tests.collector.build import BOOT, RUN, T0, received, sample
from tests.collector.test_packed_minutes import of_schema_17, rows_of
from tests.collector.test_registry import HEAD
from tests.collector.test_rollup_topics import H0, HOUR_MS, finish
from titik_collector.assemble import Parts
from titik_collector.broker_link.connection import Link
from titik_collector.collect import Collector
from titik_collector.config import model
from titik_collector.ingest.items import to_item
from titik_collector.ingest.saved import Saved
from titik_collector.live import rollup_topics
from titik_collector.queries import events
from titik_collector.received import Item, StatusReceived
from titik_collector.store import sqlite
from titik_collector.store.database import StoreError
from titik_collector.store.sqlite import SqliteDatabase
from titik_collector.timeline.server_clock import Jump
from titik_mqtt.endpoint import Endpoint
from titik_wire import codec, topics
from titik_wire.city_messages import Now
from titik_wire.messages import Status

NOBODY = Endpoint("127.0.0.1", 1)  # the tests call what a connection would call
SITE = '[[site]]\nname = "park"\ntitle = "Park"\n'
ROUTER = '[[router]]\nname = "park-1"\nsite = "park"\n'
HILL = '[[site]]\nname = "hill"\ntitle = "Hill"\n'
MOVED = ROUTER.replace('site = "park"', 'site = "hill"')


class Watched(Collector):
    """A collector that keeps what it publishes."""

    def __init__(self, file: Path, db: SqliteDatabase) -> None:
        super().__init__(Parts(model.load(file), db, NOBODY))
        self.parts.now.hears()
        self.published: list[tuple[str, bytes]] = []
        self.parts.link.publish = self._keep  # type: ignore[method-assign]
        # These tests stamp as they like; a clock that settles meanwhile would depend on the load.
        self.parts.clock.decide = lambda: None  # type: ignore[method-assign]

    def _keep(self, topic: str, payload: bytes, retain: bool) -> None:
        assert retain or topic.startswith(f"{topics.PREFIX}/rollup/")
        self.published.append((topic, payload))

    def connected(self) -> None:
        self.parts.connected()
        self.parts.acks_again.step(0)
        self.parts.removed.step(0)

    def reload(self) -> None:
        """As often as it takes to believe an edit."""
        for _ in range(2):
            self.parts.reload.step(0)
        if self.parts.removed.wanted:
            self.parts.removed.step(0)

    def publish_now(self) -> None:
        """What is new of now."""
        if self.parts.now.due(0):
            self.parts.now.step(0)

    def now(self) -> list[Now]:
        """Each `now`, in the order published; forgets them."""
        messages = [codec.decode(topic, payload) for topic, payload in self.published if payload]
        self.published.clear()
        return [one for one in messages if isinstance(one, Now)]

    def known(self) -> list[tuple[str, int]]:
        """Of how many routers each `now` was."""
        return [(one.scope, one.routers_known) for one in self.now()]

    def idle(self) -> None:
        """What is done in a turn in which nothing came."""
        self.parts.jobs.run(idle=True)

    def publish_windows(self) -> None:
        if self.parts.windows.due(0):
            self.parts.windows.step(0)

    def save(self, items: list[Item]) -> Saved:
        return self.parts.batches.save(items)

    def roll(self) -> None:
        """Everything that is due."""
        while self.parts.upkeep.step(1):
            pass

    def hear(self, state: Literal["online", "offline"], at_ms: int) -> None:
        """The router's status, as the broker has it."""
        status = Status("park-1", state, RUN, 1, BOOT, "0.1.0")
        self.parts.batches.save([StatusReceived(status, at_ms)])

    def tick(self, listening_ms: int) -> None:
        self.parts.hearing.since_ms = listening_ms
        self.parts.tick.step(0)

    def routers(self) -> list[str]:
        return [name for _, name, _ in self.parts.registry.routers()]


@contextmanager
def collecting(file: Path) -> Iterator[tuple[Watched, SqliteDatabase]]:
    with closing(sqlite.open_writer(file.with_name("titik.db"))) as db:
        db.execute("PRAGMA busy_timeout = 0")
        yield Watched(file, db), db


def test_an_edit_of_the_registry_outlasts_a_store_that_fails(tmp_path: Path) -> None:
    """The file is read once; what it says is kept until the store takes it."""
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE)
    with collecting(file) as (collector, _):
        file.write_text(HEAD + SITE + ROUTER)
        with closing(sqlite3.connect(tmp_path / "titik.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError):
                collector.reload()
        collector.reload()
        collector.publish_now()

        assert ["park-1"] == collector.routers()
        assert [("router", 1), ("site", 1), ("city", 1)] == collector.known()


def test_an_edit_of_the_store_counts_from_the_next_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The collector stays where it is, and logs what to type; another edit logs nothing of it."""
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE)
    with collecting(file) as (collector, _):
        file.write_text(HEAD + SITE + ROUTER)
        collector.reload()
        assert "next start" not in caplog.text
        file.write_text(HEAD.replace("titik.db", "other.db") + SITE + ROUTER)
        collector.reload()
    assert f"copy the store with `titik store copy OLD {file}`, start it again" in caplog.text


def test_routers_that_cannot_be_read_after_an_edit_are_reported_later(tmp_path: Path) -> None:
    """The edit is in the store then; the sums of its routers are not lost."""
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE)
    with collecting(file) as (collector, db):
        file.write_text(HEAD + SITE + ROUTER)
        db.raw.set_authorizer(no_presence)
        collector.reload()
        with pytest.raises(StoreError):
            collector.publish_now()
        db.raw.set_authorizer(None)
        collector.publish_now()

        assert [("router", 1), ("site", 1), ("city", 1)] == collector.known()


def no_presence(_: int, table: str | None, *_more: object) -> int:
    """The table cannot be read."""
    return sqlite3.SQLITE_DENY if table == "presence" else sqlite3.SQLITE_OK


def test_a_router_removed_while_nobody_was_connected_is_cleared(tmp_path: Path) -> None:
    """Its last `now` is retained, and would say for ever that it is online."""
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE + ROUTER)
    with collecting(file):
        pass
    file.write_text(HEAD + SITE)
    with collecting(file) as (collector, _):
        collector.connected()

        assert (topics.now("router", "park-1"), b"") in collector.published
        assert (topics.ack("park-1"), b"") in collector.published


@pytest.mark.parametrize(
    ("after", "known"),
    [(MOVED, {"park": 0, "hill": 1, "kupang": 1}), ("", {"park": 0, "hill": 0, "kupang": 0})],
)
@pytest.mark.parametrize("running", [True, False])
def test_a_site_that_lost_its_last_router_says_so(
    tmp_path: Path, after: str, known: dict[str, int], running: bool
) -> None:
    """Its `now` is retained, and would keep the numbers of a router that stands elsewhere."""
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE + HILL + ROUTER)
    with collecting(file) as (collector, _):
        if running:
            file.write_text(HEAD + SITE + HILL + after)
            collector.reload()
            collector.publish_now()
    if not running:
        file.write_text(HEAD + SITE + HILL + after)
        with collecting(file) as (collector, _):
            collector.connected()
            collector.publish_now()

    assert known == {
        one.name: one.routers_known for one in collector.now() if one.scope != "router"
    }


def remove_and_add(file: Path, collector: Watched) -> None:
    """The router, as an operator edits the file twice."""
    for text in (HEAD + SITE, HEAD + SITE + ROUTER):
        file.write_text(text)
        collector.reload()


def test_a_router_added_again_was_not_away_meanwhile(tmp_path: Path) -> None:
    """Nobody listened to it; connected all along, it is online and had no outage."""
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE + ROUTER)
    with collecting(file) as (collector, db):
        collector.hear("online", 1)
        remove_and_add(file, collector)
        for _ in range(2):
            collector.tick(1)
        collector.hear("online", 2)

        assert [("online",)] == db.execute("SELECT state FROM presence").fetchall()
        assert [] == db.execute("SELECT * FROM outage").fetchall()


@pytest.mark.parametrize(
    ("offline_s", "outages"),
    [(1, []), (3600, [(0, 1)])],
    ids=["by its removal", "an hour before"],
)
def test_an_outage_ends_where_the_router_is_removed(
    tmp_path: Path, offline_s: int, outages: list[tuple[int, int]]
) -> None:
    """A removal cuts the connection, which is none; nobody can know when another would end."""
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE + ROUTER)
    now_ms = time.time_ns() // 1_000_000
    with collecting(file) as (collector, db):
        collector.hear("online", now_ms - 7_200_000)
        collector.hear("offline", now_ms - offline_s * 1000)
        remove_and_add(file, collector)
        collector.hear("online", now_ms + 1_000_000)

        assert [("online",)] == db.execute("SELECT state FROM presence").fetchall()
        assert (
            outages
            == db.execute(
                "SELECT to_ms IS NULL, to_ms BETWEEN ? AND ? + 60000 FROM outage", (now_ms, now_ms)
            ).fetchall()
        )


def test_a_router_added_again_while_it_is_off_is_away_from_then_on(tmp_path: Path) -> None:
    """Its will came while nobody listened to it."""
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE + ROUTER)
    with collecting(file) as (collector, db):
        collector.hear("online", 1)
        remove_and_add(file, collector)
        collector.hear("offline", 2)

        assert [("offline",)] == db.execute("SELECT state FROM presence").fetchall()
        assert [(2, None)] == db.execute("SELECT from_ms, to_ms FROM outage").fetchall()


def test_a_revoked_router_has_no_outage_and_no_crash(tmp_path: Path) -> None:
    """It is `revoked`, from its certificate's end to its return with a new one."""
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE + ROUTER)
    now_ms = time.time_ns() // 1_000_000
    revoked = ROUTER + "revoked = 2026-11-23T08:00:00+08:00\n"
    with collecting(file) as (collector, db):
        collector.hear("online", now_ms - 7_200_000)
        collector.hear("offline", now_ms)  # its session was ended before the file was read
        file.write_text(HEAD + SITE + revoked)
        collector.reload()
        collector.hear("offline", now_ms + 1)
        collector.publish_now()
        (shown,) = (one for one in collector.now() if one.scope == "router")
        file.write_text(HEAD + SITE + ROUTER)
        collector.reload()
        back = Status("park-1", "online", "0" * 16, 1, BOOT, "0.1.0")
        collector.save([StatusReceived(back, now_ms + 9)])
        collector.publish_now()
        (again,) = (one for one in collector.now() if one.scope == "router")

        assert ("offline", True) == (shown.state, shown.revoked)
        assert ("online", None) == (again.state, again.revoked)
        assert [] == db.execute("SELECT * FROM outage").fetchall()
        found = events.gather(db, 0, now_ms + 10)
        assert ["revoked"] == [one.kind for one in found if one.kind in ("outage", "revoked")]


CITY_HOUR = topics.rollup("1h", "city", "kupang")


@pytest.fixture
def connected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration of a collector that has its broker."""
    monkeypatch.setattr(Link, "connected", True)
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE + ROUTER)
    return file


def test_finished_windows_are_reported_again_on_each_connect(connected: Path) -> None:
    """The broker may have come back empty, or the link have broken as the day was published."""
    with collecting(connected) as (collector, db):
        collector.roll()
        finish(db, "1h", H0, HOUR_MS)
        collector.publish_windows()
        for _ in range(2):
            collector.connected()
            for _ in range(2):
                collector.idle()

        assert [CITY_HOUR] * 3 == [one for one, _ in collector.published if one == CITY_HOUR]


def test_the_city_is_reported_when_it_is_whole_and_waits_for_nobody_for_ever(
    connected: Path,
) -> None:
    """A router that never ends to send what is old keeps nothing back."""
    messages = []
    with collecting(connected) as (collector, db):
        for number in range(3):  # there may be more to compute; there is not; there is for long
            finish(db, "1h", H0 + number * HOUR_MS, HOUR_MS)
            if number == 1:
                collector.roll()
            if number == 2:
                collector.parts.upkeep.is_behind = True
                collector.parts.upkeep._hold_s = 0
            collector.publish_windows()
            messages.append(sum(one == CITY_HOUR for one, _ in collector.published))

    assert [0, 2, 3] == messages


class Unfinished:
    """Rollups that have more to do after every step."""

    def work(self, *_: object) -> bool:
        return True


def test_a_sum_is_not_published_while_what_it_is_made_of_is_computed(connected: Path) -> None:
    """A batch that brought the past makes sums wait in the same turn."""
    with collecting(connected) as (collector, db):
        collector.roll()
        finish(db, "1h", H0, HOUR_MS)
        collector.parts.upkeep._rollups = Unfinished()  # type: ignore[assignment]
        collector.idle()

        assert [] == [one for one, _ in collector.published if one == CITY_HOUR]


def test_what_waited_at_the_routers_is_waited_for_from_the_connect_on(connected: Path) -> None:
    """However long the broker was away, the city is not informed of the first routers alone."""
    with collecting(connected) as (collector, db):
        collector.parts.upkeep._whole_at -= 3600
        collector.connected()
        finish(db, "1h", H0, HOUR_MS)
        collector.publish_windows()

        assert [] == [one for one, _ in collector.published if one == CITY_HOUR]


def test_a_router_removed_before_its_windows_were_reported_again_stays_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of what is to be published again is as old as the connection."""
    monkeypatch.setattr(Link, "connected", True)
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE + ROUTER)
    topic = topics.rollup("1h", "router", "park-1")
    with collecting(file) as (collector, db):
        finish(db, "1h", H0, HOUR_MS, "router", 1)
        db.execute("DELETE FROM rollup_news")
        collector.connected()
        file.write_text(HEAD + SITE)
        collector.reload()
        collector.idle()

        assert [b""] == [payload for one, payload in collector.published if one == topic]


def test_many_changes_wait_for_nothing_while_nothing_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fleet of 10,000 has more each minute than leave at the usual times."""
    monkeypatch.setattr(Link, "connected", True)
    monkeypatch.setattr(rollup_topics, "MAX_PUBLISHED", 2)
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE + ROUTER)
    topic = topics.rollup("1h", "city", "kupang")
    with collecting(file) as (collector, db):
        collector.roll()
        for number in range(5):
            finish(db, "1h", H0 + number * HOUR_MS, HOUR_MS)
        for _ in range(3):
            collector.idle()

        assert 5 == sum(one == topic for one, _ in collector.published)


def test_a_tick_that_fails_is_taken_back(tmp_path: Path) -> None:
    """What was not written is noticed again."""
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE + ROUTER)
    with collecting(file) as (collector, db):
        db.execute(
            "INSERT INTO presence (router_id, state, said, since_ms)"
            " VALUES (1, 'online', 'online', 0)"
        )
        collector.parts.presence.forget()  # it was read before
        db.execute(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON main.presence"
            " BEGIN SELECT raise(ABORT, 'disk full'); END"
        )
        with pytest.raises(StoreError):
            collector.tick(1)
        db.execute("DROP TRIGGER full")
        collector.tick(1)

        assert [("silent",)] == db.execute("SELECT state FROM presence").fetchall()


def test_a_collector_that_ends_leaves_nothing_to_be_computed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """So that a store without a collector shows what it holds; a store that fails holds up none."""
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE + ROUTER)
    with collecting(file) as (collector, db):
        db.execute("INSERT INTO dirty VALUES (1, ?, ?)", (T0, T0))
        with closing(sqlite3.connect(tmp_path / "titik.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            collector.close()
        left = db.execute("SELECT count(*) FROM dirty").fetchone()
        collector.close()

        assert 1 == caplog.text.count("at the next start")
        assert [(1,), (0,)] == [left, db.execute("SELECT count(*) FROM dirty").fetchone()]


def test_a_router_s_wrong_clock_is_logged_once(
    connected: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And again when it was right meanwhile."""
    with collecting(connected) as (collector, _):
        for ahead_ms in (-18_000_000, -18_000_100, 20, -40_000):
            collector.parts.timekeeping.hear(1, "park-1", ahead_ms)
    output = [one.getMessage() for one in caplog.records if "NTP clock" in one.getMessage()]
    assert ["off_s=-18000", "off_s=-40"] == [line.split()[-1] for line in output]


@pytest.mark.thorough
def test_what_comes_after_a_jump_that_could_not_be_written_is_not_moved(
    connected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the right stamp already; the jump is of what was stamped before."""
    with collecting(connected) as (collector, db):
        now_ms = collector.parts.clock.now_ms()
        before, after = (
            to_item(received(sample(seq, router="park-1"), live=True), now_ms) for seq in (1, 2)
        )
        collector.save([before])
        collector.parts.timekeeping._jumps.append(
            Jump(now_ms - 1000, 500)
        )  # not written when time jumped
        monkeypatch.setattr(collector.parts.ingest, "step", lambda _: collector.save([after]))
        collector.turn()
        arrived = db.execute("SELECT arrived_ms FROM sample ORDER BY seq").fetchall()
        assert [(now_ms + 500,), (now_ms,)] == arrived


@pytest.mark.thorough
def test_a_collector_unpacks_minutes_of_an_earlier_version(tmp_path: Path) -> None:
    """Between messages; what restates the past waits for the end of it."""
    file = tmp_path / "titik.toml"
    file.write_text(HEAD)
    before = of_schema_17(tmp_path / "titik.db")
    with collecting(file) as (collector, db):
        collector.roll()
        assert not collector.parts.restating.due(0)
        for _ in range(1000):
            if collector.parts.unpacking.is_over:
                break
            collector.idle()
        assert collector.parts.restating.due(0)
        assert before == rows_of(db)
