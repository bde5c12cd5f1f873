"""A fleet that is looked after from a distance, while faults of every kind overlap.

It is set, looked at, moved to another authority whose predecessor's key was lost, and upgraded in
waves. A version that never gets an ack halts by itself in between.

Rule: handlers, certificates and spools are the agent's own. Made up are radio, uplink, and the
package manager: it gives a router another version when root's helper would.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.broker.enrolled import City, made
from tests.broker.running import RunningBroker
from tests.faults.trial import Trial
from tests.system.city import QUICK, ZONE, Process
from tests.system.upgrade_helper import UpgradeHelper
from titik_agent.broker_link.credentials import Credentials
from titik_agent.broker_link.link import Link
from titik_agent.looking.concealing import Concealing
from titik_agent.looking.looker import Looker
from titik_agent.spool.spool import Spool
from titik_agent.wishes.certificates import CertificateHandler
from titik_agent.wishes.dispatch import Dispatch
from titik_agent.wishes.questions import QuestionHandler
from titik_agent.wishes.wish_handler import WishDesk, WishHandler
from titik_collector.simulation.fleet import (
    Fleet,
    Node,
    Plan,
    SimulatedClock,
    WorldTime,
)
from titik_collector.store import conservation
from titik_collector.store.sqlite import open_reader
from titik_mqtt.connection import Events, Will
from titik_mqtt.endpoint import Endpoint, Tls
from titik_mqtt.failures import LinkDown
from titik_wire import __version__

SITE = "taman-tirosa"
ALL = "every router has all of it"
BAD, GOOD = "0.8.0", "0.9.0"
FAULT_S, FAULT_OF_MANY_S = 4.0, 30.0  # between two, on average: a thousand come back in a minute
TRIED_S, TRIED_OF_MANY_S = 4.0, 120.0  # for an ack of a new version
PACKAGES = "packages"  # a router's folder of the helper
CLI = "from titik_collector.cli import main; main()"


def hurried(tried_s: float) -> str:
    """A collector whose waves are so patient; agents are killed all the time, so that no number of
    restarts says anything.
    """
    quiet_ms, answer_ms = 60_000 + int(tried_s * 1000), 90_000 + int(tried_s * 2000)
    return (
        "from titik_collector.wishes.waves import Bounds;"
        f"Bounds.__new__.__defaults__ = (2_000, {quiet_ms}, {answer_ms}, 60_000, 1_000, 0.1);{CLI}"
    )


class Distant(Node):
    """A router of the field, with all that reaches it from a distance."""

    def __init__(self, home: Path, port: int, every_s: float, first_s: float, **again: object):
        """`home` is its root directory. `again`: what the life before left."""
        self.home, self._port, self._every_s, self._first_s = home, port, every_s, first_s
        keys = home / "etc/titik"
        tls = Tls(str(keys / "ca.crt"), str(keys / "router.crt"), str(keys / "router.key"))
        rand = random.Random(home.name)
        spool, clock = again.get("spool"), again.get("clock")
        self.credentials = Credentials(
            Endpoint("localhost", port, home.name, None, tls), str(home / "flash")
        )
        super().__init__(
            Plan(home.name, SITE, 40, None), "localhost", port, every_s,
            WorldTime(ZoneInfo(ZONE), 1.0), rand, first_s, pace=QUICK, tls=tls,
            spool=spool if isinstance(spool, Spool) else None,
            clock=clock if isinstance(clock, SimulatedClock) else SimulatedClock(rand),
            version=str(again.get("version", __version__)), helper=str(home / PACKAGES),
        )  # fmt: skip
        self.connector.failed = self.credentials.failed

    def next_life(self, version: str | None = None) -> "Distant":
        """The agent again, with its spool and what is on flash."""
        return Distant(
            self.home, self._port, self._every_s, self._first_s,
            spool=self.spool, clock=self._clock, version=version or self.version,
        )  # fmt: skip

    def die(self) -> None:
        """Without a goodbye."""
        self.is_sampling = False
        self.cut(1e9)
        while self.connector.fileno() >= 0:
            self.connector.on_readable()

    def _dial(self, will: Will, events: Events) -> Link:
        if time.monotonic() < self.cut_until:
            raise LinkDown("no route to the broker", "tcp")
        return Link(self.credentials.endpoint(), will, events)

    def _wishes(self) -> Dispatch:
        return Dispatch(self.publisher.wishes, self._clock, self._handler, self.connector.wake)

    def _handler(self, kind: str, desk: WishDesk) -> WishHandler | None:
        match kind:
            case "certificate":
                return CertificateHandler(desk, self.credentials, is_kept=True)
            case "request":
                check = (sys.executable, "-m", "titik_agent", "check", "--config", self._config())
                looker = Looker(self.name, check, tuple, tuple, Concealing(), desk.wake)
                return QuestionHandler(desk, looker)
        return super()._handler(kind, desk)

    def _config(self) -> str:
        return str(self.home / "etc/titik/agent.toml")


class DistantFleet(Fleet):
    """Its agents die and begin again."""

    def __init__(self, nodes: list[Distant]) -> None:
        super().__init__(nodes)
        self.lives: list[Distant] = nodes
        self.taken: dict[str, int] = {}  # by run, of lives that ended

    def restart(self, at: int, version: str | None = None) -> Distant:
        """The agent of that router dies, and begins again."""
        old = self.lives[at]
        old.die()
        self.taken[old.run] = old.sampler.seq
        self._when.pop(old, None)
        self._watched.pop(old, None)
        new = self.lives[at] = old.next_life(version)
        if new.version == BAD:
            new.cut(1e9)
        self._plan(new, 0.0)
        return new


class Nemesis:
    """Strikes at random until all is to heal."""

    def __init__(
        self,
        rand: random.Random,
        fleet: DistantFleet,
        broker: RunningBroker,
        collect: Callable[[], Process],
        every_s: float,
    ) -> None:
        self._rand, self._fleet, self._broker, self._collect = rand, fleet, broker, collect
        self._collector: Process | None = collect()
        self._every_s = every_s
        self._at = time.monotonic() + every_s
        self._mends: list[tuple[float, str, Callable[[], None]]] = []
        self.struck = 0

    def step(self) -> None:
        """Strike and mend what is due."""
        now = time.monotonic()
        for mend in [one for one in self._mends if one[0] <= now]:
            self._mends.remove(mend)
            mend[2]()
        if now >= self._at:
            self._at = now + self._rand.uniform(0.05, 1.95) * self._every_s
            self._strike(self._rand.choice(("agent", "agent", "uplink", "broker", "collector")))

    def heal(self) -> None:
        """Everything runs, and nothing strikes any more."""
        self._at = float("inf")
        for mend in self._mends:
            mend[2]()
        self._mends.clear()

    def end(self) -> None:
        """The collector stops as it should."""
        assert self._collector is not None
        self._collector.stop()

    def _strike(self, what: str) -> None:
        lasts_s = self._rand.uniform(0.3, 4.0)
        if any(one[1] == what for one in self._mends):
            return
        self.struck += 1
        mend: Callable[[], None] | None = None
        match what:
            case "agent":
                at = self._rand.randrange(len(self._fleet.lives))
                if self._fleet.lives[at].version != BAD:
                    self._fleet.restart(at)
            case "uplink":
                for node in self._rand.sample(self._fleet.lives, len(self._fleet.lives) // 5):
                    if node.version != BAD:
                        node.cut(lasts_s)
            case "broker":
                self._broker.stop(signal.SIGKILL)
                mend = self._broker.start
            case "collector":
                assert self._collector is not None
                self._collector.kill()
                mend = self._start
        if mend is not None:
            self._mends.append((time.monotonic() + lasts_s, what, mend))

    def _start(self) -> None:
        self._collector = self._collect()


class Distance:
    """One city, and what its operator does to it while the nemesis strikes."""

    def __init__(
        self,
        trial: Trial,
        city: City,
        fleet: DistantFleet,
        nemesis: Nemesis,
        helpers: list[UpgradeHelper],
    ) -> None:
        self._trial, self.city, self._fleet = trial, city, fleet
        self._nemesis, self._helpers = nemesis, helpers
        self._look_at = 0.0
        self._patience_s = 240.0 if trial.count <= 50 else 1500.0

    def run(self, seconds: float) -> None:
        """Time passes."""
        self._fleet.run(time.monotonic() + seconds, self._meanwhile)

    def says(self, *words: str) -> tuple[int, str]:
        """What `titik` prints, while time passes."""
        config = ("--config", str(self.city.folder / "titik.toml"))
        with (
            (self.city.folder / "shown").open("w+") as output,  # a pipe is too small
            subprocess.Popen(
                [sys.executable, "-c", CLI, *words, *config],
                stdout=output, stderr=subprocess.STDOUT, env=os.environ | {"COLUMNS": "200"},
            ) as running,
        ):  # fmt: skip
            while running.poll() is None:
                self.run(0.1)
            output.seek(0)
            return running.returncode, output.read()

    def until(self, wanted: Callable[[str], bool], what: str, *words: str) -> None:
        """A command comes to print it."""
        began = time.monotonic()
        shown = ""
        while time.monotonic() - began < self._patience_s:
            shown = self.says(*words)[1]
            if wanted(shown):
                self._trial.figures[f"{what}_s"] = round(time.monotonic() - began, 1)
                return
            self.run(2.0)
        self._trial.wrong.append(f"{what}: {'; '.join(shown.splitlines())[-600:]}")

    def must(self, *words: str, done: str | None = None) -> None:
        """A command that does what it is asked, once the broker or the store is there again.

        `done`: what it says where it has done it, and the broker died before it could answer.
        """
        shown = ""
        for _ in range(10):
            status, shown = self.says(*words)
            if status == 0 or (done is not None and done in shown):
                return
            self.run(2.0)
        self._trial.wrong.append(f"titik {' '.join(words)}: {shown[-600:]}")

    def check_versions(self) -> None:
        """Every router has the good one."""
        others = [one.name for one in self._fleet.lives if one.version != GOOD]
        if others:
            self._trial.wrong.append(f"not upgraded: {', '.join(others[:10])}")

    def _meanwhile(self) -> None:
        self._nemesis.step()
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + 0.5
            for at, helper in enumerate(self._helpers):
                version = helper.look(self._fleet.lives[at])
                if version is not None:
                    self._fleet.restart(at, version)


def from_a_distance(trial: Trial) -> None:
    """`count` routers are set, looked at, moved and upgraded; nothing they took is lost."""
    names = [f"r-{number}" for number in range(1, trial.count + 1)]
    trial.folder.mkdir(parents=True, exist_ok=True)
    city = made(trial.folder)
    file = city.folder / "titik.toml"
    text = "".join(f'[[router]]\nname = "{one}"\nsite = "{SITE}"\n' for one in names)
    file.write_text(file.read_text() + text)
    city.says("router", "add", "--all")
    is_large = trial.count > 50
    every_s, first_s = (10.0, 20.0) if is_large else (0.5, 0.5)
    for name in names:
        city.enrol(name, city.folder / name)
    port = city.broker.ports.router
    fleet = DistantFleet([Distant(city.folder / one, port, every_s, first_s) for one in names])
    tried_s = TRIED_OF_MANY_S if is_large else TRIED_S
    # A bad version never gets an ack; a good one gets it, whatever is down meanwhile.
    waits_s = {BAD: tried_s, GOOD: max(tried_s, 60.0)}
    helpers = [UpgradeHelper(city.folder / one / PACKAGES, waits_s.__getitem__) for one in names]
    log = city.folder / "collector.log"
    with RunningBroker(city.broker, restarts=True) as broker:
        nemesis = Nemesis(
            trial.rand, fleet, broker,
            lambda: Process(log, "-c", hurried(tried_s), "collect", "--config", str(file)),
            FAULT_OF_MANY_S if is_large else FAULT_S,
        )  # fmt: skip
        distance = Distance(trial, city, fleet, nemesis, helpers)
        _look_after(distance, trial.count)
        nemesis.heal()
        _drain(distance, fleet, trial)
        nemesis.end()
    for helper in helpers:
        helper.close()
    taken = sum(fleet.taken.values()) + sum(one.sampler.seq for one in fleet.lives)
    _judge(trial, city, taken)
    trial.figures |= {"routers": trial.count, "taken": taken, "cycles": nemesis.struck}


def _look_after(distance: Distance, count: int) -> None:
    """What an operator does, one after the other; each must come to its end."""
    distance.run(5.0)
    distance.must("router", "set", "--all", "log_level=warning", "probe=false")
    distance.until(lambda shown: shown.count("applied") >= count, "set", "router", "set", "--all")
    for name in ("r-1", "r-2"):
        distance.until(
            lambda shown: "config: router" in shown, f"check_{name}", "router", "check", name
        )
    _move(distance)
    distance.must("fleet", "upgrade", BAD, "--canary", "3", "--wave", "30%")
    distance.until(lambda shown: "halted by itself" in shown, "halted", "fleet")
    distance.must("fleet", "stop")
    distance.must("fleet", "upgrade", GOOD, "--canary", "3", "--wave", "30%")
    distance.until(lambda shown: f"{GOOD} is over" in shown, "upgraded", "fleet")
    distance.check_versions()


def _move(distance: Distance) -> None:
    """To another authority, whose predecessor's key is lost; then nobody trusts that one."""
    show = ("broker", "authority")
    distance.must(*show, "next", "--again")
    distance.until(lambda shown: ALL in shown, "knows_next", *show)
    (distance.city.broker.path / "ca/ca.key").unlink()
    distance.must(*show, "switch", done="the authority before is still trusted")
    distance.until(lambda shown: ALL in shown, "moved", *show)
    distance.must(*show, "forget", done="there is no authority before to forget")
    distance.until(lambda shown: ALL in shown and "before" not in shown, "forgot", *show)


def _drain(distance: Distance, fleet: DistantFleet, trial: Trial) -> None:
    """Every sample that is still on a router is acknowledged."""
    for node in fleet.lives:
        node.is_sampling = False
    until = time.monotonic() + 240
    while any(node.spool.spooled for node in fleet.lives) and time.monotonic() < until:
        distance.run(0.5)
    left = sum(node.spool.spooled for node in fleet.lives)
    if left:
        trial.wrong.append(f"{left} samples were not acknowledged")
    fleet.stop()


def _judge(trial: Trial, city: City, taken: int) -> None:
    """The books of the store, beside what the routers counted."""
    with closing(open_reader(city.folder / "titik.db")) as db:
        trial.wrong += conservation.findings(db)
        row = db.execute("SELECT SUM(taken), SUM(stored), SUM(lost) FROM v_conservation").fetchone()
    known, stored, lost = (int(one or 0) for one in row)
    trial.figures |= {"stored": stored, "lost": lost}
    if (known, stored, lost) != (taken, taken, 0):
        trial.wrong.append(f"taken {taken}: known {known}, stored {stored}, lost {lost}")
