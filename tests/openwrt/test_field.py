"""A router from the packages to the store: enrolled by the page, and with a clock that is wrong."""

import datetime as dt
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.agent.fake_ubusd import FakeUbusd
from tests.broker.enrolled import City
from tests.broker.running import ROOT, RunningBroker
from tests.openwrt.field import SERVER, equip, hostapd, instance, running, until
from tests.openwrt.router import UID, Router, environment
from tests.openwrt.test_feeds import SERVED, serving, steps
from titik_collector.feed.feed_folder import write_feeds
from titik_collector.feed.signing_keys import keys_in

pytestmark = pytest.mark.system

NAME = "tirosa-1"
PAGE = (ROOT / "docs/routers.md").read_text()
FIREWALL = "config defaults\n\toption flow_offloading '1'\n"
MARK = 200  # bytes; a sample is larger, what else a spool has is not
KICK = {"name": "titik-agent", "instance": "agent"}  # of procd's watchdog
HOTPLUG = ". /etc/hotplug.d/ntp/50-titik-agent"


@dataclass
class Field:
    """A city that works, and a router that has nothing yet but Python."""

    city: City
    router: Router
    ubusd: FakeUbusd

    @property
    def bundle(self) -> Path:
        return self.city.folder / f"broker/secrets/{NAME}.sh"

    def log(self, name: str) -> Path:
        return self.city.folder / f"{name}.log"

    def samples(self, which: str = "TRUE") -> list[str]:
        """When each stored sample was taken, as the store has it now; `which`: a condition."""
        store = self.city.folder / "titik.db"
        if not store.exists():
            return []
        with closing(sqlite3.connect(store)) as db:
            try:
                return [
                    at for (at,) in db.execute(f"SELECT at FROM v_sample WHERE {which} ORDER BY at")
                ]
            except sqlite3.OperationalError:  # not made yet
                return []


@pytest.fixture
def field(city: City, python: str, packages: list[Path], tmp_path: Path) -> Iterator[Field]:
    """Broker and collector run; hostapd is there, and NTP has not spoken."""
    router = Router(tmp_path / "router")
    equip(router, python, packages[0])
    city.says("router", "add", NAME, "--site", "taman-tirosa")
    paths = environment() | {"PYTHONPATH": f"{ROOT / 'broker'}:{ROOT / 'agent'}"}
    collect = (*SERVER, "collect", "--config", str(city.folder / "titik.toml"))
    with (
        hostapd(router) as ubusd,
        RunningBroker(city.broker),
        running(*collect, log=tmp_path / "collector.log", env=paths) as output,
    ):
        until(lambda: "broker connected" in output(), output)
        yield Field(city, router, ubusd)


def follow(field: Field, heading: str, address: str = "") -> str:
    """Do what a chapter says, word for word; what the router printed."""
    printed = []
    for line in steps(heading, "ipks"):
        words = line.split()
        match words[0]:
            case "make" | "ssh":
                pass  # the feed is made; what follows is on the router
            case "scp":
                made = field.city.folder / words[2].removeprefix("var/")
                source = made if made.exists() else field.bundle
                assert source.name == Path(words[2]).name
                shutil.copy(source, field.router.root / words[3].partition(":/")[2])
            case _:
                done = field.router.shell("sh", "-c", line.replace(SERVED, address))
                assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
                printed.append(done.stdout)
    return "".join(printed)


