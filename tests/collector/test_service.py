"""What systemd hears of the collector, on a real socket."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.broker.enrolled import CONFIG
from titik_collector.own_state import systemd as service
from titik_collector.own_state.systemd import EVERY_S, Service
from titik_collector.store.database import StoreError
from titik_collector.store.lease import held

ROOT = Path(__file__).parents[2]
PATH = os.pathsep.join([str(ROOT / "agent"), str(ROOT / "broker")])


class Clock:
    """Stands until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def listener(address: str) -> socket.socket:
    """As systemd's."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.settimeout(30)
    made.bind(address)
    return made


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_of_each_success(tmp_path: Path, abstract: bool) -> None:
    """But not more often than it needs to know."""
    name = f"titik-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with listener("\0" + name if abstract else name) as systemd:
        clock = Clock()
        service = Service("@" + name if abstract else name, clock)
        service.lives()
        assert b"READY=1\nWATCHDOG=1" == systemd.recv(100)
        service.lives()
        clock.now += EVERY_S
        service.lives()
        assert b"READY=1\nWATCHDOG=1" == systemd.recv(100)
        systemd.setblocking(False)
        with pytest.raises(BlockingIOError):
            systemd.recv(100)


def test_a_store_of_the_service_is_started_by_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial beside it is not; nor is anything where no unit is installed."""
    unit = tmp_path / "titik-collector.service"
    monkeypatch.setattr(service, "UNITS", tmp_path)
    ours, other = tmp_path / "store/titik.db", tmp_path / "trial/titik.db"
    assert "titik collect" == service.start(ours)
    assert "titik collect --config 'a city.toml'" == service.start(ours, Path("a city.toml"))
    unit.write_text(f"[Service]\nReadWritePaths={ours.parent}\n")
    assert ["systemctl start titik-collector", "titik collect"] == [
        service.start(one) for one in (ours, other)
    ]


def test_a_broker_of_the_service_is_started_by_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial's broker has no unit, and is started by hand."""
    monkeypatch.setattr(service, "UNITS", tmp_path)
    ours, other = tmp_path / "broker", tmp_path / "a trial"
    (tmp_path / "titik-broker.service").write_text(f"ExecStart=titik broker run {ours}\n")
    assert ["systemctl start titik-broker", f"titik broker run '{other}'"] == [
        service.start_broker(one) for one in (ours, other)
    ]


def test_nobody_listens(tmp_path: Path) -> None:
    """Which is no reason to stop."""
    Service(None, Clock()).lives()
    Service(str(tmp_path / "nothing"), Clock()).lives()


@pytest.mark.thorough
def test_the_collector_says_that_its_turns_go_on(tmp_path: Path) -> None:
    """Without a broker too: a restart would not bring one."""
    text = CONFIG.replace('directory = "broker"', "port = 1")
    (tmp_path / "titik.toml").write_text(text)
    (tmp_path / "password").write_text("secret")
    with listener(str(tmp_path / "notify")) as systemd:
        collector = subprocess.Popen(
            [sys.executable, "-m", "titik_collector", "collect", "--config", "titik.toml",
             "--password-file", "password"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": PATH, "NOTIFY_SOCKET": str(tmp_path / "notify")},
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert b"READY=1\nWATCHDOG=1" == systemd.recv(100)
            assert b"READY=1\nWATCHDOG=1" == systemd.recv(100)
        finally:
            collector.kill()
            collector.wait()


def test_a_link_in_the_leases_place_is_not_followed(tmp_path: Path) -> None:
    """Root would cut the file that somebody else let it lead to."""
    victim = tmp_path / "victim"
    victim.write_text("of value")
    (tmp_path / "titik.db.lease").symlink_to(victim)
    with pytest.raises(StoreError, match="lease"), held(tmp_path / "titik.db"):
        pass
    assert "of value" == victim.read_text()
