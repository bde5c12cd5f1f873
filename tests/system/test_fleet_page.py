"""What docs/fleet.md has an operator type, and docs/operating.md where `ca.key` is lost."""

import re
import shlex
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pyrage
import pytest
from click.testing import CliRunner

from tests.broker import enrolled
from tests.broker.enrolled import City
from tests.broker.running import ROOT, RunningBroker
from tests.faults.distance import PACKAGES, TRIED_S, Distant, DistantFleet, hurried
from tests.feed.test_feed_folder import ipk
from tests.system.city import Process
from tests.system.upgrade_helper import UpgradeHelper
from titik_agent.wishes.settings import SettingsHandler, SettingsPace
from titik_agent.wishes.wish_handler import WishDesk, WishHandler
from titik_collector.cli import titik

pytestmark = pytest.mark.system

FLEET = (ROOT / "docs/fleet.md").read_text()
(LOST_KEY,) = re.findall(
    r"^### `ca\.key` is lost\n(.*?)`test_a_fleet_moves",
    (ROOT / "docs/operating.md").read_text(),
    re.M | re.S,
)
NAME, ENGINEER = "tirosa-1", "budi"
PATIENCE_S = 180.0
SOON = "from titik_collector.wishes import rollout_job; rollout_job.EVERY_S = 0.2;"
RECIPIENT = str(pyrage.x25519.Identity.generate().to_public())
STANDS_FOR = (
    ("router rotate NAME", f"router rotate {NAME}"),
    ("router renew NAME", f"router renew {NAME}"),
    ("router show NAME", f"router show {NAME}"),
    ("engineer add NAME", f"engineer add {ENGINEER}"),
    ("age1...", RECIPIENT),
)


class Hasty(Distant):
    """It applies what comes without a rest."""

    def _handler(self, kind: str, desk: WishDesk) -> WishHandler | None:
        made = super()._handler(kind, desk)
        if isinstance(made, SettingsHandler):
            made._pace = SettingsPace(apply_s=0.0)
        return made


class Typed(NamedTuple):
    """A line of a page, and what it comes to print: a pattern."""

    line: str
    prints: str
    status: int = 0


SETTINGS = (
    Typed("titik router tag tirosa-1 --add lte", r"^tirosa-1: lte$"),
    Typed(
        "titik router set tirosa-1", r"settings: applied\n  wished: interval_s=10 reach_t.*true\n"
    ),
    Typed("titik router set tirosa-1 interval_s=", r"^tirosa-1: interval_s=10 becomes .*=60$"),
    Typed("titik router set --tag lte interval_s=120 --dry-run", r"^1 of 1 .*nothing was changed$"),
    Typed("titik router set --tag lte interval_s=120 --wait", r"^applied: 1 \(tirosa-1\)$"),
)
CERTIFICATES = (
    Typed("titik router renew NAME", r"^1 certificate.* signed again"),
    Typed("titik broker authority", r"^next .*\nevery router has all of it$"),
    Typed("titik router show NAME", r"^tirosa-1\b(.*\n)+.*\blogs in\b"),
    Typed("titik broker authority next", r"^there is one already"),
    Typed("titik broker authority switch", r"^the next authority is in force; 1 certificate"),
    Typed("titik broker authority forget", r"^the authority before is forgotten$"),
)
THE_REST = (
    Typed(
        "titik feed build var/feed --packages dist/ --keys var/feed-keys",
        r"^var/feed/24\.10: titik-agent_0\.1\.0",
    ),
    Typed("titik fleet upgrade 0.2.0 --canary 5 --wave 20%", r"^the upgrade to 0\.2\.0 begins"),
    Typed("titik fleet", r"^upgrade to 0\.2\.0 goes on\n.*\n  canaries      0 of 1 run it"),
    Typed("titik fleet pause", r"^the upgrade to 0\.2\.0 is paused"),
    Typed("titik fleet resume", r"^the upgrade to 0\.2\.0 goes on$"),
    Typed("titik fleet stop", r"^the upgrade to 0\.2\.0 is stopped"),
    Typed(
        "titik router check tirosa-1", r"^ok    config: router tirosa-1(.*\n)*the agent's log", 1
    ),
    Typed("titik router check --all", r"\btirosa-1\b.*\n(.*\n)*.*\b1\b", 1),
    Typed("titik router import routers.csv --dry-run", r"^\+ tirosa-2 .*\n~ tirosa-1 .*\+ roof\n"),
    Typed("titik router import routers.csv", r"^1 router.* new, 1 get"),
    Typed(
        "titik router bundles --all --to bundles.tar.age --recipient age1...",
        r"^2 bundles .*\bbundles\.tar\.age",
    ),
)
HAS_ALL = Typed("titik broker authority", r"^every router has all of it$")
OF_LOST_KEY = (
    Typed("titik broker authority", r"^next .*elsewhere\nevery router has all of it$"),
    Typed("titik broker authority switch --next-key next.key", r"^the next authority is in force"),
    Typed("titik broker authority", r"^before .*\nevery router has all of it$"),
    Typed("titik router rotate NAME", r"^run this on the router .*: broker/secrets/tirosa-1\.sh$"),
    Typed("titik broker authority forget", r"^the authority before is forgotten$"),
    Typed("titik engineer add NAME", r"\bbudi\.sh\b"),
)


