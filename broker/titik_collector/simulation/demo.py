"""`titik demo`: everything for real on one machine, and a live table of it.

A private broker, the collector, one real agent on this machine, and Kupang's ten hotspots as a
simulated fleet. Each is a process of its own, started by the same commands that an operator types.
Rule: what a run leaves behind, the next goes on with, except ports that others have taken since.
Rule: one demo in a directory at a time; a second one touches nothing there.
"""

import contextlib
import itertools
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from titik_agent.config import Sources
from titik_collector.accounts.audit import Actor
from titik_collector.broker_setup import broker_init
from titik_collector.broker_setup.broker_folder import BrokerError, BrokerFolder
from titik_collector.config import edit, model
from titik_collector.config.model import (
    DEMO_FIRST_WAIT_S,
    DEMO_INTERVAL_S,
    DEMO_SPEED,
    Config,
)
from titik_collector.config.page_tables import page_address
from titik_collector.config.site_tables import Router
from titik_collector.desk import acks, posting
from titik_collector.figures.windows import minute
from titik_collector.queries import status
from titik_collector.rollups.worker import GRACE_MS
from titik_collector.screens import status_screen
from titik_collector.simulation import delivery
from titik_collector.simulation.fleet import WorldTime
from titik_collector.store import conservation, desk_opening, incident_rows, opening, simulated
from titik_collector.store.database import StoreError
from titik_collector.store.lease import lease
from titik_wire import topics

HERE = "this-machine"
CUT = "ketapang-1"
HISTORY = "history city --window 1m --since 1h"
# Late enough for somebody who opens the page first. Longer than the 30 s that the broker waits
# before it publishes the will, and the minute that a message waits for more. It comes again for
# those who open the page later.
CUT_AFTER_S, CUT_LENGTH_S, CUT_EVERY_S = 20, 150, 1200
LAST_MESSAGE_S = 1.0  # for the last message on its way, after the routers stopped
STOP_S = 10.0
BROKER_S = 10.0
PAST_SAMPLES_PER_HOUR = 20_000  # of a router: two months of merged ones, and the present


MAIL = "mail"  # the folder of its e-mails
ACTOR = "demo"  # who acknowledges
_PASTLESS = "this demo was begun without a past; for a new one that has it: rm -r {}"
# Rules are quicker than a city's, because nobody watches a demo for a quarter of an hour.
ALERTS = f"""
[[receiver]]
name = "demo"
type = "folder"
folder = "{MAIL}"

[[route]]
receivers = ["demo"]

[[alert]]
kind = "site-offline"
severity = "critical"
for_minutes = 0.5
keep_minutes = 0.2

[[alert]]
kind = "flapping"  # the same place is cut again and again
on = false
"""


