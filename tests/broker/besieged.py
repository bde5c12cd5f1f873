"""A city under attack: broker, collector and honest routers as in the field, over TLS.

Rule: the honest routers sample all the while, in a thread of their own.
Rule: after an attack nothing is in the store but what they took, and all of that is.
"""

import contextlib
import random
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from zoneinfo import ZoneInfo

from tests.broker import enrolled
from tests.broker.enrolled import City
from tests.broker.raw import Wire, plain, secure
from tests.broker.running import RunningBroker
from tests.system.city import QUICK, ZONE, Process, Remembering, turn
from titik_collector.simulation.fleet import Node, Plan, WorldTime
from titik_collector.store import body, conservation
from titik_collector.store.database import Database
from titik_collector.store.sqlite import open_reader
from titik_mqtt.endpoint import Tls
from titik_wire import codec, topics
from titik_wire.messages import Sample
from titik_wire.topics import CLIENT_ID

SITE = "taman-tirosa"
THIEF = "tirosa-9"  # enrolled and registered, and in bad hands
SILENT = "tirosa-8"  # registered, and never says anything
PATIENCE_S = 60.0
# What mosquitto says of who comes: client id and user.
ENTRY = re.compile(r" as (\S+) \(.*u'([^']*)'\)")
Books = dict[str, tuple[int, int, int, int, int]]  # taken, stored, refused, lost, in spool, by run


