"""A city for tests: a private broker, the collector as a process, routers in here or as processes.

Rule: nothing sleeps for a fixed time; everything waits for a condition, and not for ever.
Rule: what a router took is remembered as it is appended, so that the store can be held against it.
"""

import contextlib
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

import psutil

from tests.broker import running
from tests.broker.running import ROOT, Client, RunningBroker
from tests.system.overlap import assert_minutes_never_overlap
from titik_agent.broker_link.lanes import Pace
from titik_agent.spool.spool import Spool
from titik_collector.config.store_table import Store
from titik_collector.own_state import collector_state
from titik_collector.own_state.collector_state import CollectorState
from titik_collector.rollups.worker import Rollups
from titik_collector.simulation.fleet import Node, Plan, SimulatedClock, WorldTime
from titik_collector.store import conservation, opening
from titik_collector.store.database import Database, StoreHeld
from titik_wire import __version__, codec, topics
from titik_wire.messages import Sample

ZONE = "Asia/Makassar"
PATIENCE_S = 60.0
QUICK = Pace(resend_s=1.0, resend_cap_s=2.0)
INTERVAL_S = 0.1
FIRST_WAIT_S = 0.2
HOUR_MS = 3_600_000
STANDS_BY = "stands by until the store is free"
COLLECTOR = ("-c", "from titik_collector.cli import main; main()")
SLACK_MS = 100  # what two readings of a router's clocks may be apart

Books = dict[str, tuple[int, int, int, int, int]]  # taken, stored, refused, lost, in spool, by run


def wall_ms() -> int:
    """This machine's clock."""
    return time.time_ns() // 1_000_000


class Remembering(Spool):
    """A spool that remembers every sample, as it was taken."""

    def __init__(self, directory: Path | None = None, limit_bytes: int = 1 << 20) -> None:
        self.taken: list[Sample] = []
        super().__init__(None if directory is None else str(directory), limit_bytes)

    def append(self, run: str, seq: int, payload: bytes) -> None:
        """Also what the router itself would forget."""
        sample = codec.decode(topics.sample(_router_of(payload)), payload)
        assert isinstance(sample, Sample)
        self.taken.append(sample)
        super().append(run, seq, payload)


def _router_of(payload: bytes) -> str:
    return payload.split(b'"router":"', 1)[1].split(b'"', 1)[0].decode()


class ShiftedClock(SimulatedClock):
    """A router whose time the test moves: `behind_ms` is how long ago everything happens."""

    def __init__(self, seed: int, behind_ms: int = 0) -> None:
        super().__init__(random.Random(seed))
        self.behind_ms = behind_ms
        self.wrong_by_ms = 0  # what its wall clock is off
        self.is_set = True

    def uptime_ms(self) -> int:
        """Runs on when the test moves time."""
        return super().uptime_ms() + HOUR_MS - self.behind_ms

    def true_ms(self) -> int:
        """What a right clock would show there."""
        return super().wall_ms() - self.behind_ms

    def wall_ms(self) -> int:
        """What its own clock shows."""
        return self.true_ms() + self.wrong_by_ms

    def quality(self) -> Literal["ntp", "guess"]:
        """`guess` until the test sets it."""
        return "ntp" if self.is_set else "guess"


