"""`make ha-demo`: a city on three machines, and anybody may kill what they like.

    python -m tools.cell.demo [--for SECONDS]
    python -m tools.cell.demo --kill WHAT | --start MACHINE | --cut MACHINE | --mend MACHINE

Rule: the second form asks the demo that runs, by a socket of its network namespace.
Rule: Ctrl-C while machines start acts at once; later the samples are counted first.
Rule: at the end every machine is on again, and the store is held against what routers took.
"""

import argparse
import logging
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Generic, TypeVar

import psutil
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from titik_collector.store.database import StoreError
from tools.cell import files
from tools.cell.cell import Member
from tools.cell.machine import Machine
from tools.cell.routers import Routers
from tools.cell.stage import NAME, Books, Stage

SOCKET = "\0titik-ha-demo"
MAKE = 'make ha-demo ARGS="--{} {}"'
ROLES = {"leader": "writes", "sync_standby": "takes over", "replica": "follows"}
LOOK_S = 1.0
FIRST_S = 60.0  # for the first samples; it goes on without them
ANSWER_S = 300.0  # the demo asked may still be starting its machines
QUIET_S = 3.0  # routers send each five seconds, but not all at once
AT_END_S = 120.0
STOPPED = 128 + signal.SIGINT  # the exit status, as of a shell
SIGNALS = (signal.SIGINT, signal.SIGTERM)
EACH_S = 5.0  # a line, where no screen is
T = TypeVar("T")


class Latest(threading.Thread, Generic[T]):
    """What a question was answered last; asked again and again, because an answer may take long."""

    def __init__(self, ask: Callable[[], T]) -> None:
        super().__init__(daemon=True)
        self.value: T | None = None
        self.since = time.monotonic()  # when that was
        self._ask = ask

    def run(self) -> None:
        while True:
            with suppress(StoreError):
                self.value = self._ask()
                self.since = time.monotonic()
            time.sleep(LOOK_S)


class Acks:
    """How many come, and the longest time without."""

    def __init__(self) -> None:
        self._counts: list[tuple[float, int]] = []
        self._last_s = time.monotonic()
        self.longest_s = 0.0

    def see(self, count: int) -> None:
        """So many samples are acked by now."""
        now = time.monotonic()
        if not self._counts or count > self._counts[-1][1]:
            self._last_s = now
        self.longest_s = max(self.longest_s, self.without_s)
        self._counts = [*self._counts[-10:], (now, count)]

    @property
    def without_s(self) -> float:
        """Since the last one."""
        return time.monotonic() - self._last_s

    @property
    def rate(self) -> float:
        """Each second, of the last ten."""
        (began, first), (end, last) = self._counts[0], self._counts[-1]
        return (last - first) / (end - began) if end > began else 0.0