class Besieged:
    """Use as a context manager; attack inside of `holds`."""

    def __init__(self, folder: Path, honest: int, interval_s: float) -> None:
        self.city: City = enrolled.made(folder)
        self.names = [f"tirosa-1{n:02}" for n in range(honest)]
        self.keys: dict[str, Path] = {}
        for name in (*self.names, SILENT, THIEF):
            self.keys[name] = self.enrol(name)
        self.city.says("engineer", "add", "ina")
        self.directory = self.city.broker
        self.broker = RunningBroker(self.directory)
        self.quarantined = 0  # what the attacks may put there
        self.spools = [Remembering() for _ in self.names]
        self._interval_s = interval_s
        self._over = threading.Event()
        self._turns = 0  # of the routers' loop
        self._thread = threading.Thread(target=self._live)

    def enrol(self, name: str) -> Path:
        """A router more, with its bundle run; the folder of its keys."""
        self.city.says("router", "add", name, "--site", SITE)
        return self.city.enrol(name, self.city.folder / name)

    def __enter__(self) -> "Besieged":
        self.broker.start()
        try:
            self.collector = Process(
                self.city.folder / "collector.log",
                *("-c", "from titik_collector.cli import main; main()"),
                *("collect", "--config", str(self.city.folder / "titik.toml")),
            )
            self._until(lambda: "broker connected" in self.collector.output(), "the collector")
            self.nodes = [self._node(n) for n in range(len(self.names))]
            self._thread.start()
            with self.holds():
                pass  # all of them are in
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._leave()
        if error is None:
            with self._reader() as db:
                assert conservation.findings(db) == []

    def _leave(self) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.collector.stop()
        self.broker.__exit__(None, None, None)

    def _node(self, n: int) -> Node:
        name, ports = self.names[n], self.directory.ports
        keys = self.keys[name]
        ca, cert, key = (str(keys / one) for one in ("ca.crt", "router.crt", "router.key"))
        return Node(
            Plan(name, SITE, 40, None),
            "localhost",
            ports.router,
            self._interval_s,
            WorldTime(ZoneInfo(ZONE), 1.0),
            random.Random(n),
            0.2,
            pace=QUICK,
            spool=self.spools[n],
            tls=Tls(ca, cert, key),
        )

    def _live(self) -> None:
        while not self._over.is_set():
            turn(self.nodes, 0.05)
            self._turns += 1
        for node in self.nodes:
            node.is_sampling = False
            node.connector.stop_soon()
        while not all(node.connector.is_over for node in self.nodes):
            turn([node for node in self.nodes if not node.connector.is_over], 0.05)

    # Attackers' tools

    def thief(self, version: int = 5) -> Wire:
        """A connection with the stolen certificate; nothing is sent yet."""
        return secure(self.city, self.directory.ports.router, self.keys[THIEF], version)

    def engineer(self, version: int = 5) -> Wire:
        """A connection to the engineers' listener; nothing is sent yet."""
        return secure(self.city, self.directory.ports.engineer, None, version)

    def local(self, version: int = 5) -> Wire:
        """A connection to the collector's listener; nothing is sent yet."""
        return plain(self.directory.ports.collector, version)

    @contextlib.contextmanager
    def witness(self) -> Iterator[Wire]:
        """An engineer who sees all that the broker passes on."""
        with self.engineer() as tool:
            assert 0 == tool.connect("", "ina", self.directory.password("ina"))
            for pattern in ("titik/v1/#", "$SYS/#"):
                assert 1 == tool.subscribe(pattern)
            yield tool

    # What must hold

    @contextlib.contextmanager
    def holds(self, more: int = 3) -> Iterator[None]:
        """Honest samples flow during and after an attack, all are stored, and nothing else is."""
        before = [node.sampler.seq for node in self.nodes]
        yield
        self.until_sampled(more, before)
        self.assert_whole()
        assert len(self.names) + 1 == self._entries(), "somebody was cut off, and came again"

    def until_sampled(self, more: int, before: Sequence[int] | None = None) -> None:
        """Every honest router takes so many samples, from now or from then on."""
        was = [node.sampler.seq for node in self.nodes] if before is None else before
        self._until(
            lambda: all(
                node.sampler.seq >= seq + more for node, seq in zip(self.nodes, was, strict=True)
            ),
            "samples are taken",
        )

    def assert_whole(self) -> None:
        """All that was taken is committed, and the store has nothing else."""
        for node in self.nodes:
            node.is_sampling = False
        goal = self._turns + 2  # the turn that runs may have asked before, and be about to sample
        try:
            self._until(lambda: self._turns >= goal and self._is_delivered(), "all is acked")
            taken = {node.run: (node.sampler.seq, node.sampler.seq, 0, 0, 0) for node in self.nodes}
            assert taken == self._books()
            for node, spool in zip(self.nodes, self.spools, strict=True):
                assert [one.seq for one in spool.taken] == list(range(1, node.sampler.seq + 1))
                assert spool.taken == self._stored(node.name)
            assert {*self.names, SILENT, THIEF} == self._column("SELECT name FROM router")
            assert set(self.names) == self._column("SELECT DISTINCT router FROM v_sample"), (
                "somebody else's samples"
            )
            assert self._column("SELECT name FROM knock") == set()
            assert self._column("SELECT count(*) FROM quarantine") == {self.quarantined}
        finally:
            for node in self.nodes:
                node.is_sampling = True

    def _is_delivered(self) -> bool:
        for node in self.nodes:
            node.connector.wake()
        # Asked to stop, a router may still be taking a sample, which has a number and no place yet.
        return all(
            len(spool.taken) == node.sampler.seq and spool.spooled == 0
            for node, spool in zip(self.nodes, self.spools, strict=True)
        )

    def _books(self) -> Books:
        """Of every router but the thief, who may ruin its own."""
        with self._reader() as db:
            rows = db.execute(
                "SELECT run, taken, stored, refused, lost, in_spool FROM v_conservation"
                " WHERE router <> ?",
                (THIEF,),
            ).fetchall()
        return {row[0]: row[1:] for row in rows}

    def _stored(self, router: str) -> list[Sample]:
        with self._reader() as db:
            bodies = db.execute(
                "SELECT packed FROM body JOIN run ON run.id = run_id JOIN router"
                " ON router.id = router_id WHERE name = ? ORDER BY seq",
                (router,),
            ).fetchall()
        found = [codec.decode(topics.sample(router), body.unpack(one)) for (one,) in bodies]
        return [one for one in found if isinstance(one, Sample)]

    def _column(self, sql: str) -> set[object]:
        with self._reader() as db:
            return {value for (value,) in db.execute(sql)}

    @contextlib.contextmanager
    def _reader(self) -> Iterator[Database]:
        with contextlib.closing(open_reader(self.city.folder / "titik.db")) as db:
            yield db

    def _entries(self) -> int:
        """How often honest routers and the collector have connected."""
        names = {*self.names, self.directory.settings.collector}
        came = [found.groups() for line in self.broker.output if (found := ENTRY.search(line))]
        return sum(
            client_id in names or (user in self.names and client_id == CLIENT_ID + user)
            for client_id, user in came
        )

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, (
                f"still not: {what}\n"
                + "\n".join(self.broker.output[-20:])
                + self.collector.output()
            )
            time.sleep(0.05)


def resident_bytes(pid: int | None) -> int:
    """What a process holds in RAM."""
    done = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    return int(done.stdout) * 1024
