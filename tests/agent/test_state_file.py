"""The state file: what the router's own page shows, and what it must never show."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.fake_broker import FakeBroker
from tests.agent.test_connector import ABOUT, Router
from tests.agent.test_sampler import FakeClock, Fixed
from tests.ports import free_port
from titik_agent import config
from titik_agent.limits import MAX_WAYS
from titik_agent.sampling.sampler import Sampler
from titik_agent.sampling.source import Source, SourceError
from titik_agent.state_file import StateWriter
from titik_wire import __version__, topics
from titik_wire.codec import encode
from titik_wire.limits import MAX_NETS
from titik_wire.messages import Ack, AckedRun, Bss, CollectorStatus, Net

MAC = re.compile(r"([0-9a-f]{2}[:-]){5}[0-9a-f]{2}|[0-9a-f]{12}", re.IGNORECASE)
HOSTAPD = Fixed("hostapd", "bss", (Bss("phy0-ap0", ssid="Kota", clients=3, active=1),))
UPLINK = Net("eth0", "uplink", True, "b0", 1, 2)
NETS = Fixed("interfaces", "net", (UPLINK, Net("br-lan", "lan", True, "b0", 1, 2)))


class Agent:
    """A router's parts that the file is about, stepped by hand."""

    def __init__(
        self,
        path: Path,
        port: int,
        *sources: Source,
        clock: FakeClock | None = None,
        spool: Path | None = None,
    ) -> None:
        self.path = path
        self.router = Router(port, directory=None if spool is None else str(spool))
        self.clock = clock or FakeClock()
        self.router.now = self.clock.monotonic()
        self.spool = self.router.spool
        self.sampler = Sampler("r1", ABOUT.run, self.clock, self.spool, sources, rss_bytes=int)
        self.file = StateWriter(
            str(path), f"mqtt.example:{port}", self.clock, self.spool, self.sampler,
            self.router.connector, self.router.publisher.collectors, "r1", 30,
        )  # fmt: skip
        self.router.connector.changed = self.file.changed

    def later(self, seconds: int) -> None:
        """Move every clock, and step."""
        self.clock.now_ms += seconds * 1000
        self.router.later(seconds)

    def sample(self) -> None:
        """As the loop does."""
        sample, payload = self.sampler.take()
        self.spool.append(sample.run, sample.seq, payload)
        self.router.connector.wake()
        self.file.sampled()
        self.router.connector.step()

    def shown(self) -> Any:
        """What is in the file now."""
        return json.loads(self.path.read_text())


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    """A broker that a test plays."""
    with FakeBroker() as fake:
        yield fake


def test_before_the_first_sample_it_says_what_is_known(tmp_path: Path) -> None:
    """Who and what runs; what was not looked at is not called well."""
    agent = Agent(tmp_path / "state.json", 1883, HOSTAPD)
    agent.file.write()
    assert {
        "v": 1,
        "router": "r1",
        "version": __version__,
        "python": agent.shown()["python"],
        "uptime_ms": 1_000_000,
        "clock": "ntp",
        "interval_s": 30,
        "settings": None,
        "broker": {
            "where": "mqtt.example:1883",
            "connected": False,
            "since_ago_ms": 0,
            "reason": None,
            "next_try_ms": 0,
            "collectors": 0,
            "acked_ago_ms": None,
        },
        "spool": {
            "samples": 0, "bytes": 0, "oldest_ago_ms": None, "merged": 0, "lost": 0, "corrupt": 0,
        },
        "sources": [{"name": "hostapd", "state": "unread"}],
        "sample": None,
    } == agent.shown()  # fmt: skip


@pytest.mark.usefixtures("caplog")
def test_what_was_acknowledged_is_no_part_of_the_spools_size(tmp_path: Path) -> None:
    """It stays on disk while there is room, and waits for nothing."""
    agent = Agent(tmp_path / "state.json", free_port(), HOSTAPD, spool=tmp_path / "spool")
    agent.sample()
    agent.spool.settle(Ack("r1", (AckedRun(ABOUT.run, 1),)))
    agent.sample()
    shown = agent.shown()["spool"]

    assert (1, 2) == (shown["samples"], round(agent.spool.used_bytes / shown["bytes"]))
    agent.spool.close()


@pytest.mark.usefixtures("caplog")
def test_without_a_broker_it_names_the_reason_and_what_waits(tmp_path: Path) -> None:
    """Written with each sample, because no ack will come, and with each attempt."""
    agent = Agent(tmp_path / "state.json", free_port(), HOSTAPD, NETS)
    agent.router.connector.step()
    assert "check broker.port" in agent.shown()["broker"]["reason"]
    for _ in range(3):
        agent.later(30)
        agent.sample()
    shown = agent.shown()
    assert (3, 60_000, None) == (
        shown["spool"]["samples"],
        shown["spool"]["oldest_ago_ms"],
        shown["broker"]["acked_ago_ms"],
    )
    assert 0 < shown["broker"]["next_try_ms"] < 300_000
    assert {
        "seq": 3, "ago_ms": 0, "clients": 3, "off_air": False, "flow_offload": False,
        "uplinks": [{"ifname": "eth0", "up": True}],
    } == shown["sample"]  # fmt: skip


