"""A fault of the server: what the collector says of itself, and of routers meanwhile."""

import contextlib
import json
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.broker.running import Client
from tests.system.city import City, wall_ms
from titik_collector.own_state import collector_state
from titik_wire import topics

pytestmark = pytest.mark.system

STATUS = topics.collector("main")
BEAT = topics.beat("main")
ABOUT = "titik/v1/collector/main/#"
NOW = topics.now("router", "tirosa-1")
ROUTERS = ("tirosa-1", "tirosa-2")
LEAST_MS = 10_000  # a gap as long as this is an event


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own for the store, 16 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Until nothing more fits."""
    filler = disk / "filler"
    with open(filler, "wb", 0) as full, contextlib.suppress(OSError):
        while True:
            full.write(bytes(4096))
    return filler


def until_says(city: City, engineer: Client, state: str) -> dict[str, object]:
    """The first status with this state."""
    found: list[dict[str, object]] = []

    def wanted(_: str, payload: bytes) -> bool:
        found.append(json.loads(payload))
        return found[-1]["state"] == state

    city.until_heard(engineer, wanted, f"the collector says {state}")
    return found[-1]


def test_a_beat_costs_no_router_anything(tmp_path: Path) -> None:
    """Engineers hear it; a router hears one status, however long nothing changes."""
    with City(tmp_path) as city, city.impostor("tirosa-1") as router:
        city.collect()
        router.subscribe(topics.ALL_COLLECTORS)
        with city.engineer(BEAT) as engineer:
            for _ in range(2):
                city.until_heard(engineer, lambda topic, _: topic == BEAT, "a beat")
        heard = [router.received.get(timeout=60)]
        while not router.received.empty():
            heard.append(router.received.get())
    online = [topic for topic, payload in heard if json.loads(payload)["state"] == "online"]
    assert [STATUS] == online


def storing(city: City) -> bool | None:
    """What the state file says."""
    state = city.state()
    return None if state is None else state.storing


def test_a_full_disk_is_reported_and_the_connection_stays(tmp_path: Path, disk: Path) -> None:
    """Status and state file name the disk; nothing is lost, and it goes on by itself."""
    with City(tmp_path, store=disk / "titik.db") as city:
        collector = city.collect()
        node = city.node(interval_s=0.05)
        city.until(lambda: storing(city) is True, "the state file says that all is well")
        with city.engineer(ABOUT) as engineer:
            filler = fill(disk)
            output = until_says(city, engineer, "offline")
            assert (False, "database or disk is full") == (output["storing"], output["problem"])
            city.until(lambda: storing(city) is False, "the state file says so")
            state = city.state()
            assert state is not None
            assert (True, "database or disk is full") == (state.connected, state.problem)
            beat = output["beat"]
            assert isinstance(beat, int)

            def beats(_: str, payload: bytes) -> bool:
                return bool(json.loads(payload)["beat"] >= beat + 2)

            city.until_heard(engineer, beats, "it reports on")
            filler.unlink()
            output = until_says(city, engineer, "online")
            assert (True, None) == (output["storing"], output.get("problem"))
        city.until_acked()
        assert {node.run: (node.sampler.seq, node.sampler.seq, 0, 0, 0)} == city.close_books()
        assert 1 == collector.output().count("broker connected")
        assert 0 == collector.output().count("will retry")
        assert city.state() is None


def test_an_idle_city_notices_its_full_disk_once(tmp_path: Path, disk: Path) -> None:
    """Nothing has to come for it; and what writes nothing is no proof that the store works."""
    with City(tmp_path, store=disk / "titik.db") as city:
        collector = city.collect()
        city.until(lambda: storing(city) is True, "the state file says that all is well")
        filler = fill(disk)
        city.until(lambda: storing(city) is False, "the state file says so")
        filler.unlink()
        city.until(lambda: storing(city) is True, "the state file says that all is well again")
        assert 1 == collector.output().count("store fails")
        assert 1 == collector.output().count("store works again")


def test_a_locked_store_is_named(tmp_path: Path) -> None:
    """Another process holds it; the file says since when."""
    with City(tmp_path) as city:
        city.collect()
        city.node()
        city.until(lambda: storing(city) is True, "the state file says that all is well")
        with closing(sqlite3.connect(city.store, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            city.until(lambda: storing(city) is False, "the state file says so")
            state = city.state()
            assert state is not None
            assert "database is locked" == state.problem
            other.execute("ROLLBACK")
        city.until(lambda: storing(city) is True, "the store works again")


@pytest.fixture
def dying_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that the kernel makes read-only as soon as it finds an error."""
    image, disk = tmp_path / "image", tmp_path / "disk"
    image.write_bytes(b"")
    with open(image, "r+b") as opened:
        opened.truncate(32 << 20)
    disk.mkdir()
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop,errors=remount-ro", str(image), str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_store_that_became_read_only_is_named(tmp_path: Path, dying_disk: Path) -> None:
    """The connection stays, the reason is the disk's, and routers are unknown."""
    with City(tmp_path, store=dying_disk / "titik.db") as city:
        collector = city.collect()
        city.node()
        city.until(lambda: storing(city) is True, "the state file says that all is well")
        with city.engineer(NOW) as engineer:
            until_now(city, engineer, "online")
            subprocess.run(["mount", "-o", "remount,abort", str(dying_disk)], check=True)
            city.until(lambda: storing(city) is False, "the state file says so")
            state = city.state()
            assert state is not None
            assert state.connected
            assert state.problem is not None
            assert "may this user write it" in state.problem or "I/O error" in state.problem
            until_now(city, engineer, "unknown")
        assert 1 == collector.output().count("broker connected")