class Demo:
    """What is seen, and what is killed."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._machines = stage.cell.machines
        self.routers = Routers(stage.city(), stage.roots, NAME, stage.broker().ports.router)
        self.acks = Acks()
        self._cut: set[str] = set()
        self.members: Latest[tuple[Member, ...]] = Latest(stage.cell.members)
        self.named: Latest[str | None] = Latest(lambda: stage.named(self._cut))
        self.books: Latest[Books] = Latest(stage.books)
        for one in (self.routers, self.members, self.named, self.books):
            one.start()

    def look(self) -> Group:
        """The screen."""
        self.acks.see(self.routers.taken - self.routers.held)
        table = Table("machine", "PostgreSQL", "collector", "routers come", box=None)
        roles = {one.name: one for one in self.members.value or ()}
        holder = self._holder()
        for name, machine in self._machines.items():
            member = roles.get(name)
            state = f"{ROLES.get(member.role, member.role)} ({member.state})" if member else "-"
            writes = "writes" if holder == name else ""
            named = "here" if self.named.value == name else ""
            table.add_row(self._state(machine), state, writes, named)
        return Group(table, Text(self.line()))

    @property
    def has_stored(self) -> bool:
        """A sample of the routers is in the store, as far as is known."""
        return self.books.value is not None and self.books.value.totals.stored > 0

    def roles(self) -> str:
        """Who does what."""
        members = self.members.value or ()
        primary = next((one.name for one in members if one.role == "leader"), "nobody")
        holder = self._holder() or "nobody"
        return f"primary {primary}, collector {holder}, routers come to {self.named.value}"

    def _holder(self) -> str:
        """The machine whose collector wrote last; empty: none that is known."""
        return self.books.value.holder.rpartition(" ")[2] if self.books.value else ""

    def line(self) -> str:
        """Acks and losses."""
        books = self.books.value
        age_s = time.monotonic() - self.books.since
        quiet_s = self.acks.without_s if self.acks.without_s > QUIET_S else 0.0
        stored = (
            f"stored {books.totals.stored}, lost {books.totals.lost}"
            if books
            else "no word of the store yet"
        )
        late = f" ({age_s:.0f} s ago)" if age_s > QUIET_S else ""
        return (
            f"acks {self.acks.rate:.1f}/s, {quiet_s:.0f} s without (longest"
            f" {self.acks.longest_s:.0f} s); taken {self.routers.taken}, {stored}{late}"
        )

    def _state(self, machine: Machine) -> str:
        if not machine.is_on:
            return f"{machine.name} off"
        return f"{machine.name} cut off" if machine.name in self._cut else machine.name

    # Commands

    def do(self, verb: str, what: str) -> str:
        """Of somebody in another terminal; what to answer."""
        match verb:
            case "kill":
                return self._kill(what)
            case "start":
                for one in self._named(what):
                    if not one.is_on:
                        self._cut.discard(one.name)
                        one.boot()
            case "cut":
                for one in self._named(what):
                    one.cut()
                    self._cut.add(one.name)
            case "mend":
                for one in self._named(what):
                    if one.is_on:
                        one.mend()
                        self._cut.discard(one.name)
        return f"{verb} {what}: done"

    def _kill(self, what: str) -> str:
        parts = {"collector": "collect", "broker": "mosquitto"}
        if what in parts:
            serves = self._holder() if what == "collector" else self.named.value
            if serves not in self._machines or not self._machines[serves].is_on:
                return f"{what}: there is none now"
            self._machines[serves].kill_processes(lambda process: _is(process, parts[what]))
            return f"{what} of {serves}: killed; it starts again as a service does"
        for one in self._named(what):
            one.kill()
            return f"{one.name} is off; again: {MAKE.format('start', one.name)}"
        return f"{what}: there is none now"

    def _named(self, what: str) -> list[Machine]:
        if what == "all":
            return list(self._machines.values())
        if what == "primary":
            primary = self._stage.cell.primary()
            return [primary] if primary else []
        return [self._machines[what]] if what in self._machines else []


def _is(process: psutil.Process, word: str) -> bool:
    """It runs this command, and is not the shell that starts it again."""
    return process.name() != "sh" and word in (*process.cmdline(), process.name())


def main() -> int:
    """The exit status: 1 if a sample was lost or is there twice."""
    parser = argparse.ArgumentParser(prog="make ha-demo")
    parser.add_argument("--for", dest="seconds", type=float, help="end after so many seconds")
    verbs = parser.add_mutually_exclusive_group()
    names = [name for _, name in files.machines()]
    killed = [*names, "primary", "collector", "broker"]
    verbs.add_argument("--kill", choices=killed, help="switch it off, or end its processes")
    verbs.add_argument("--start", choices=[*names, "all"], help="switch it on again")
    verbs.add_argument("--cut", choices=[*names, "primary"], help="take it off the network")
    verbs.add_argument("--mend", choices=[*names, "all"], help="put it back")
    options = parser.parse_args()
    for verb in ("kill", "start", "cut", "mend"):
        if what := getattr(options, verb):
            return _ask(f"{verb} {what}")
    return _play(float("inf") if options.seconds is None else options.seconds)


def _ask(command: str) -> int:
    with socket.socket(socket.AF_UNIX) as asked:
        try:
            asked.connect(SOCKET)
        except OSError:
            print("no demo runs here; start it in another terminal: make ha-demo", file=sys.stderr)
            return 1
        asked.settimeout(ANSWER_S)
        try:
            asked.sendall(command.encode())
            answer = asked.recv(1000).decode()
        except OSError:
            answer = ""
    print(answer or "the demo did not answer; look at its terminal")
    return 0 if answer else 1


def _play(seconds: float) -> int:
    console = Console()
    logging.disable(logging.WARNING)  # routers that wait are on the screen
    stopped: list[int] = []
    for number in SIGNALS:
        signal.signal(number, _leave)
    with socket.socket(socket.AF_UNIX) as asked:
        try:
            asked.bind(SOCKET)
        except OSError:
            print("another demo runs on this machine; end it with Ctrl-C", file=sys.stderr)
            return 1
        asked.listen()
        asked.settimeout(LOOK_S)
        folder = Path(tempfile.mkdtemp(prefix="titik-ha-"))
        folder.chmod(0o755)  # mosquitto has an account of its own
        try:
            print("three machines start: half a minute, or minutes beside other work", flush=True)
            with Stage(folder, lambda step: print(f"  {step}", flush=True)) as stage:
                for number in SIGNALS:
                    signal.signal(number, lambda got, _frame: stopped.append(got))
                demo = Demo(stage)
                _await_acks(demo, stopped)
                _explain(console, stage)
                _watch(demo, asked, time.monotonic() + seconds, stopped, console)
                status = _end(demo, stage, console)
                console.print("machines are switched off, and their disks removed")
            return status
        except KeyboardInterrupt:
            print("stopped; nothing is left")
            return STOPPED
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Once: what is there then is removed."""
    for number in SIGNALS:
        signal.signal(number, lambda _number, _frame: None)
    raise KeyboardInterrupt


