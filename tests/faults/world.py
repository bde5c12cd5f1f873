"""A city under faults: a broker, the collector, and agents as processes in namespaces of their own.

Rule: whatever a fault left broken, `heal` mends; nothing here decides when.
"""

import hashlib
import json
import math
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import paho.mqtt
import psutil
import psycopg

from tests.agent.fake_ubusd import FakeUbusd, Wide, answer, encode
from tests.broker.running import Client
from tests.faults import oracle
from tests.faults.engines import Engine, SmallDisk, Sqlite
from tests.faults.launcher import Settings
from tests.faults.nemesis import HUB, Spaces
from tests.postgres import newest
from tests.system.city import City, Process
from titik_collector.store.database import StoreError
from titik_collector.store.ranges import Ranges
from titik_wire import topics

AP = "hostapd.phy0-ap0"
STATUS = {"ssid": "Kupang Smart City", "freq": 2437, "channel": 6, "phy": "phy0"}
PATIENCE_S = 120.0


class Radio:
    """The Wi-Fi of one router behind a real ubus socket: visitors come and go with time."""

    def __init__(self, folder: Path, number: int) -> None:
        self.ubusd = FakeUbusd(str(folder / "ubus"))
        self.first = 0  # number of the first visitor's address
        self._number = number
        self._methods = {"get_clients": self.clients, "get_status": answer(STATUS)}
        self.present: Callable[[], int] = self._now

    def start(self) -> None:
        """Serve."""
        self.ubusd.start()
        self.ubusd.add(AP, self._methods)

    def clients(self) -> bytes:
        """What `get_clients` answers now."""
        bytes_now = int(time.monotonic() * 10_000)
        one = {
            "auth": True,
            "assoc": True,
            "authorized": True,
            "signal": -50,
            "bytes": {"rx": Wide(bytes_now), "tx": Wide(9 * bytes_now)},
        }
        macs = range(self.first, self.first + self.present())
        here = {_mac(number): one for number in macs}
        return encode({"freq": 2437, "clients": here})

    def _now(self) -> int:
        return int(8 + 7 * math.sin(time.monotonic() / 3 + self._number))


def _mac(number: int) -> str:
    """Of a visitor."""
    digits = f"{number:08x}"
    return "02:00:" + ":".join(digits[at : at + 2] for at in range(0, 8, 2))


class Witness(threading.Thread):
    """Reads every ack as it goes out: what it covers must be in the store by then."""

    def __init__(self, city: City) -> None:
        super().__init__(daemon=True)
        self.seen = 0
        self.ahead: list[str] = []
        self.last: dict[str, bytes] = {}  # the newest ack of each router
        self._when: list[float] = []  # each was seen
        self.forged: set[bytes] = set()  # by the nemesis: no word of the collector's
        self._city = city
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                client = self._city.engineer(topics.ack("+"))
            except (OSError, AssertionError, queue.Empty):
                time.sleep(0.2)  # the broker is down
                continue
            with client:
                self._listen(client)

    def stop(self) -> None:
        """End, and wait for it."""
        self._over.set()
        self.join(20)

    def longest_gap_s(self, since: float) -> float:
        """The longest time without acks, which began before that moment of time or after it."""
        gaps = [(two, two - one) for one, two in pairwise(self._when)]
        return max((gap_s for end, gap_s in gaps if end > since), default=0.0)

    def _listen(self, client: Client) -> None:
        while not self._over.is_set() and client.lost.empty():
            try:
                topic, payload = client.received.get(timeout=0.2)
            except queue.Empty:
                continue
            self._judge(topic.split("/")[3], payload)

    def _judge(self, router: str, payload: bytes) -> None:
        if payload in self.forged:
            return
        self.seen += 1
        self._when.append(time.monotonic())
        self.last[router] = payload
        committed = self._settled(router)
        for run, acked in json.loads(payload)["runs"].items():
            for first, last in [(1, acked["upto"]), *acked.get("also", [])]:
                if first <= last and not committed.get((router, run), Ranges()).covers(first, last):
                    self.ahead.append(f"{router} {run} {first} to {last}")

    def _settled(self, router: str) -> dict[tuple[str, str], Ranges]:
        """An ack is for ever: where the store's server is down now, it is looked at later."""
        while not self._over.is_set():
            with suppress(StoreError):
                return settled(self._city, router)
            time.sleep(0.1)
        return settled(self._city, router)


