"""What a real mosquitto allows on the configuration that `titik broker init` writes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.broker.running import PATIENCE_S, Client, RunningBroker, made, serves
from tests.ports import free_ports
from titik_collector.access.rights import CONTROL
from titik_collector.broker_link.connection import Link
from titik_collector.broker_setup import broker_init, broker_run
from titik_collector.broker_setup.broker_folder import BrokerError
from titik_collector.broker_setup.broker_init import Request
from titik_collector.limits import MAX_MEMORY
from titik_mqtt.endpoint import Endpoint
from titik_wire.topics import CLIENT_ID

pytestmark = pytest.mark.system

DENIED, GRANTED = "Not authorized", "Success"
SUBSCRIBED = "Granted QoS 1"
NOBODY_LISTENS = "No matching subscribers"
MQTT = "titik/v1"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    """One broker for the tests that leave nothing behind."""
    with RunningBroker(made(tmp_path_factory.mktemp("mq") / "broker", "a-1", "b-1")) as running:
        yield running


def router(broker: RunningBroker, name: str = "a-1", client_id: str | None = None) -> Client:
    """A router's client, client id and user name alike unless asked."""
    directory = broker.directory
    chosen = CLIENT_ID + (name if client_id is None else client_id)
    return Client(directory.ports.router, name, directory.password(name), chosen)


def collector(broker: RunningBroker, session_s: int = 0) -> Client:
    """The collector's client."""
    directory = broker.directory
    password = directory.password("collector")
    return Client(directory.ports.collector, "collector", password, f"{CLIENT_ID}main", session_s)


def engineer(broker: RunningBroker, client_id: str = "") -> Client:
    """An engineer's tool."""
    directory = broker.directory
    return Client(directory.ports.engineer, "engineer", directory.password("engineer"), client_id)


@pytest.mark.parametrize("leaf", ["status", "sample", "backlog"])
def test_a_router_may_write_its_own_leaves(broker: RunningBroker, leaf: str) -> None:
    """A router's three leaves are its own to write, and reach the collector."""
    with collector(broker) as reader, router(broker) as client:
        reader.subscribe(f"{MQTT}/router/+/{leaf}")
        assert GRANTED == client.publish(f"{MQTT}/router/a-1/{leaf}")
        assert (f"{MQTT}/router/a-1/{leaf}", b"x") == reader.next()


@pytest.mark.parametrize(
    "topic",
    [
        f"{MQTT}/router/b-1/status",
        f"{MQTT}/router/b-1/sample",
        f"{MQTT}/router/b-1/backlog",
        f"{MQTT}/router/a-1/ack",
        f"{MQTT}/router/b-1/ack",
        f"{MQTT}/router/a-1",
        f"{MQTT}/router/a-1/sample/more",
        f"{MQTT}/collector/main/status",
        f"{MQTT}/now/router/a-1",
        f"{MQTT}/rollup/1m/city",
        "anything",
    ],
)
def test_a_router_may_write_nothing_else(broker: RunningBroker, topic: str) -> None:
    """MQTT 5 says 0x87 to a router that writes elsewhere, its own ack included."""
    with router(broker) as client:
        assert DENIED == client.publish(topic)


def test_a_router_reads_its_own_ack_alone(broker: RunningBroker) -> None:
    """An ack reaches the router it is for, and no other."""
    with router(broker) as client, router(broker, "b-1") as other, collector(broker) as writer:
        assert SUBSCRIBED == client.subscribe(f"{MQTT}/router/a-1/ack")
        assert SUBSCRIBED == other.subscribe(f"{MQTT}/router/b-1/ack")
        assert GRANTED == writer.publish(f"{MQTT}/router/a-1/ack")
        assert (f"{MQTT}/router/a-1/ack", b"x") == client.next()
        assert other.hears_nothing()


@pytest.mark.parametrize("wish", ["settings", "certificate", "upgrade", "request"])
def test_a_wish_reaches_its_router_alone(broker: RunningBroker, wish: str) -> None:
    """What the city wants of a router, no other router hears."""
    with router(broker) as client, router(broker, "b-1") as other, collector(broker) as writer:
        assert SUBSCRIBED == client.subscribe(f"{MQTT}/router/a-1/{wish}")
        assert DENIED == other.subscribe(f"{MQTT}/router/a-1/{wish}")
        assert SUBSCRIBED == other.subscribe(f"{MQTT}/router/b-1/{wish}")
        assert DENIED == other.publish(f"{MQTT}/router/b-1/{wish}")
        assert GRANTED == writer.publish(f"{MQTT}/router/a-1/{wish}")
        assert (f"{MQTT}/router/a-1/{wish}", b"x") == client.next()
        assert other.hears_nothing()