def until_now(city: City, engineer: Client, state: str) -> None:
    """Until a router's `now` says this; unknown has no figures."""

    def wanted(topic: str, payload: bytes) -> bool:
        now = json.loads(payload)
        return topic == NOW and now["state"] == state and ("clients" in now) == (state == "online")

    city.until_heard(engineer, wanted, f"now says {state}")


def presence(city: City) -> set[object]:
    """The states of all routers in the store."""
    return {state for (state,) in city.ask("SELECT state FROM presence")}


def is_connected(city: City) -> bool | None:
    """What the state file says."""
    state = city.state()
    return None if state is None else state.connected


def until_deaf(city: City) -> None:
    """Until the collector has been without a broker for so long that it is an event."""

    def is_deaf() -> bool:
        state = city.state()
        return state is not None and not state.connected and state.at_ms - state.since_ms > LEAST_MS

    city.until(is_deaf, "the collector is deaf for ten seconds")


def running(city: City) -> None:
    """Two routers that report."""
    city.collect()
    for seed, router in enumerate(ROUTERS):
        city.node(router, seed=seed)
    city.until(lambda: city.number("SELECT count(*) FROM presence") == 2, "both are heard")
    city.until(lambda: presence(city) == {"online"}, "both are online")
    city.until(lambda: is_connected(city) is True, "the state file says that all is well")


def until_back(city: City) -> None:
    """Until both routers have a connection, and report on it."""
    goals = {node: node.sampler.seq + 5 for node in city.nodes}
    city.until(
        lambda: all(one.sampler.seq - one.spool.spooled >= goals[one] for one in goals),
        "what they took since is acknowledged",
    )
    city.until(
        lambda: presence(city) == {"online"} and is_connected(city) is True, "both are online"
    )


def server_outages(city: City) -> list[tuple[object, ...]]:
    return city.ask("SELECT what, reason FROM v_server_outage")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_broker_that_ends_is_in_no_routers_outage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: signal.Signals
) -> None:
    """Though it publishes every will as it ends: the time is the server's."""
    with City(tmp_path, *ROUTERS) as city:
        running(city)
        city.broker.stop(how)
        until_deaf(city)
        state = city.state()
        assert state is not None
        assert state.problem is not None
        assert "nothing listens at 127.0.0.1" in state.problem
        status, output = city.titik("status", "--config", str(city.file))
        assert (1, True, False) == (status, "no broker for" in output, "offline" in output)
        assert 2 == output.count("unknown")
        city.broker.start()
        until_back(city)
        assert [] == city.ask("SELECT * FROM outage")
        assert ["broker"] == [what for what, _ in server_outages(city)]
        status, output = city.titik("events", "--why", "--config", str(city.file))
        assert (0, 1) == (status, output.count("no broker"))
        assert "uplink lost" not in output
    assert "broker unreachable" in caplog.text