def settled(city: City, router: str | None = None) -> dict[tuple[str, str], Ranges]:
    """What the store has settled of each run: stored, refused or learnt to be lost. StoreError."""
    found: dict[tuple[str, str], Ranges] = {}
    where = "" if router is None else "WHERE router.name = ?"
    with city.reader() as db:
        for name, run, base, gone, floor, highest, first, last in db.execute(
            "SELECT router.name, token, base, gone, floor, highest, first_seq, last_seq FROM run"
            " JOIN router ON router.id = run.router_id"
            f" LEFT JOIN settled ON settled.run_id = run.id {where}",
            () if router is None else (router,),
        ):
            ranges = found.setdefault((name, run), Ranges())
            bound = max(base, gone, min(floor, highest))
            for low, high in ((1, bound), (first or 1, last or 0)):
                if low <= high:
                    ranges.add(low, high)
    return found


class World:
    """Use as a context manager, in a network namespace of its own."""

    def __init__(
        self,
        folder: Path,
        routers: int,
        *,
        settings: Settings | None = None,
        conf: Sequence[tuple[str, str]] = (),
        interval_s: int = 1,
        spool_bytes: int = 1 << 20,
        persist: bool = False,
        hostile: Sequence[str] = (),
        engine: Engine | None = None,
        disk: SmallDisk | None = None,
    ) -> None:
        """`hostile` routers have credentials and places, and no agent; `disk`: of the store."""
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.engine = engine or Sqlite()
        self.routers = [f"r-{number}" for number in range(1, routers + 1)]
        self.city = City(
            folder,
            *(*self.routers, *hostile),
            conf=conf,
            store=disk.file if disk else None,
            server=disk.server if disk else self.engine.new_store(),
        )
        self._listen_everywhere()
        self.spaces = Spaces(self.routers)
        self.agents: dict[str, Process] = {}
        self.radios: dict[str, Radio] = {}
        self.kills = 0  # of agents
        self.keeps_collector = False  # as a service manager does: an error is followed by a start
        self.died: list[str] = []  # processes that ended by themselves
        self.watched: dict[str, list[tuple[float, int, int, int]]] = {}
        self.witness = Witness(self.city)
        self.settings = settings or Settings("")
        self._interval_s = interval_s
        self._spool_bytes = spool_bytes
        self._persist = persist  # also to flash
        # What a power cut took before it was on flash, by router and run.
        self.cut_off: dict[tuple[str, str], set[int]] = {}
        for number, router in enumerate(self.routers):
            (folder / router).mkdir()
            (folder / "oracle" / router).mkdir(parents=True)
            self.radios[router] = Radio(folder / router, number)

    def _listen_everywhere(self) -> None:
        directory = self.city.directory
        text = directory.config_file.read_text()
        line = f"listener {directory.ports.router} "
        assert f"{line}127.0.0.1" in text
        directory.config_file.write_text(text.replace(f"{line}127.0.0.1", f"{line}0.0.0.0"))

    def __enter__(self) -> "World":
        try:
            self.spaces.build()
        except subprocess.CalledProcessError:
            self.spaces.remove()
            raise
        self.city.__enter__()
        for radio in self.radios.values():
            radio.start()
        self.witness.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.witness.stop()
        for agent in self.agents.values():
            if not agent.is_over:
                agent.kill()
        if self.city.collector is not None and not self.city.collector.is_over:
            self.city.collector.kill()
        for radio in self.radios.values():
            radio.ubusd.stop()
        self.city.__exit__(kind, error, at)
        self.spaces.remove()

    # Routers

    def spool(self, router: str) -> Path:
        """The directory of its spool."""
        return self.folder / router / "spool"

    def flash(self, router: str) -> Path:
        """The directory of what survives a power cut."""
        return self.folder / router / "flash"

    def lie(self, router: str) -> Path:
        """The file that says how wrong its clock is."""
        return self.folder / router / "lie"

    def start_agent(self, router: str) -> None:
        """The agent's next life."""
        self._bury(router, self.agents.get(router))
        directory = self.city.directory
        file = self.folder / router / "agent.toml"
        file.write_text(
            f"""
router = "{router}"
interval_s = {self._interval_s}
clock = "trusted"
[broker]
host = "{HUB}"
port = {directory.ports.router}
password_file = "{directory.password_file(router)}"
compress = {"true" if self.routers.index(router) % 2 else "false"}
[spool]
directory = "{self.spool(router)}"
limit_bytes = {self._spool_bytes}
{f'persist_dir = "{self.flash(router)}"' if self._persist else ""}
[interfaces]
uplink = "eth0"
[sources]
hostapd = "ubus"
ubus_socket = "{self.radios[router].ubusd.path}"
"""
        )
        settings = replace(
            self.settings,
            oracle=str(self.folder / "oracle" / router),
            lie=str(self.lie(router)),
        )
        inside = self.spaces.inside(router)
        self.agents[router] = Process(
            self.folder / router / "log",
            *inside[1:],
            sys.executable,
            "-m",
            "tests.faults.launcher",
            settings.text(),
            "run",
            "--config",
            str(file),
            python=inside[0],
        )

    def start_agents(self) -> None:
        """All of them."""
        for router in self.routers:
            self.start_agent(router)

    def kill_agent(self, router: str) -> None:
        """SIGKILL."""
        self.agents[router].kill()
        self.kills += 1

    def taken(self, router: str) -> int:
        """How many samples its lives have taken."""
        files = (self.folder / "oracle" / router).glob("*.log")
        return sum(one.read_bytes().count(b'"kind": "taken"') for one in files)

    def until_taken(self, more: int) -> None:
        """Until every router took so many more."""
        goals = {router: self.taken(router) + more for router in self.routers}
        self.until(
            lambda: all(self.taken(router) >= goal for router, goal in goals.items()),
            f"{more} more samples",
        )

    # The server

    def start_collector(self) -> None:
        """Without waiting: the broker may be down."""
        self._bury("collector", self.city.collector)
        self.city.collector = Process(
            self.folder / "collector.log",
            "-c",
            "from titik_collector.cli import main; main()",
            "collect",
            "--config",
            str(self.city.file),
        )

    def broker_process(self) -> psutil.Process:
        """mosquitto itself."""
        (found,) = (one for one in psutil.Process().children() if one.name() == "mosquitto")
        return found

    # The end

    def until(self, condition: Callable[[], bool], what: str, for_s: float = PATIENCE_S) -> None:
        """Wait for it, watching the processes."""
        deadline = time.monotonic() + for_s
        while not condition():
            assert time.monotonic() < deadline, f"still not: {what}"
            self.sleep(0.2)

    def sleep(self, seconds: float) -> None:
        """Let it be, and look at the processes now and then."""
        end = time.monotonic() + seconds
        while True:
            self._watch()
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 1.0))

    def _watch(self) -> None:
        if self.keeps_collector and self._collector_gave_up():
            self.start_collector()
        processes = dict(self.agents)
        if self.city.collector is not None:
            processes["collector"] = self.city.collector
        for name, process in processes.items():
            rows = self.watched.setdefault(f"{name}/{process.popen.pid}", [])
            if rows and time.monotonic() - rows[-1][0] < 1.0:
                continue
            try:
                one = psutil.Process(process.popen.pid)
                row = (one.memory_info().rss, one.num_fds(), one.num_threads())
            except psutil.Error:
                continue  # it is over
            rows.append((time.monotonic(), *row))

    def _bury(self, name: str, process: Process | None) -> None:
        """Remember an end that was none of the nemesis's: it kills, or asks politely."""
        if process is not None and process.is_over:
            if self.keeps_collector and name == "collector" and self._collector_gave_up():
                return
            status = process.popen.returncode
            if status not in (0, -signal.SIGKILL):
                self.died.append(f"{name} ended by itself with {status}: {process.output()[-300:]}")

    def _collector_gave_up(self) -> bool:
        """It ended with an error in plain words."""
        collector = self.city.collector
        if collector is None or collector.popen.poll() != 1:
            return False
        return collector.output().rstrip().rpartition("\n")[2].startswith("Error: ")

    def heal(self) -> None:
        """Everything works again."""
        self.engine.revive()
        for router in self.routers:
            self.spaces.mend_uplink(router)
            agent = self.agents.get(router)
            if agent is None or agent.is_over:
                self.start_agent(router)
            else:
                agent.popen.send_signal(signal.SIGCONT)
        if self.city.collector is None or self.city.collector.is_over:
            self.start_collector()
        else:
            self.city.collector.popen.send_signal(signal.SIGCONT)

    def drain(self, for_s: float = PATIENCE_S) -> float:
        """Wait until all that is kept by now is settled, and stop the routers; seconds it took."""
        began = time.monotonic()
        try:
            self.until_taken(2)
            self.until_settled(self.routers, for_s)
        finally:
            took_s = time.monotonic() - began
            self._stop_agents()
        return took_s

    def until_settled(self, routers: Sequence[str], for_s: float = PATIENCE_S) -> None:
        """Until the store has settled all that these have kept by now, but for what is cut off."""
        kept = self._kept(routers)
        self.until(lambda: not self._unsettled(kept), "all that was taken is settled", for_s)

    def unsettled(self) -> dict[tuple[str, str], set[int]]:
        """What routers have kept by now and the store has not settled, but for what is cut off."""
        return self._unsettled(self._kept(self.routers))

    def _kept(self, routers: Sequence[str]) -> dict[tuple[str, str], set[int]]:
        return {
            name: {seq for seq, one in run.items() if one.kept} - self.cut_off.get(name, set())
            for name, run in oracle.read(self.folder / "oracle").items()
            if name[0] in routers
        }

    def _unsettled(
        self, kept: Mapping[tuple[str, str], set[int]]
    ) -> dict[tuple[str, str], set[int]]:
        known: dict[tuple[str, str], Ranges] = {}
        with suppress(StoreError):  # it is not there yet, or its server is down
            known = settled(self.city)
        left = {
            name: {seq for seq in run if not known.get(name, Ranges()).covers(seq, seq)}
            for name, run in kept.items()
        }
        return {name: run for name, run in left.items() if run}

    def _stop_agents(self) -> None:
        """As a service manager does."""
        for agent in self.agents.values():
            agent.popen.send_signal(signal.SIGTERM)
        for router, agent in self.agents.items():
            assert agent.popen.wait(20) == 0, (router, agent.output()[-2000:])
        self.sleep(1.0)