def test_a_router_asks_for_its_topics_by_leaf(broker: RunningBroker) -> None:
    """What it receives by one line, it cannot subscribe to by one."""
    with router(broker) as client:
        assert DENIED == client.subscribe(f"{MQTT}/router/a-1/+")


def test_a_router_sees_whether_a_collector_is_there(broker: RunningBroker) -> None:
    """Routers read every collector's status."""
    with router(broker) as client, collector(broker) as writer:
        client.subscribe(f"{MQTT}/collector/+/status")
        assert GRANTED == writer.publish(f"{MQTT}/collector/main/status")
        assert (f"{MQTT}/collector/main/status", b"x") == client.next()


@pytest.mark.parametrize(
    "topic",
    [
        "#",
        "+/#",
        f"{MQTT}/router/+/sample",
        f"{MQTT}/router/+/ack",
        f"{MQTT}/router/a-1/ack",
        f"{MQTT}/router/b-1/#",
        f"{MQTT}/collector/main/status",
        f"{MQTT}/now/#",
        "$SYS/#",
        "$CONTROL/dynamic-security/v1/response",
        "$share/x/#",
        f"$share/x/{MQTT}/router/b-1/ack",
    ],
)
def test_a_router_subscribes_to_nothing_else(broker: RunningBroker, topic: str) -> None:
    """SUBACK refuses it, so that it costs the broker nothing."""
    with router(broker, "b-1") as reader:
        assert DENIED == reader.subscribe(topic)


@pytest.mark.parametrize(
    "topic",
    [
        "router/a-1/ack",
        "collector/main/status",
        "now/router/a-1",
        "now/site/x",
        "now/city",
        "rollup/1m/router/a-1",
        "rollup/1d/city",
        "alert/site/x/offline",
        "router/a-1/status",
        "router/a-1/sample",
    ],
)
def test_the_collector_may_write_its_topics(broker: RunningBroker, topic: str) -> None:
    """Its own topics, and what a removed router left behind, which it clears."""
    with collector(broker) as client:
        assert client.publish(f"{MQTT}/{topic}", b"") in (GRANTED, NOBODY_LISTENS)


@pytest.mark.parametrize("topic", ["router/a-1/backlog", "router/a-1/answer", "other"])
def test_the_collector_may_write_nothing_else(broker: RunningBroker, topic: str) -> None:
    """It takes no samples itself."""
    with collector(broker) as client:
        assert DENIED == client.publish(f"{MQTT}/{topic}")


def test_an_engineer_reads_everything_and_writes_nothing(broker: RunningBroker) -> None:
    """The engineers' user is read-only."""
    with engineer(broker) as tool, router(broker) as writer:
        tool.subscribe(f"{MQTT}/#")
        writer.publish(f"{MQTT}/router/a-1/sample")
        assert (f"{MQTT}/router/a-1/sample", b"x") == tool.next()
        for topic in ("now/city", "router/a-1/ack", "router/engineer/status"):
            assert DENIED == tool.publish(f"{MQTT}/{topic}")


def test_an_engineer_reads_the_brokers_own_figures(broker: RunningBroker) -> None:
    """$SYS is open to engineers."""
    with engineer(broker) as tool:
        tool.subscribe("$SYS/broker/version")
        assert b"mosquitto" in tool.next()[1]


def test_nobody_enters_without_a_password(broker: RunningBroker) -> None:
    """Every listener refuses clients without a user, or with a wrong password."""
    ports = broker.directory.ports
    for port in (ports.router, ports.engineer, ports.collector):
        for user, password in ((None, None), ("a-1", "wrong"), ("collector", None)):
            with Client(port, user, password, "titik:x") as client:
                assert DENIED == client.answer()


def test_two_tools_of_one_engineer_live_side_by_side(broker: RunningBroker) -> None:
    """One user name, two client ids, both without one: nobody is evicted."""
    with (
        engineer(broker) as first,
        engineer(broker) as second,
        engineer(broker, "titik:mine") as third,
    ):
        assert [GRANTED] * 3 == [one.answer() for one in (first, second, third)]
        assert all(one.stays() for one in (first, second, third))


