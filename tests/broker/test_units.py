"""The systemd units that `titik broker init --host` writes."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.broker.running import free_ports
from titik_collector import broker_init
from titik_collector.broker_dir import BrokerDir
from titik_collector.broker_init import Request
from titik_collector.pki import CRL_DAYS, SERVER_RENEW_DAYS

pytestmark = pytest.mark.system

UNITS = (
    "titik-broker.service",
    "titik-collector.service",
    "titik-renew.service",
    "titik-renew.timer",
)
DIRECTORIES = ("broker", 'a "broker" of 100 %')
CONFIG = """\
[city]
name = "kupang"
title = "Kupang"
timezone = "Asia/Makassar"
[store]
path = "/var/lib/titik city/titik.db"
"""


def made(path: Path) -> tuple[BrokerDir, list[str]]:
    """A broker's directory with units, beside the city's configuration."""
    router, engineer, collector = free_ports(3)
    return broker_init.init(
        path,
        Request(
            host="localhost", listen="127.0.0.1", engineer_listen="127.0.0.1",
            router_port=router, engineer_port=engineer, collector_port=collector,
            file=path.parent / "titik.toml",
        ),
    )  # fmt: skip


def analyzed(*words: str) -> str:
    """What systemd itself says, in UTC; its exit status is 0 also when it complains."""
    done = subprocess.run(
        ["systemd-analyze", *words],
        env={**os.environ, "TZ": "UTC"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def value(unit: Path, key: str) -> str:
    """What a unit says of a key."""
    (found,) = re.findall(rf"^{key}=(.*)$", unit.read_text(), re.M)
    return str(found)


@pytest.mark.parametrize("name", DIRECTORIES)
def test_systemd_has_no_complaint(tmp_path: Path, name: str) -> None:
    """About any unit, wherever the broker's directory is."""
    directory, _ = made(tmp_path / name)
    units = sorted((directory.path / "systemd").iterdir())
    assert sorted(UNITS) == [one.name for one in units]
    assert "" == analyzed("verify", "--man=no", *map(str, units))


@pytest.mark.parametrize("key", ["ExecStart", "Restart", "ProtectHome", "OnCalendar"])
def test_a_misspelled_key_is_a_complaint(tmp_path: Path, key: str) -> None:
    """So the test above can fail."""
    directory, _ = made(tmp_path / "broker")
    units = [directory.path / "systemd" / one for one in UNITS]
    for unit in units:
        unit.write_text(unit.read_text().replace(f"{key}=", f"{key}s="))
    assert f"{key}s" in analyzed("verify", "--man=no", *map(str, units))


def test_a_path_is_quoted_where_systemd_needs_it(tmp_path: Path) -> None:
    """Else `%` begins a specifier, and a space the next argument."""
    directory, _ = made(tmp_path / "100 % broker")
    started = value(directory.path / "systemd/titik-broker.service", "ExecStart")
    assert started.endswith(f' broker run "{tmp_path}/100 %% broker"')


def test_the_collector_may_write_where_the_store_is(tmp_path: Path) -> None:
    """And nowhere else; the configuration may lie in /etc."""
    (tmp_path / "titik.toml").write_text(CONFIG)
    directory, _ = made(tmp_path / "broker")
    unit = directory.path / "systemd/titik-collector.service"
    assert '"/var/lib/titik city"' == value(unit, "ReadWritePaths")


def test_the_timer_renews_long_before_anything_ends(tmp_path: Path) -> None:
    """Every week, and missed weeks are made up for; it may fail for years and nothing has ended."""
    directory, said = made(tmp_path / "broker")
    timer = directory.path / "systemd/titik-renew.timer"
    told = analyzed("calendar", value(timer, "OnCalendar"), "--base-time=2026-11-24 12:00:00 UTC",
                    "--iterations=3")  # fmt: skip
    days = [int(day) for day in re.findall(r"2026-1[12]-(\d\d) 00:00:00 UTC", told)][-3:]
    assert [30, 7, 14] == days, told
    assert "true" == value(timer, "Persistent")
    assert 7 * 52 < SERVER_RENEW_DAYS < CRL_DAYS
    assert any("enable --now" in line and "titik-renew.timer" in line for line in said)