TESTED = (
    "agent",
    "broker",
    "tests/agent",
    "tests/broker",
    "tests/captures",
    "tests/faults",
    "tests/system",
    "tests/wire",
    "tools/cell",
    "deploy/high-availability",
)
PLAYED = ("tests/system/test_order.py", "tests/wire/test_hostile.py")  # other tests take no part
# What only the page loads. No scenario starts it, so a change there makes no result an old one.
PAGE = tuple(
    f"broker/titik_collector/{one}"
    for one in (
        *("public/", "web/", "languages/id/", "languages/language.py"),
        *("accounts/client_address.py", "accounts/no_login.py", "accounts/sessions.py"),
        *("accounts/slowing.py", "accounts/viewer.py"),
    )
)


def tested() -> str:
    """A digest of the code, broker and library whose change makes a result an old one."""
    root = Path(__file__).parents[2]
    broker = subprocess.run(("mosquitto", "-h"), capture_output=True, text=True, check=False)
    found = hashlib.sha256(f"{paho.mqtt.__version__} {broker.stdout.splitlines()[0]}".encode())
    found.update(f"{psycopg.__version__} {_postgres()}".encode())
    for name in ("mosquitto.py", "postgres.py"):
        found.update((root / "tests" / name).read_bytes())
    for file in played_files(root):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        found.update(f"{file.relative_to(root)} {content}\n".encode())
    return found.hexdigest()[:16]