def block(beginning: str) -> str:
    """The fenced block of docs/fleet.md that begins so."""
    (found,) = re.findall(rf"^```\w*\n({re.escape(beginning)}\n.*?)^```", FLEET, re.M | re.S)
    return str(found)


def printed(page: str) -> list[str]:
    """What a page has its reader type, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S)
    return [re.split(r"\s+#", line)[0] for body in blocks for line in body.splitlines()]


def in_prose(section: str) -> list[str]:
    """The same of a page that has commands between its sentences."""
    return re.findall(r"(?:^ {7}|`)(titik [^`\n]+)", section, re.M)


def come_to_print(commands: Sequence[Typed]) -> None:
    """Each is typed until it prints what it is to print."""
    for one in commands:
        line = one.line
        for what, here in STANDS_FOR:
            line = line.replace(what, here)
        until = time.monotonic() + PATIENCE_S
        while True:
            done = CliRunner().invoke(titik, shlex.split(line)[1:])
            if re.search(one.prints, done.output, re.M) and done.exit_code == one.status:
                break
            assert time.monotonic() < until, f"{one.line}\n{done.output}"
            time.sleep(0.2)


@contextmanager
def living(city: City) -> Iterator[None]:
    """A router with all that reaches it from a distance, broker and collector."""
    city.says("router", "add", NAME, "--site", "taman-tirosa")
    home = city.folder / NAME
    city.enrol(NAME, home)
    fleet = DistantFleet([Hasty(home, city.broker.ports.router, 0.5, 0.3)])
    helper = UpgradeHelper(
        home / PACKAGES, lambda _: TRIED_S
    )  # it never looks whether a version is wished
    ends = threading.Event()

    def run() -> None:
        """It takes a sample every half second, whatever is wished, and sends what it has."""
        (router,) = fleet.lives
        while not ends.is_set():
            fleet.run(time.monotonic() + 0.5)
            router.take()
            fleet._plan(router, 0.0)

    collector = ("collect", "--config", str(city.folder / "titik.toml"))
    with RunningBroker(city.broker, restarts=True):
        process = Process(city.folder / "collector.log", "-c", SOON + hurried(TRIED_S), *collector)
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            ends.set()
            thread.join()
            fleet.stop()
            helper.close()
            process.stop()


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> City:
    """Its operator types where its file is."""
    monkeypatch.chdir(tmp_path)
    return enrolled.made(tmp_path)


def test_each_command_of_the_pages_is_played() -> None:
    """In their order, as they are there."""
    assert printed(FLEET) == [one.line for one in (*SETTINGS, *CERTIFICATES, *THE_REST)]
    assert in_prose(LOST_KEY) == [one.line for one in OF_LOST_KEY]


def test_a_fleet_is_looked_after_as_printed(city: City, caplog: pytest.LogCaptureFixture) -> None:
    """From its settings to the archive of bundles."""
    (city.folder / "routers.csv").write_text(block("name,site,tags"))
    ipk(city.folder / "dist")
    with living(city):
        with (city.folder / "titik.toml").open("a") as file:
            file.write(block("[[settings]]"))
        come_to_print([*SETTINGS, *CERTIFICATES, HAS_ALL, *THE_REST])
    assert "rolled back" not in caplog.text


def test_a_lost_key_is_replaced_as_printed(city: City, caplog: pytest.LogCaptureFixture) -> None:
    """Without a visit to the router."""
    with living(city):
        shutil.move(city.broker.path / "ca/next.key", "next.key")
        (city.broker.path / "ca/ca.key").unlink()
        come_to_print(OF_LOST_KEY)
    assert "rolled back" not in caplog.text
