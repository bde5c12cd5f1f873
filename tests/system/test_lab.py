"""The control-socket source against the real hostapd, and the fake against it too."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.fake_hostapd import FakeBss, FakeHostapd
from titik_agent.hostapd.control_replies import parse_status
from titik_agent.hostapd.control_socket import Addresses, ControlSocket

pytestmark = pytest.mark.system

LAB = Path(__file__).parent.parent / "lab"
ODD_SSID = b'Kupang "A\\ \n\x1b\xe9 \xf0\x9f\x98\x80'
ATTACH_TWICE = [b"ATTACH", b"ATTACH", b"LEVEL 3", b"DETACH", b"LEVEL 3", b"DETACH", b"LEVEL 3"]
QUESTIONS = [b"PING", b"STA-FIRST", b"STA-NEXT 02:00:00:00:01:00", b"NONSENSE", *ATTACH_TWICE]


@pytest.fixture(scope="module")
def lab() -> Path:
    """The machine is built: packages, kernel and initramfs are here."""
    subprocess.run([LAB / "lab.sh", "setup"], check=True)
    return LAB / "lab.sh"


@pytest.fixture(scope="module")
def report(lab: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the source and iw reported in the machine; one run serves all tests."""
    out = tmp_path_factory.mktemp("lab")
    command: list[str | Path] = [sys.executable, LAB / "hotspot.py", "/lab-out/report.json"]
    machine: list[str | Path] = [lab, "-c", "-t", "600", "-o", out]
    done = subprocess.run([*machine, *command], check=False, text=True, capture_output=True)
    assert 0 == done.returncode, done.stdout + done.stderr
    result: dict[str, Any] = json.loads((out / "report.json").read_text())
    return result


MOMENTS = pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("empty", {"wlan0": 0, "wlan0-1": 0}),
        ("joined", {"wlan0": 1, "wlan0-1": 0}),
        ("full", {"wlan0": 2, "wlan0-1": 1}),
        ("wrong key", {"wlan0": 2, "wlan0-1": 1}),
        ("left", {"wlan0": 1, "wlan0-1": 1}),
        ("restarted", {"wlan0": 1, "wlan0-1": 1}),
    ],
)


@MOMENTS
def test_the_counts_are_the_kernels(
    report: dict[str, Any], moment: str, expected: dict[str, int]
) -> None:
    """The source counts the clients that iw lists as authorized, at the same instant."""
    output = report["moments"][moment]
    assert expected == output["clients"]
    assert expected == {ifname: sum(listed) for ifname, listed in output["iw"].items()}


@MOMENTS
def test_over_ubus_the_counts_are_the_kernels(
    report: dict[str, Any], moment: str, expected: dict[str, int]
) -> None:
    """The same hostapd's answers in OpenWrt's form, the wrong key's included."""
    assert expected == report["moments"][moment]["ubus"]["clients"]


@pytest.mark.parametrize("figure", ["ssid", "channel", "since"])
def test_over_ubus_the_other_figures_are_the_same(report: dict[str, Any], figure: str) -> None:
    """Whichever way hostapd was asked, at every moment."""
    for output in report["moments"].values():
        assert output.get(figure) == output["ubus"].get(figure)


def test_over_ubus_a_stopped_hostapd_is_a_failure(report: dict[str, Any]) -> None:
    """Its objects are gone, and there is no count."""
    assert "no hostapd.* object is visible" in report["moments"]["stopped"]["ubus"]["failed"]


def test_a_wrong_key_is_listed_and_not_counted(report: dict[str, Any]) -> None:
    """The kernel has two stations, one of them not authorized; nobody joined."""
    output = report["moments"]["wrong key"]
    assert [False, True] == sorted(output["iw"]["wlan0-1"])
    assert 1 == output["clients"]["wlan0-1"]
    assert output["heard"] is False


@pytest.mark.parametrize("source", ["control", "ubus"])
@pytest.mark.parametrize("moment", ["joined", "left", "restarted"])
def test_joins_and_leaves_are_heard_at_once(
    report: dict[str, Any], moment: str, source: str
) -> None:
    """Within a second of the kernel knowing, by the machine's own clock, which counts its work."""
    heard_s = report["moments"][moment]["heard_s"][source]
    assert heard_s is not None
    assert heard_s < 1


def test_a_restart_is_a_failure_and_then_a_new_counter(report: dict[str, Any]) -> None:
    """While hostapd is away nothing is counted; a re-created interface counts again."""
    moments = report["moments"]
    assert "hostapd is not running" in moments["stopped"]["failed"]
    assert moments["stopped"]["heard"] is True
    before, after = moments["left"]["since"], moments["restarted"]["since"]
    assert before["wlan0"] == after["wlan0"]  # the radio's own interface stays
    assert before["wlan0-1"] != after["wlan0-1"]


def test_names_and_channel_are_the_access_points(report: dict[str, Any]) -> None:
    """As its configuration says, each BSS its own."""
    output = report["moments"]["full"]
    assert {"wlan0": "Kupang Smart City", "wlan0-1": "Kupang Office"} == output["ssid"]
    assert {"wlan0": 6, "wlan0-1": 6} == output["channel"]


def test_visitors_are_the_different_clients(report: dict[str, Any]) -> None:
    """Three, and two of them joined twice; the wrong key is none."""
    assert {"control": 3, "ubus": 3} == report["visitors"]


def test_nothing_is_left_behind(report: dict[str, Any]) -> None:
    """The source removed its sockets."""
    assert [] == report["left"]


@pytest.fixture
def hostapd(lab: Path, tmp_path: Path) -> Iterator[Path]:
    """The directory of a real hostapd without a radio."""
    assert lab.exists()
    directory = tmp_path / "real"
    config = tmp_path / "conf"
    odd = "".join(f"\\x{byte:02x}" for byte in ODD_SSID)
    config.write_text(f'interface=lo\ndriver=none\nctrl_interface={directory}\nssid2=P"{odd}"\n')
    with subprocess.Popen(["hostapd", config], stdout=subprocess.DEVNULL) as process:
        while not (directory / "lo").exists():
            assert process.poll() is None
            time.sleep(0.01)
        yield directory
        process.terminate()


def test_the_fake_answers_like_the_real_one(hostapd: Path, tmp_path: Path) -> None:
    """To every question the source asks, a second ATTACH and a forgotten listener included."""
    fake = FakeHostapd(str(tmp_path / "fake"), FakeBss("lo", ODD_SSID, freq_mhz=0, channel=0))
    with fake:
        real_answers = answers(str(hostapd))
        fake_answers = answers(fake.directory)
    assert real_answers[:-1] == fake_answers[:-1]
    assert parse_status("lo", real_answers[-1]) == parse_status("lo", fake_answers[-1])


def answers(directory: str) -> list[bytes]:
    addresses = Addresses()  # a test's own folder has too long a name for a socket
    ctrl = ControlSocket(addresses, os.path.join(directory, "lo"))
    try:
        return [ctrl.ask(question, time.monotonic() + 5) for question in [*QUESTIONS, b"STATUS"]]
    finally:
        ctrl.close()
        addresses.close()