def played_files(root: Path) -> Iterator[Path]:
    """What scenarios run, in the order of the names."""
    for file in sorted(one for name in TESTED for one in (root / name).rglob("*")):
        name = str(file.relative_to(root))
        is_made = any(part == "__pycache__" or part.endswith(".egg-info") for part in file.parts)
        is_apart = file.name.startswith("test_") and name not in PLAYED
        if file.is_file() and not is_made and not is_apart and not name.startswith(PAGE):
            yield file


def _postgres() -> str:
    """Its version; empty where there is none, and SQLite is all that is played."""
    with suppress(AssertionError):
        words = (str(newest() / "postgres"), "--version")
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return ""


def commit() -> str:
    """Where the tested code came from."""

    def git(*words: str) -> str:
        return subprocess.run(
            ("git", *words), check=True, capture_output=True, text=True, cwd=Path(__file__).parent
        ).stdout.strip()

    return git("rev-parse", "HEAD") + ("-changed" if git("status", "--porcelain") else "")


def slopes(watched: dict[str, list[tuple[float, int, int, int]]]) -> dict[str, Any]:
    """What grew, per process that lived for a while: first and last figures after warm-up."""
    found: dict[str, Any] = {}
    for name, rows in watched.items():
        warm = [row for row in rows if row[0] - rows[0][0] >= 5]
        if len(warm) < 10:
            continue
        first, last = warm[0], warm[-1]
        found[name] = {
            "seconds": round(last[0] - first[0]),
            "rss_bytes": [first[1], last[1]],
            "fds": [first[2], last[2]],
            "threads": [first[3], last[3]],
        }
    return found