def test_the_page_can_be_followed_word_for_word(field: Field, packages: list[Path]) -> None:
    """Install, enrol, set, read the log, remove: the router reports, and then nothing is left."""
    router = field.router
    router.uci(FIREWALL, "firewall")
    router.program("etc/init.d/firewall", "exit 0")
    feed = field.city.folder / "feed"
    write_feeds(packages, feed, keys_in(field.city.folder / "feed-keys"), None)
    router.tool("signify-openbsd")
    with serving(feed) as address:
        follow(field, "Install", address)
    assert "not enrolled" in follow(field, "What the log says")
    router.shell("sh", "-c", HOTPLUG, ACTION="stratum")

    output = follow(field, "Enrol")
    chapter = PAGE.split("\n## Enrol\n")[1].split("\n## ")[0]
    promised = re.findall(r"^    (ok    [^…\n]+)", chapter, re.M)
    assert len(promised) == 9
    assert [] == [one for one in promised if output.count(one.strip()) != 2], output
    assert not (router.root / f"tmp/{NAME}.sh").exists()
    assert (router.root / "etc/rc.d/S95titik-agent").exists()
    spool = router.root / "var/run/titik-agent/spool"
    assert {UID} == {one.stat().st_uid for one in [spool, *spool.rglob("*")]}  # check ran as root

    command, env = instance(router)
    before = len(field.samples())
    with running(*command, log=field.log("agent"), env=env) as agent:
        until(lambda: len(field.samples()) > before, agent)
        until(lambda: KICK in field.ubusd.given, agent)
        until(lambda: len(field.samples("clients IS NOT NULL")) > 0, agent)  # hostapd is read
    # ubusd is a thread of this process, which may come late.
    late = ("source failed", "watchdog not kicked")
    warned = [one for one in agent().splitlines() if "WARNING" in one]
    assert [] == [one for one in warned if not any(what in one for what in late)]

    with serving(feed) as address:
        router.says("sed", "-i", f"s|http://[^ ]*|{address}/24.10|", "/etc/opkg/customfeeds.conf")
        follow(field, "Upgrade", address)
    follow(field, "Settings")
    toml = (router.root / "var/run/titik-agent/agent.toml").read_text()
    assert "interval_s = 60\n" in toml
    follow(field, "Byte counts and flow offload")
    assert "flow_offloading '0'" in (router.root / "etc/config/firewall").read_text()
    follow(field, "Remove")
    left = {str(one.relative_to(router.root)) for one in router.root.rglob("*titik*")}
    assert {one for one in left if not one.startswith(("tmp/", "var/", "proc/"))} == set()


def test_a_router_that_wakes_in_1970_waits_for_nothing(
    field: Field, packages: list[Path], tmp_path: Path
) -> None:
    """It samples at once, is kept out by TLS, and once NTP has spoken all of it is in its place."""
    router, began = field.router, dt.datetime.now(dt.UTC).isoformat()
    router.install(packages[0])
    shutil.copy(field.bundle, router.root / "tmp/bundle.sh")
    assert "is set up" in router.shell("sh", "/tmp/bundle.sh").stdout
    already = len(field.samples())  # of its check, which had no reason to fail
    router.says("uci", "set", "titik-agent.main.interval_s=10")
    router.says("uci", "commit", "titik-agent")
    router.service("titik-agent", "reload")
    clock = router.root / "tmp/clock"
    clock.write_text("1970-01-01 00:05:00\n")
    (wrong,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    (router.root / str(wrong.parent)[1:]).mkdir(parents=True, exist_ok=True)
    shutil.copy(wrong, router.root / str(wrong)[1:])
    command, env = instance(
        router, f"LD_PRELOAD={wrong}", "FAKETIME_TIMESTAMP_FILE=/tmp/clock", "FAKETIME_NO_CACHE=1",
        "DONT_FAKE_MONOTONIC=1", "TZ=UTC",
    )  # fmt: skip
    with running(*command, log=tmp_path / "agent.log", env=env) as agent:
        until(lambda: "not yet valid: is this router's clock set?" in agent(), agent)
        spool = router.root / "var/run/titik-agent/spool"
        until(lambda: any(one.stat().st_size > MARK for one in spool.iterdir()), agent)
        assert already == len(field.samples())
        clock.write_text("+0\n")
        router.shell("sh", "-c", HOTPLUG, ACTION="step")
        until(lambda: len(field.samples()) >= already + 3, agent, 300)
    assert [] == [at for at in field.samples() if at < began]