def test_mosquitto_sub_needs_no_client_id(broker: RunningBroker) -> None:
    """The line that `titik broker init` prints works as it stands."""
    directory = broker.directory
    done = subprocess.run(
        [
            *("mosquitto_sub", "-h", "127.0.0.1", "-p", str(directory.ports.engineer)),
            *("-u", "engineer", "-P", directory.password("engineer")),
            *("-C", "1", "-W", "60", "-t", "$SYS/broker/version"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "mosquitto" in done.stdout


@pytest.mark.parametrize("stolen", ["collector", "main", "b-1", "mine"])
def test_an_engineer_cannot_take_a_client_id_of_the_city(
    broker: RunningBroker, stolen: str
) -> None:
    """Such an id is refused; with the prefix it is another one, and evicts nobody."""
    with collector(broker, 60) as reader, router(broker, "b-1") as other:
        assert GRANTED == reader.answer() == other.answer()
        with engineer(broker, stolen) as thief:
            assert DENIED == thief.answer()
        with engineer(broker, CLIENT_ID + stolen) as tool:
            assert GRANTED == tool.answer()
        assert reader.stays()
        assert other.stays()


@pytest.mark.parametrize("stolen", ["collector", "main", "b-1"])
def test_a_router_cannot_take_anothers_session(broker: RunningBroker, stolen: str) -> None:
    """On the routers' listener a client id is worth nothing: the user name is the identity."""
    with collector(broker, 60) as reader, router(broker, "b-1") as other:
        reader.subscribe(f"{MQTT}/router/+/sample")
        with router(broker, "a-1", client_id=stolen) as thief:
            assert GRANTED == thief.answer()
            assert reader.stays()
            assert other.stays()
            thief.publish(f"{MQTT}/router/a-1/sample")
        assert (f"{MQTT}/router/a-1/sample", b"x") == reader.next()


def test_a_packet_above_the_limit_ends_the_connection(broker: RunningBroker) -> None:
    """20 KiB are enough for any sample; the broker cuts off what sends more."""
    with router(broker) as client:
        assert client.publish(f"{MQTT}/router/a-1/sample", b"x" * 20_000) != DENIED
        client.send(f"{MQTT}/router/a-1/sample", b"x" * 20_481)
        assert "Packet too large" == str(client.lost.get(timeout=PATIENCE_S))


def test_a_router_that_is_added_may_enter_at_once(broker: RunningBroker) -> None:
    """The running broker is informed; nobody else notices."""
    with collector(broker) as reader:
        broker.directory.admit(["c-1"])
        with router(broker, "c-1") as client:
            assert GRANTED == client.answer()
        assert reader.stays()


def test_a_router_that_is_removed_is_cut_off(broker: RunningBroker) -> None:
    """Removing ends the live session, and the password opens nothing any more."""
    broker.directory.admit(["d-1"])
    password = broker.directory.password("d-1")
    with router(broker, "d-1") as client:
        assert GRANTED == client.answer()
        broker.directory.remove_users(["d-1"])
        client.lost.get(timeout=PATIENCE_S)
    with Client(broker.directory.ports.router, "d-1", password, "d-1") as again:
        assert DENIED == again.answer()


def test_a_collector_with_a_wrong_password_is_reported_which_key_to_mend(
    broker: RunningBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """The configuration's, not the broker's words alone."""
    wrong = Endpoint("127.0.0.1", broker.directory.ports.collector, "collector", "wrong")
    link = Link(wrong, "main", lambda: ("titik/v1/collector/main/status", b""), lambda: None, len)
    deadline = time.monotonic() + PATIENCE_S
    while not caplog.messages and time.monotonic() < deadline:
        link.receive(1, 0.1)
    assert "not authorized: see broker.username and broker.password_file" in caplog.text


def test_mosquitto_does_not_stay_root(broker: RunningBroker) -> None:
    """It runs as the account that owns its files, though none but root may enter the parents."""
    pid = broker.directory.pid()
    assert pid is not None
    assert os.stat(f"/proc/{pid}").st_uid == (broker.directory.path / "data").stat().st_uid
    if os.geteuid() == 0:
        assert os.stat(f"/proc/{pid}").st_uid != 0


def test_it_takes_the_next_ports_beside_another_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's own mosquitto may hold 1883; ours takes what is free and starts."""
    (first,) = free_ports(1)  # not 1883, after which others look at the same time
    monkeypatch.setattr(broker_init, "PORT", first)
    command: list[str | Path] = [broker_run.find_mosquitto(), "-p", str(first)]
    other = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not serves(first):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        directory, _ = broker_init.init(tmp_path / "broker", Request(routers=("a-1",)))
        assert first not in (directory.ports.router, directory.ports.engineer)
        with RunningBroker(directory) as broker, router(broker) as client:
            assert GRANTED == client.answer()
    finally:
        other.terminate()
        other.wait(PATIENCE_S)


def test_queued_messages_survive_a_restart(tmp_path: Path) -> None:
    """The collector's queue and retained messages are saved when mosquitto is stopped."""
    broker = RunningBroker(made(tmp_path / "broker", "a-1"))
    with broker:
        with collector(broker, 600) as reader:
            reader.subscribe(f"{MQTT}/router/+/backlog")
        with router(broker) as client:
            assert GRANTED == client.publish(f"{MQTT}/router/a-1/backlog", b"kept")
        broker.stop()
        broker.start()
        with collector(broker, 600) as reader:
            assert (f"{MQTT}/router/a-1/backlog", b"kept") == reader.next()


@pytest.mark.parametrize("damage", [b"\x00" * 300, b"garbage" * 50, None])
def test_a_damaged_database_is_moved_aside(tmp_path: Path, damage: bytes | None) -> None:
    """The broker starts empty, says where the old database is, and serves; None cuts it short."""
    directory = made(tmp_path / "broker", "a-1")
    broker = RunningBroker(directory)
    with broker:
        with router(broker) as client:
            client.publish(f"{MQTT}/router/a-1/status", b"retained", retain=True)
        broker.stop()
        whole = directory.database.read_bytes()
        directory.database.write_bytes(whole[: len(whole) * 2 // 3] if damage is None else damage)
        broker.start()
        assert any("broker database damaged, moved to" in line for line in broker.output)
        assert 1 == len(list(directory.database.parent.glob("mosquitto.db.damaged-*")))
        with router(broker) as client:
            assert GRANTED == client.answer()


@pytest.mark.parametrize("left", [0, 300])
def test_users_that_a_power_cut_left_half_are_let_in(tmp_path: Path, left: int) -> None:
    """mosquitto writes their file in place; it is made again from settings and secrets."""
    directory = made(tmp_path / "broker", "a-1")
    directory.access_file.write_bytes(directory.access_file.read_bytes()[:left])
    with RunningBroker(directory) as broker:
        assert any(f"made {directory.access_file} for 3 users" in line for line in broker.output)
        with router(broker) as client:
            assert GRANTED == client.answer()


@pytest.mark.parametrize("damage", ["lost", "another's"])
def test_a_command_that_is_not_obeyed_says_what_mends_it(tmp_path: Path, damage: str) -> None:
    """Where the password that commands the broker is gone, or is another's."""
    broker = RunningBroker(made(tmp_path / "broker"))
    with broker:
        secret = broker.directory.password_file(CONTROL)
        if damage == "lost":
            secret.unlink()
        else:
            secret.write_text("wrong\n")
        remedy = f"stop the broker, titik broker init {broker.directory.path}, start it"
        with pytest.raises(BrokerError, match=remedy):
            broker.directory.admit(["a-1"])
        broker.stop()
        broker_init.init(broker.directory.path, Request())
        broker.start()
        assert ["b-1"] == broker.directory.admit(["b-1"])


def test_an_empty_database_is_as_good_as_none(tmp_path: Path) -> None:
    """What a power cut leaves behind at once after a start is no damage."""
    directory = made(tmp_path / "broker", "a-1")
    directory.database.touch()
    with RunningBroker(directory) as broker:
        assert not any("damaged" in line for line in broker.output)


def test_a_sigterm_while_the_database_is_tried_leaves_nothing_running(tmp_path: Path) -> None:
    """A pipe that nobody writes into keeps mosquitto reading, as a large database does."""
    directory = made(tmp_path / "broker", "a-1")
    os.mkfifo(directory.database)
    code = "from titik_collector.cli import main; main()"
    command = (sys.executable, "-c", code, "broker", "run", str(directory.path))
    with subprocess.Popen(command) as process:
        mine = psutil.Process(process.pid)
        trial = wait_for(lambda: next((one for one in mine.children() if reads_fifo(one)), None))
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(PATIENCE_S)
    assert not trial.is_running()
    assert not (directory.path / broker_run.TRIAL).exists()


def on_a_screen(path: Path, programs: str) -> list[str]:
    """What a broker writes to a terminal while somebody looks whether its port is open."""
    directory = made(path, "a-1")
    code = "from titik_collector.cli import main; main()"
    terminal, screen = os.openpty()
    command = (sys.executable, "-c", code, "broker", "run", str(directory.path))
    with subprocess.Popen(command, stderr=screen, env={**os.environ, "PATH": programs}) as process:
        os.close(screen)
        port = directory.ports.router
        wait_for(lambda: psutil.Process(process.pid) if serves(port) else None)
        socket.create_connection(("127.0.0.1", port)).close()
        assert serves(port)
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(PATIENCE_S)
    shown = b""
    with suppress(OSError):  # a terminal that all have closed
        while more := os.read(terminal, 4096):
            shown += more
    os.close(terminal)
    return shown.decode().splitlines()


def test_a_screen_shows_no_harmless_line(tmp_path: Path) -> None:
    """A deprecation at each start, and who looked at a port; anything else passes."""
    lines = on_a_screen(tmp_path / "broker", os.environ["PATH"])
    assert "broker starts" in lines[0]
    assert any("disconnected, not authorised" in line for line in lines)
    assert [] == [line for line in lines if "deprecated" in line or "closed its conn" in line]


def test_a_screen_without_grep_shows_every_line(tmp_path: Path) -> None:
    """The broker runs all the same."""
    assert any("deprecated" in line for line in on_a_screen(tmp_path / "broker", str(tmp_path)))


def reads_fifo(process: psutil.Process) -> bool:
    """It has come to the database, and waits in the kernel."""
    return "mosquitto" in process.name() and process.status() == psutil.STATUS_SLEEPING


def wait_for(find: Callable[[], psutil.Process | None]) -> psutil.Process:
    deadline = time.monotonic() + PATIENCE_S
    while (found := find()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_a_killed_broker_starts_again(tmp_path: Path) -> None:
    """The process id that SIGKILL leaves behind stands in nobody's way."""
    broker = RunningBroker(made(tmp_path / "broker", "a-1"))
    with broker:
        broker.stop(signal.SIGKILL)
        assert broker.directory.pid() is None
        broker.start()
        with router(broker) as client:
            assert GRANTED == client.answer()


def test_a_broker_whose_ports_are_open_may_not_serve_yet(broker: RunningBroker) -> None:
    """Only one that reads has come to where a SIGTERM ends it."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        assert not serves(deaf.getsockname()[1], patience_s=0.1)
    assert serves(broker.directory.ports.router)


def test_the_file_limit_is_raised(broker: RunningBroker) -> None:
    """With the usual 1024 open files the 1,018th router would be refused."""
    pid = broker.directory.pid()
    limits = Path(f"/proc/{pid}/limits").read_text()
    line = next(one for one in limits.splitlines() if one.startswith("Max open files"))
    assert int(line.split()[3]) >= min(65536, int(line.split()[4]))


def test_the_memory_is_limited(broker: RunningBroker) -> None:
    """What floods the broker does not take the machine with it."""
    limits = Path(f"/proc/{broker.directory.pid()}/limits").read_text()
    line = next(one for one in limits.splitlines() if one.startswith("Max data size"))
    assert [str(MAX_MEMORY)] * 2 == line.split()[3:5]


def test_many_commands_are_obeyed_one_after_another(broker: RunningBroker) -> None:
    """With `memory_limit` mosquitto 2.0.11 takes no more after the first few."""
    names = [f"many-{number}" for number in range(12)]
    for name in names:
        assert [name] == broker.directory.admit([name])
    assert names == sorted(broker.directory.remove_users(names), key=names.index)


def test_a_router_is_added_though_ports_changed(tmp_path: Path) -> None:
    """A changed port waits for the next start; a router added meanwhile does not."""
    with RunningBroker(made(tmp_path / "broker")) as broker:
        port = free_ports(1)[0]
        changed = Request(router_port=port, collector_port=free_ports(1)[0], routers=("e-1",))
        broker_init.init(broker.directory.path, changed)
        with router(broker, "e-1") as client:
            assert GRANTED == client.answer()