def test_while_acks_come_it_is_written_once_a_sample(tmp_path: Path, broker: FakeBroker) -> None:
    """With the ack: a page that showed one sample waiting, for ever, would frighten people."""
    agent = Agent(tmp_path / "state.json", broker.port, HOSTAPD)
    agent.router.connector.step()
    session = agent.router.accepted(broker)
    assert agent.shown()["broker"]["connected"]
    online = encode(CollectorStatus("main", "online", "1.0"))
    session.publish(topics.collector("main"), online)
    agent.router.pump(lambda: bool(agent.router.publisher.collectors.online))
    agent.later(30)
    before = agent.path.stat().st_ino, agent.shown()
    agent.sample()
    assert before == (agent.path.stat().st_ino, agent.shown())
    session.puback(session.published().mid)
    acked = Ack("r1", (AckedRun(ABOUT.run, 1),))
    session.publish(topics.ack("r1"), encode(acked))
    agent.router.pump(lambda: not agent.spool.spooled)
    assert (0, 0, 1) == (
        agent.shown()["broker"]["acked_ago_ms"],
        agent.shown()["spool"]["samples"],
        agent.shown()["sample"]["seq"],
    )


@pytest.mark.usefixtures("caplog")
def test_a_source_that_fails_has_its_reason_until_it_is_back(tmp_path: Path) -> None:
    """And one that this router does not have is no failure."""
    hostapd = Fixed("hostapd", "bss", SourceError("no hostapd.* objects: is Wi-Fi up?"), ())
    agent = Agent(tmp_path / "state.json", free_port(), hostapd, Fixed("probe", "probe", None))
    agent.sample()
    failed = {
        "name": "hostapd", "state": "failed", "reason": "no hostapd.* objects: is Wi-Fi up?",
    }  # fmt: skip
    assert [failed, {"name": "probe", "state": "none"}] == agent.shown()["sources"]
    agent.sample()
    assert {"name": "hostapd", "state": "ok"} == agent.shown()["sources"][0]


def test_it_is_the_user_s_alone_and_goes_with_the_agent(tmp_path: Path) -> None:
    """rpcd reads it as root; a page that finds none says that the agent does not run."""
    agent = Agent(tmp_path / "state.json", 1883, HOSTAPD)
    agent.file.write()
    assert 0o600 == agent.path.stat().st_mode & 0o777
    assert ["state.json"] == os.listdir(tmp_path)
    agent.file.remove()
    assert [] == os.listdir(tmp_path)


def test_a_full_disk_is_logged_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Reports go out all the same."""
    agent = Agent(tmp_path / "none" / "state.json", free_port(), HOSTAPD)
    agent.sample()
    agent.sample()
    assert 1 == caplog.text.count("state file cannot be written")


class UncertainClock(FakeClock):
    """One with a bug, while the test wants it."""

    fails = False

    def monotonic(self) -> float:
        """Asked by the state file alone."""
        if self.fails:
            raise KeyError("monotonic")
        return super().monotonic()


def test_a_bug_in_it_costs_the_file_and_no_report(
    tmp_path: Path, broker: FakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """In neither thread; the log has its place, once, and the file is back when it is over."""
    clock = UncertainClock()
    agent = Agent(tmp_path / "state.json", broker.port, HOSTAPD, clock=clock)
    clock.fails = True
    agent.router.connector.step()
    session = agent.router.accepted(broker)
    agent.sample()
    assert topics.sample("r1") == session.published().topic
    agent.sample()
    assert [] == os.listdir(tmp_path)
    assert 1 == caplog.text.count("state file cannot be written")
    assert 1 == caplog.text.count("Traceback")
    clock.fails = False
    agent.sample()
    assert agent.shown()["broker"]["connected"]


ADDRESSES = st.binary(min_size=6, max_size=6).flatmap(
    lambda octets: st.sampled_from(
        [octets.hex(), octets.hex(":"), octets.hex("-"), octets.hex(":").upper()]
    )
)
REASONS = st.lists(st.one_of(st.text(max_size=300), ADDRESSES), min_size=1, max_size=6).map("".join)


@pytest.mark.usefixtures("caplog")
@given(reason=REASONS, ways=st.integers(0, MAX_NETS))
def test_whatever_fails_it_is_small_and_shows_no_address(
    tmp_path_factory: pytest.TempPathFactory, reason: str, ways: int
) -> None:
    """No reason has one; a driver or a library of tomorrow may be less careful."""
    path = tmp_path_factory.getbasetemp() / "state.json"
    nets = tuple([Net(f"interface{n:05}", "uplink", True, "b0", 1, 2) for n in range(ways)])
    leases = Fixed("leases", "leases", SourceError(reason))
    agent = Agent(path, 1883, leases, Fixed("interfaces", "net", nets))
    agent.router.connector.trouble = reason
    agent.sample()
    raw = path.read_bytes()
    assert len(raw) < 4096
    shown = agent.shown()
    assert "failed" == shown["sources"][0]["state"]
    texts = [one.get("reason") or "" for one in (*shown["sources"], shown["broker"])]
    assert [] == [text for text in texts if MAC.search(text)]
    assert len((shown["sample"] or {"uplinks": ()})["uplinks"]) <= MAX_WAYS


@pytest.mark.usefixtures("caplog")
def test_it_has_neither_the_password_nor_the_name_of_a_network(tmp_path: Path) -> None:
    """Of a whole agent's settings only the broker's address and the router's name are in it."""
    secret, where = "correct horse battery", tmp_path / "agent.toml"
    (tmp_path / "password").write_text(secret)
    where.write_text(
        f'router = "r1"\nstate_file = "{tmp_path}/state.json"\n'
        '[broker]\nhost = "mqtt.example"\npassword_file = "password"\n'
    )
    settings = config.load(str(where))
    assert secret == config.password(settings)
    agent = Agent(Path(settings.state_file or ""), 1883, HOSTAPD, NETS)
    agent.sample()
    text = agent.path.read_text()
    assert [] == [one for one in (secret, "Kota", "phy0-ap0", "password") if one in text]