def _await_acks(demo: Demo, stopped: list[int]) -> None:
    """Until samples are stored: who kills something sooner sees no difference."""
    print("  routers send their first samples", flush=True)
    deadline = time.monotonic() + FIRST_S
    while not demo.has_stored and not stopped and time.monotonic() < deadline:
        time.sleep(LOOK_S)


def _explain(console: Console, stage: Stage) -> None:
    lines = [
        "",
        f"The page: {stage.page}",
        "In another terminal, kill what you like:",
        *(f"  {MAKE.format('kill', what)}" for what in ("primary", "m1", "collector", "broker")),
        f"  {MAKE.format('start', 'all')}   # what is off is on again",
        f"  {MAKE.format('cut', 'm2')}   # takes a machine off the network",
        f"  {MAKE.format('mend', 'm2')}",
        "Ctrl-C ends the demo, counts the samples and removes everything.",
        "",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _watch(
    demo: Demo, asked: socket.socket, until: float, stopped: list[int], console: Console
) -> None:
    printed = 0.0
    with Live(console=console, refresh_per_second=2, transient=False) as live:
        while time.monotonic() < until and not stopped:
            live.update(demo.look())
            if not console.is_terminal and time.monotonic() > printed + EACH_S:
                printed = time.monotonic()
                print(f"{demo.roles()}; {demo.line()}", flush=True)
            with suppress(TimeoutError):
                other, _ = asked.accept()
                with other:
                    _answer(demo, other)


def _answer(demo: Demo, other: socket.socket) -> None:
    """Whoever says nothing, or has gone, stops nothing here."""
    other.settimeout(LOOK_S)
    words = b""
    with suppress(OSError):
        words = other.recv(100)
    if not words:
        return
    verb, _, what = words.decode(errors="replace").partition(" ")
    answer = demo.do(verb, what)
    with suppress(OSError):
        other.sendall(answer.encode())


def _end(demo: Demo, stage: Stage, console: Console) -> int:
    """All machines on, all that was taken acked, and the books compared."""
    console.print("ending: machines are on again, and routers get their last acks")
    demo.do("mend", "all")
    demo.do("start", "all")
    deadline = time.monotonic() + AT_END_S
    while demo.routers.held > demo.routers.many and time.monotonic() < deadline:
        demo.look()
        time.sleep(LOOK_S)
    demo.routers.stop()
    acked = demo.routers.taken - demo.routers.held
    try:
        totals, found = stage.books().totals, stage.findings()
    except StoreError as error:
        console.print(str(error), markup=False)
        return 1
    missing = max(0, acked - totals.stored)
    console.print(
        f"routers took {demo.routers.taken} samples, {acked} of them were acked;"
        f" stored {totals.stored}, lost {totals.lost + missing + demo.routers.lost},"
        f" counted twice {len(found)}; longest time without acks {demo.acks.longest_s:.0f} s",
        *found,
        sep="\n",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return 1 if totals.lost or missing or demo.routers.lost or found else 0


if __name__ == "__main__":
    sys.exit(main())