class Demo:
    """The demo's directory and its processes."""

    def __init__(self, directory: Path, example: Path, past_days: int = 0) -> None:
        """`past_days`: how many days of a past it gets, if it is new; 0: none is sent."""
        self._directory = directory
        self._past_days = past_days
        self._file = directory / "titik.toml"
        self._logs: dict[str, Path] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._acked: set[int] = set()
        self.config = self._prepare(example)
        assert self.config.broker.directory is not None
        self.broker = BrokerFolder.open(self.config.broker.directory)

    def _prepare(self, example: Path) -> Config:
        """Copy the example once, put this machine into it, and make the broker."""
        self._directory.mkdir(parents=True, exist_ok=True)
        if not self._file.exists():
            text = _keeping(example.read_text(encoding="utf-8"), self._past_days)
            text = _without_hours(text, CUT.rsplit("-", 1)[0]) + ALERTS
            self._file.write_text(text, encoding="utf-8")
            made = model.load(self._file)
            # A place of its own would be counted as a hotspot, and has no visitors.
            edit.add_many(made, [Router(name=HERE, site=made.site[-1].name)])
        made = self._with_free_port(model.load(self._file))
        assert made.broker.directory is not None
        names = tuple(one.name for one in made.router)
        request = broker_init.Request(collector_id=made.collector.id, routers=names, move=True)
        broker_init.init(made.broker.directory, request)
        return made

    def _with_free_port(self, made: Config) -> Config:
        """The page gets another port where its own was taken since."""
        text = self._file.read_text(encoding="utf-8")
        if "\n[web]\n" in text and broker_init.is_free(made.web.host, made.web.port):
            return made
        ports = itertools.count(made.web.port)
        port = next(one for one in ports if broker_init.is_free(made.web.host, one))
        if "\n[web]\n" in text:
            text = re.sub(r"(\n\[web\]\nport = )\d+", rf"\g<1>{port}", text)
        else:
            text += f"\n[web]\nport = {port}\n"
        self._file.write_text(text, encoding="utf-8")
        return model.load(self._file)

    @property
    def page(self) -> str:
        """Where the page is."""
        return page_address(self.config.web)

    @property
    def mail(self) -> Path:
        """Where the e-mails are."""
        return self._directory / MAIL

    def start(self) -> None:
        """Broker, collector, page, notifier, agent and fleet, in that order."""
        self.make_past()
        self._spawn("broker", "titik_collector", "broker", "run", str(self.broker.path))
        self._wait_for_broker()
        self._spawn("collector", "titik_collector", "collect", "--config", str(self._file))
        self._spawn("page", "titik_collector", "web", "--config", str(self._file))
        self._spawn("notifier", "titik_collector", "notify", "--config", str(self._file))
        self._spawn("agent", "titik_agent", "run", "--config", str(self._agent_file()))
        self._spawn(
            "fleet", "titik_collector", "simulate", "--config", str(self._file),
            "--interval", str(DEMO_INTERVAL_S), "--speed", str(DEMO_SPEED),
            "--first-wait", str(DEMO_FIRST_WAIT_S), "--leave", HERE,
            "--outage", f"{CUT}:{CUT_AFTER_S}:{CUT_LENGTH_S}:{CUT_EVERY_S}",
            "--spools", str(self._directory / "spools"), *(["--past"] if self._past_days else []),
        )  # fmt: skip

    def stop(self) -> None:
        """Routers first, so that the collector can still store and ack their last samples."""
        self._end("fleet", signal.SIGINT)
        self._end("agent", signal.SIGTERM)
        time.sleep(LAST_MESSAGE_S)
        self._end("page", signal.SIGTERM)
        self._end("notifier", signal.SIGTERM)
        self._end("collector", signal.SIGTERM)
        self._end("broker", signal.SIGTERM)

    def acknowledge(self) -> None:
        """Somebody handles an incident as soon as its message has come."""
        if not any(self.mail.glob("*.eml")):
            return
        at_ms, where = now_ms(), self.config.store
        with opening.reading(where, self._file) as db:
            incidents = {one.number for one in incident_rows.since(db, at_ms) if one.message_ms}
        if new := incidents - self._acked:
            with desk_opening.opened(where) as desk:
                for number in sorted(new):
                    acks.acknowledge(desk, number, "", Actor(ACTOR, None, at_ms))
                posting.post(desk, where)
            self._acked |= new

    def dead(self) -> list[str]:
        """Processes that ended by themselves, with the end of what they logged."""
        found = []
        for name, process in self._processes.items():
            if process.poll() is not None:
                text = self._logs[name].read_text(encoding="utf-8", errors="replace")
                found.append(f"{name} ended ({process.returncode}): {' '.join(text.split()[-60:])}")
        return found

    def log(self, name: str) -> Path:
        """Where a process writes its log."""
        return self._logs[name]

    def make_past(self) -> None:
        """Before the first collector: what is simulated, and since when the routers are there."""
        if self._past_days and not opening.exists(self.config.store):
            routers = [one.name for one in self.config.router if one.name != HERE]
            delivery.begin(self.config, routers, self._past_days, now_ms())

    def lacks_past(self) -> bool:
        """It was begun without one, which cannot come any more."""
        if not self._past_days or not opening.exists(self.config.store):
            return False
        with opening.reading(self.config.store, self._file) as db:
            return simulated.span(db) is None

    def _wait_for_broker(self) -> None:
        """An agent that is refused waits up to 30 s, which is long to watch."""
        until = time.monotonic() + BROKER_S
        while time.monotonic() < until and not self.dead():
            try:
                socket.create_connection((self.broker.host, self.broker.ports.router), 1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return

    def _agent_file(self) -> Path:
        file = self._directory / "agent.toml"
        file.write_text(
            f'router = "{HERE}"\ninterval_s = {DEMO_INTERVAL_S}\n\n[broker]\n'
            f'host = "{self.broker.host}"\nport = {self.broker.ports.router}\n'
            f'password_file = "{self.broker.password_file(HERE).resolve()}"\n\n'
            f'[spool]\ndirectory = "{(self._directory / "spool").resolve()}"\n'
            f"{_sources(Sources())}",
            encoding="utf-8",
        )
        return file

    def _spawn(self, name: str, package: str, *arguments: str) -> None:
        self._logs[name] = self._directory / f"{name}.log"
        # A shell that starts the demo in its background has SIGINT ignored, which is inherited.
        hears = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        code = f"{hears}; from {package}.__main__ import main; main()"
        with self._logs[name].open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-c", code, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is ours to pass on, in the right order
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def _end(self, name: str, number: signal.Signals) -> None:
        process = self._processes.get(name)
        if process is None or process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _keeping(example: str, days: int) -> str:
    """The city's file with room for a past: what is older than samples are kept is not drawn."""
    if not days or "samples_days" in example:
        return example
    keys = (
        f"samples_days = {days + 2}  # the demo's past is drawn\n"
        f"max_samples_per_hour = {PAST_SAMPLES_PER_HOUR}  # and comes in one\n"
    )
    return re.sub(r"^\[store\]\n", lambda found: found[0] + keys, example, flags=re.M)


def _without_hours(city: str, place: str) -> str:
    """The city's file with one place that is always open: a closed one raises no alert."""
    return re.sub(
        rf'^(\[\[site\]\]\nname = "[a-z-]*{place}[a-z-]*"\n(?:(?!\[).*\n)*?)hours = .*\n',
        r"\1",
        city,
        flags=re.M,
    )


def _sources(default: Sources) -> str:
    """A machine without hostapd is no access point, which is no problem that needs somebody."""
    if os.path.exists(default.ubus_socket) or os.path.exists(default.control_dir):
        return ""
    return '\n[sources]\nhostapd = "off"\n'


def run(directory: Path, example: Path, seconds: float | None, past_days: int) -> int:
    """The whole demo; exit status 1 if a part of it failed or the books do not balance."""

    def busy(holder: str) -> BrokerError:
        return BrokerError(
            f"{directory}: another demo (process {holder}) runs there; end it with Ctrl-C, or give"
            " another --directory"
        )

    with lease(directory / "demo.lock", busy):
        return _run(directory, example, seconds, past_days)


def _run(directory: Path, example: Path, seconds: float | None, past_days: int) -> int:
    console = Console()
    demo = Demo(directory, example, past_days)
    world = WorldTime(demo.config.city.timezone, DEMO_SPEED)
    failed: list[str] = []
    for line in lines_to_try(demo, now_ms(), seconds):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    with contextlib.suppress(StoreError):  # of an earlier version: the collector upgrades it
        if demo.lacks_past():
            console.print(_PASTLESS.format(shlex.quote(str(directory))), markup=False)
    try:
        demo.start()
        with _stoppable() as stopped:
            failed = _watch(demo, world, console, seconds, stopped)
    finally:
        console.print("\nstopping: routers, then the collector, then the broker")
        demo.stop()
    for line in failed:
        console.print(line, style="red", markup=False)
    good = _summary(demo, console)
    return 0 if good and not failed else 1


def _watch(
    demo: Demo,
    world: WorldTime,
    console: Console,
    seconds: float | None,
    stopped: Callable[[], bool],
) -> list[str]:
    """Show the table every second until the time is over, Ctrl-C, or a process dies."""
    until = float("inf") if seconds is None else time.monotonic() + seconds
    with Live(console=console, refresh_per_second=2, transient=False) as live:
        while time.monotonic() < until and not stopped():
            dead = demo.dead()
            if dead:
                return dead
            live.update(screen(demo, world))
            with contextlib.suppress(StoreError):  # not made yet
                demo.acknowledge()
            time.sleep(1.0)
    return []


def screen(demo: Demo, world: WorldTime) -> Group:
    """What is shown while it runs, once."""
    page = Text(f"the page of the city: {demo.page}", style="bold green")
    head = Text(
        f"Kupang; its simulated day runs {DEMO_SPEED:g} times as fast and is at {world.text()}",
        style="bold",
    )
    try:
        with opening.reading(demo.config.store, demo.config.file) as db:
            screen = status.gather(db, demo.config.city.name, now_ms())
        table = status_screen.render(screen)
    except StoreError:  # not made yet; if it cannot be, the collector ends and logs why
        table = Text("the collector is starting")
    return Group(page, head, table)


def lines_to_try(demo: Demo, at_ms: int, seconds: float | None) -> list[str]:
    """Commands to paste anywhere, and when there is something to see; `seconds`: its length."""
    made = demo.broker
    login = made.watch(made.settings.engineers[0])
    first_s = (minute(at_ms).end_ms + GRACE_MS - at_ms) // 1000
    first = f"first in {first_s} s"
    if (seconds or first_s) < first_s:
        first += ", after this demo's end"
    return [
        f"{CUT} loses its uplink {CUT_AFTER_S} s after the start for {CUT_LENGTH_S} s, and again"
        f" each {CUT_EVERY_S // 60} minutes: it goes offline half a minute later, comes back, and"
        " what it spooled is stored.",
        "As an engineer, in another terminal:",
        f"  {login} -t '{topics.ALL_NOW}'",
        f"  {login} -t '{topics.rollup('1m', 'city', '')}'   # each minute; {first}",
        f"  {login} -t '{topics.now('router', HERE)}'",
        "Or at the prompt, as long as the data is there:",
        f"  {_titik(demo, f'status {CUT}')}",
        f"  {_titik(demo, 'events --why')}   # the cause, once it is back",
        f"  {_titik(demo, HISTORY)}   # each minute; {first}",
        f"  {_titik(demo, 'alerts')}   # after two minutes; an e-mail lies in {demo.mail}",
        "To acknowledge on the page, add a user; from then on the page asks for a login:",
        f"  {_titik(demo, 'web user add me --role operator --generate')}",
        "",
        f"The page of the city: {demo.page}   # within a few seconds; Ctrl-C ends the demo",
        "",
    ]


def _summary(demo: Demo, console: Console) -> bool:
    """What was taken, stored, merged and lost, and where it lies; False if it does not add up."""
    try:
        with opening.reading(demo.config.store, demo.config.file) as db:
            totals = conservation.totals(db)
            found = conservation.findings(db)
            merged = conservation.merged(db)
    except StoreError as error:
        console.print(str(error), markup=False)
        return False
    fleet = demo.log("fleet").read_text(encoding="utf-8", errors="replace").splitlines()
    lines = [
        "",
        "of all runs so far, as far as the collector has heard:",
        f"taken {totals.taken} = stored {totals.stored} + refused {totals.refused}"
        f" + lost {totals.lost} + in spool {totals.in_spool}",
        f"merged ranges among the stored: {merged}",
        *(f"in this run the simulated {one}" for one in fleet if one.startswith("routers took")),
        "what is not yet acked is sent again in the next run, and counts once if it is stored",
        *found,
        f"the data lies in {demo.config.beside}; the same command again goes on with it",
        f"ask it: {_titik(demo, 'status')}",
        f"minutes, each computed 40 s after it ended or when the collector stopped:"
        f" {_titik(demo, HISTORY)}",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return not found


def now_ms() -> int:
    """This machine's clock."""
    return time.time_ns() // 1_000_000


def _titik(demo: Demo, words: str) -> str:
    program = Path(sys.executable).parent / "titik"
    return f"{shlex.quote(str(program))} {words} --config {shlex.quote(str(demo.config.file))}"


@contextlib.contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM end the demo, not the program."""
    caught: list[int] = []
    before = {
        number: signal.signal(number, lambda got, _frame: caught.append(got))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