def test_a_broker_that_hangs_is_in_no_routers_outage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection stands and nothing comes, as behind a cut line."""
    with City(tmp_path, *ROUTERS) as city:
        running(city)
        process = city.broker._process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        city.until(lambda: is_connected(city) is False, "the collector notices", 60)
        state = city.state()
        assert state is not None
        assert "no answer from the broker for 20 s" == state.problem
        process.send_signal(signal.SIGCONT)
        until_back(city)
        assert [] == city.ask("SELECT * FROM outage")
        assert ["broker"] == [what for what, _ in server_outages(city)]
    del caplog  # whether a router's own connection broke depends on its keep-alive


def test_a_port_that_says_nothing_is_named_in_the_state_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Something else took the broker's place."""
    with City(tmp_path, *ROUTERS) as city:
        running(city)
        city.broker.stop(signal.SIGKILL)
        city.until(lambda: is_connected(city) is False, "the collector notices")
        with socket.create_server(("127.0.0.1", city.directory.ports.collector)):
            city.until(
                lambda: "is there an MQTT broker at this port" in str(city.state()),
                "the state file names the port",
            )
        city.broker.start()
        until_back(city)
        assert [] == city.ask("SELECT * FROM outage")
    assert "broker unreachable" in caplog.text


def test_a_failing_store_makes_routers_unknown(tmp_path: Path) -> None:
    """They have no figures meanwhile, no outage afterwards, and the time is the server's."""
    with City(tmp_path, *ROUTERS) as city:
        running(city)
        with city.engineer(NOW) as engineer:
            until_now(city, engineer, "online")
            with closing(sqlite3.connect(city.store, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                until_now(city, engineer, "unknown")
                other.execute("ROLLBACK")
            until_now(city, engineer, "online")
        assert [] == city.ask("SELECT * FROM outage")
        assert [("store", "database is locked")] == server_outages(city)


def test_the_time_without_a_collector_is_the_servers(tmp_path: Path) -> None:
    """It was killed and started again; nobody knows what was meanwhile."""
    with City(tmp_path, *ROUTERS) as city:
        running(city)
        city.until(
            lambda: city.number("SELECT count(*) FROM setting WHERE name = 'heard_until_ms'") == 1,
            "it writes down until when it heard",
        )
        assert city.collector is not None
        city.collector.kill()
        # It heard routers for some seconds after it last wrote its state.
        enough_ms = LEAST_MS + 2 * int(collector_state.EVERY_S * 1000)
        city.until(lambda: stale_ms(city) > enough_ms, "ten seconds without a collector")
        city.collect()
        until_back(city)
        assert [] == city.ask("SELECT * FROM outage")
        assert [("collector", "the collector did not run")] == server_outages(city)


def stale_ms(city: City) -> int:
    """How old the state file is."""
    state = city.state()
    return 0 if state is None else wall_ms() - state.at_ms


def test_a_line_that_is_cut_before_the_broker_is_the_servers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The collector hears every will, and visitors used the internet all the time."""
    with City(tmp_path, *ROUTERS) as city:
        running(city)
        for node in city.nodes:
            node.cut(1e6)
        city.until(lambda: city.number("SELECT count(*) FROM outage") == 2, "both are offline", 90)
        for node in city.nodes:
            node.cut_until = 0.0
        until_back(city)
        city.until(
            lambda: city.ask("SELECT DISTINCT cause FROM outage") == [("server",)],
            "the cause is the server",
            90,
        )
        assert [] == city.ask("SELECT * FROM v_outage")
        assert ["line"] == [what for what, _ in server_outages(city)]
        status, output = city.titik("events", "--why", "--config", str(city.file))
        assert 0 == status
        assert "could not reach the server" in output
        assert "2 of 2 routers" in " ".join(output.split())
    assert "broker unreachable" in caplog.text