class Process:
    """One of ours, with what it says in a file."""

    def __init__(self, log: Path, *arguments: str, python: str = sys.executable) -> None:
        self._log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                [python, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(),
                cwd=ROOT,
            )

    def output(self) -> str:
        """All that it wrote, also before it was started again."""
        return self._log.read_text(errors="replace")

    def kill(self) -> None:
        """As a power cut does."""
        self.popen.kill()
        self.popen.wait()

    def stop(self) -> int:
        """As a service manager does."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(PATIENCE_S)

    @property
    def is_over(self) -> bool:
        return self.popen.poll() is not None

    @property
    def stands_still(self) -> bool:
        """Stopped by SIGSTOP, as a fault may do."""
        return psutil.Process(self.popen.pid).status() == psutil.STATUS_STOPPED


class OnServer(NamedTuple):
    """A store that is no file."""

    where: Store  # for who reads it in here
    lines: str  # of the collector's configuration


class City:
    """Use as a context manager; the broker runs, the collector is started by `collect`."""

    def __init__(
        self,
        folder: Path,
        *routers: str,
        sites: Sequence[str] = ("taman-tirosa",),
        unregistered: Sequence[str] = (),
        conf: Sequence[tuple[str, str]] = (),
        store: Path | None = None,
        server: OnServer | None = None,
    ) -> None:
        """Every router is at the first site; `conf` replaces lines of mosquitto's.

        `store` names another file; with `server` the store is there.
        """
        self.folder = folder
        self.routers = routers or ("tirosa-1",)
        self.directory = running.made(folder / "broker", *self.routers, *unregistered)
        for old, new in conf:
            text = self.directory.config_file.read_text()
            assert old in text
            self.directory.config_file.write_text(text.replace(old, new))
        self.broker = RunningBroker(self.directory)
        self.file = folder / "titik.toml"
        self.store = store or folder / "titik.db"
        self.server = server
        self.state_file = folder / "collector.state"
        self.write(self.places(sites), sites)
        self.nodes: list[Node] = []
        self.collector: Process | None = None
        self._processes: list[Process] = []
        self._world = WorldTime(ZoneInfo(ZONE), 1.0)

    def places(self, sites: Sequence[str] = ("taman-tirosa",)) -> list[tuple[str, str, str]]:
        """Router, site and since, as the file has them at first: all of today is the site's."""
        since = _date(wall_ms() - 2 * 24 * HOUR_MS)
        return [(router, sites[0], since) for router in self.routers]

    def write(
        self, places: Sequence[tuple[str, str, str]], sites: Sequence[str] = ("taman-tirosa",)
    ) -> None:
        """The server's configuration, as an editor saves it."""
        text = f"""
[city]
name = "kupang"
title = "Kota Kupang"
timezone = "{ZONE}"
[broker]
directory = "{self.directory.path}"
[collector]
state = "{self.state_file}"
[store]
{self.server.lines if self.server else f'path = "{self.store}"'}
max_samples_per_hour = 1000000
max_runs_per_hour = 10000
"""
        text += "".join(f'\n[[site]]\nname = "{one}"\ntitle = "{one}"\n' for one in sites)
        for router, site, since in places:
            text += f'\n[[router]]\nname = "{router}"\nsite = "{site}"\n'
            text += f"since = {since}\n" if since else ""
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.replace(self.file)

    # The server half

    def collect(
        self, dies: str | None = None, debug: bool = False, program: Sequence[str] = COLLECTOR
    ) -> Process:
        """Start the collector, or start it again; returns when it is connected, dead or stopped.

        `debug`: it logs all it can. `program`: another one.
        """
        where = self.folder / "collector.log"
        before = (
            where.read_text(errors="replace").count("broker connected") if where.exists() else 0
        )
        if debug:
            program = ("-c", f"import logging; logging.basicConfig(level='DEBUG'); {program[1]}")
        if dies is not None:
            program = ("-m", "tests.system.dying_collector", dies)
        started = self._spawn(where, *program, "collect", "--config", str(self.file))
        self.collector = started
        self.until(
            lambda: (
                started.is_over
                or started.stands_still  # samples may come before the broker takes subscriptions
                or started.output().count("broker connected") > before
            ),
            "the collector connects",
        )
        return started

    def stand_by(self, log: str = "standby.log") -> Process:
        """Start another collector; returns when it waits for the store, or is over."""
        started = self._spawn(self.folder / log, *COLLECTOR, "collect", "--config", str(self.file))
        self.until(lambda: started.is_over or STANDS_BY in started.output(), "it stands by")
        return started

    def state(self) -> CollectorState | None:
        """What the collector's file says."""
        return collector_state.read([self.state_file])

    def titik(self, *arguments: str) -> tuple[int, str]:
        """Exit status and output of a command that ends."""
        done = subprocess.run(
            [sys.executable, "-c", "from titik_collector.cli import main; main()", *arguments],
            capture_output=True,
            text=True,
            env=_environment() | {"COLUMNS": "120"},
            timeout=PATIENCE_S,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def engineer(self, *subscriptions: str, port: int | None = None) -> Client:
        """A subscriber on the engineers' listener, or on a port that leads there."""
        user = self.directory.settings.engineers[0]
        port = port or self.directory.ports.engineer
        client = Client(port, user, self.directory.password(user))
        assert client.answer() == "Success"
        for one in subscriptions:
            client.subscribe(one)
        return client

    def impostor(self, router: str) -> Client:
        """Someone with this router's credential and a client of their own."""
        client = Client(self.directory.ports.router, router, self.directory.password(router))
        assert client.answer() == "Success"
        return client

    # The router half

    def node(
        self,
        router: str = "tirosa-1",
        *,
        interval_s: float = INTERVAL_S,
        spool: Remembering | None = None,
        clock: SimulatedClock | None = None,
        password: str | None = None,
        seed: int = 1,
        version: str = __version__,
        helper: Path | None = None,
    ) -> Node:
        """Real agent objects over a simulated radio, driven while the test waits."""
        made = Node(
            Plan(router, "taman-tirosa", 40, password or self.directory.password(router)),
            self.directory.host,
            self.directory.ports.router,
            interval_s,
            self._world,
            random.Random(seed),
            FIRST_WAIT_S,
            pace=QUICK,
            spool=Remembering() if spool is None else spool,
            clock=clock,
            version=version,
            helper=None if helper is None else str(helper),
        )
        self.nodes.append(made)
        return made

    def power_cut(self, node: Node) -> None:
        """The router is gone, without a goodbye; its spool object stays for the next life."""
        node.is_sampling = False
        node.cut(1e6)
        self.until(lambda: node.connector.fileno() < 0, "the connection breaks")
        self.nodes.remove(node)

    def agent(
        self,
        router: str = "tirosa-1",
        extra: str = "",
        interval_s: int = 1,
        python: str = sys.executable,
        broker: str = "",
        **sources: str,
    ) -> Process:
        """The real `titik-agent run` on this machine's own interfaces."""
        file = self.agent_file(router, extra, interval_s, broker, **sources)
        code = "from titik_agent.__main__ import main; main()"
        log = self.folder / f"{router}.log"
        return self._spawn(log, "-c", code, "run", "--config", str(file), python=python)

    def agent_file(
        self,
        router: str = "tirosa-1",
        extra: str = "",
        interval_s: int = 1,
        broker: str = "",
        **sources: str,
    ) -> Path:
        """What `agent` is started with."""
        file = self.folder / f"{router}.toml"
        text = f"""
router = "{router}"
interval_s = {interval_s}
clock = "trusted"
{extra}
[broker]
host = "{self.directory.host}"
port = {self.directory.ports.router}
password_file = "{self.directory.password_file(router)}"
{broker}
[spool]
directory = "{self.folder / router}"
[interfaces]
uplink = "lo"
[sources]
"""
        sources.setdefault("hostapd", "off")
        file.write_text(text + "".join(f'{key} = "{one}"\n' for key, one in sources.items()))
        return file

    # Waiting

    def run(self, seconds: float) -> None:
        """Let the routers in here work."""
        until = time.monotonic() + seconds
        while (left_s := until - time.monotonic()) > 0:
            self._turn(left_s)

    def _turn(self, most_s: float) -> None:
        turn(self.nodes, most_s)

    def until(
        self, condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S
    ) -> None:
        """Let the routers in here work until it holds."""
        deadline = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > deadline:
                output = self.collector.output()[-3000:] if self.collector is not None else ""
                raise AssertionError(f"still not: {what}\nbooks {self.books()}\n{output}")
            self.run(0.05)

    def until_heard(self, client: Client, wanted: Callable[[str, bytes], bool], what: str) -> None:
        """Until a message arrives that is wanted; others are passed over."""

        def came() -> bool:
            while not client.received.empty():
                if wanted(*client.received.get()):
                    return True
            return False

        self.until(came, what)

    def until_taken(self, node: Node, more: int) -> None:
        """Until the router took so many more samples."""
        goal = node.sampler.seq + more
        self.until(lambda: node.sampler.seq >= goal, f"{more} more samples of {node.name}")

    def until_acked(self, patience_s: float = PATIENCE_S) -> None:
        """Let the routers take no more samples, and empty their spools."""
        for node in self.nodes:
            node.is_sampling = False

        def are_empty() -> bool:
            for node in self.nodes:
                node.connector.wake()  # as a sample would: QUICK is shorter than a publisher's rest
            return all(node.spool.spooled == 0 for node in self.nodes)

        self.until(are_empty, "every spool is empty", patience_s)

    # What the store holds

    @property
    def where(self) -> Store:
        """Where the store is."""
        return self.server.where if self.server else Store(path=self.store)

    @contextlib.contextmanager
    def reader(self) -> Iterator[Database]:
        """The store as a reader sees it, while the collector writes."""
        with opening.reading(self.where, self.file) as db:
            yield db

    @contextlib.contextmanager
    def writer(self) -> Iterator[Database]:
        """The store, when its collector is over; a server may need a moment to notice that."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                db = opening.open_writer(self.where)
                break
            except StoreHeld:
                assert time.monotonic() < deadline, "the collector's end is noticed"
                time.sleep(0.1)
        with contextlib.closing(db):
            yield db

    def ask(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """Rows of the store; none if there is no store yet."""
        if self.server is None and not self.store.exists():
            return []
        with self.reader() as db:
            return db.execute(sql, values).fetchall()

    def number(self, sql: str, *values: object) -> int:
        """One number of the store."""
        ((value,),) = self.ask(sql, *values) or [(0,)]
        assert isinstance(value, int)
        return value

    def books(self) -> Books:
        """The conservation law of each run."""
        rows = self.ask("SELECT run, taken, stored, refused, lost, in_spool FROM v_conservation")
        return {str(row[0]): row[1:] for row in rows}  # type: ignore[misc]

    def close_books(self, slack_ms: int = SLACK_MS) -> Books:
        """Stop the collector, compute what is left, and audit; the law of each run."""
        if self.collector is not None and not self.collector.is_over:
            assert self.collector.stop() == 0, self.collector.output()
        with self.writer() as db:
            roll(db)
            found = conservation.findings(db)
            assert found == [], found
            assert_minutes_never_overlap(db, slack_ms)
        return self.books()

    def _end(self, node: Node) -> None:
        """A goodbye; the uplink itself bounds how long that takes."""
        node.is_sampling = False
        node.connector.stop_soon()
        while not node.connector.is_over:
            self._turn(0.05)

    def _spawn(self, log: Path, *arguments: str, python: str = sys.executable) -> Process:
        started = Process(log, *arguments, python=python)
        self._processes.append(started)
        return started

    def __enter__(self) -> "City":
        self.broker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for node in self.nodes:
            self._end(node)
        for one in self._processes:
            if not one.is_over:
                one.kill()
        self.broker.__exit__(kind, error, at)


def turn(nodes: Sequence[Node], most_s: float) -> None:
    """Let these routers do what is due, and wait for more, so long at most."""
    waits = [node.turn() for node in nodes]
    poll = select.poll()
    owners: dict[int, Node] = {}
    for node in nodes:
        if node.connector.fileno() >= 0:
            owners[node.connector.fileno()] = node
            want = select.POLLOUT if node.connector.want_write() else 0
            poll.register(node.connector.fileno(), select.POLLIN | want)
    for fd, event in poll.poll(min([most_s, *waits]) * 1000):
        if event & ~select.POLLOUT:
            owners[fd].connector.on_readable()
        if event & select.POLLOUT:
            owners[fd].connector.on_writable()


def roll(db: Database, ahead_ms: int = 2 * HOUR_MS) -> None:
    """Compute all rollups, as if it were later."""
    rollups = Rollups(db, ZoneInfo(ZONE), lambda: wall_ms() + ahead_ms)
    while rollups.work(1.0, time.monotonic):
        pass


def bytes_of(db: Database, router: str) -> tuple[int, int, int, int]:
    """Wi-Fi down and up, uplink down and up: all that the minutes of a router hold."""
    row = db.execute(
        "SELECT coalesce(sum(wifi_down_bytes), 0), coalesce(sum(wifi_up_bytes), 0),"
        " coalesce(sum(uplink_down_bytes), 0), coalesce(sum(uplink_up_bytes), 0) FROM rollup"
        " WHERE scope = 'router' AND length = '1m'"
        " AND scope_id = (SELECT id FROM router WHERE name = ?)",
        (router,),
    ).fetchone()
    return int(row[0]), int(row[1]), int(row[2]), int(row[3])


def bytes_taken(samples: Sequence[Sample]) -> tuple[int, int, int, int]:
    """The same from the first and the last sample of one boot."""
    first, last = samples[0], samples[-1]
    assert first.bss is not None
    assert last.bss is not None
    assert first.net is not None
    assert last.net is not None
    was, now = first.bss[0], last.bss[0]
    assert was.rx_bytes is not None
    assert was.tx_bytes is not None
    assert now.rx_bytes is not None
    assert now.tx_bytes is not None
    return (
        now.tx_bytes - was.tx_bytes,
        now.rx_bytes - was.rx_bytes,
        last.net[0].rx_bytes - first.net[0].rx_bytes,
        last.net[0].tx_bytes - first.net[0].tx_bytes,
    )


def _date(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at_ms / 1000))


def _environment() -> dict[str, str]:
    path = os.pathsep.join(str(one) for one in (ROOT / "agent", ROOT / "broker", ROOT))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
