"""The packages: what is in them, what they ask for, and that all of it is needed."""

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.openwrt.field import SPLITS, bare, interpreter
from tests.openwrt.router import Router, contents, control, members, splits
from tools import openwrt_ipk
from tools.matrix import ROOT

pytestmark = pytest.mark.system


def test_an_ipk_is_what_opkg_expects(packages: list[Path]) -> None:
    """A gzipped tar of three members, root's own, that hold no source."""
    for package in packages:
        inside = members(package)
        assert ["./debian-binary", "./data.tar.gz", "./control.tar.gz"] == list(inside)
        assert b"2.0\n" == inside["./debian-binary"]
        names = contents(inside["./data.tar.gz"])
        assert [] == [name for name in names if name.endswith(".py") or "__pycache__" in name]
        assert "Architecture: all" in control(package).splitlines()


def test_the_packages_share_no_file(packages: list[Path]) -> None:
    """opkg would refuse the second; the probe's asks for scapy, the agent's for a user."""
    agent, probe = (set(contents(members(one)["./data.tar.gz"])) for one in packages)
    assert not agent & probe
    assert "./usr/lib/python3.11/site-packages/titik_agent/probe/round.pyc" in probe
    assert "Depends: libc, titik-agent, scapy" in control(packages[1])
    assert [True, False] == ["Require-User: titik:titik" in control(one) for one in packages]


def test_the_same_sources_give_the_same_package(packages: list[Path], tmp_path: Path) -> None:
    """Byte for byte, so that anybody can check what a router was given."""
    again = openwrt_ipk.build(tmp_path)
    assert [one.read_bytes() for one in packages] == [one.read_bytes() for one in again]


def test_a_new_firmware_keeps_what_is_the_routers_own(packages: list[Path], router: Router) -> None:
    """Settings and keys, as opkg's own upgrade does."""
    kept = contents(members(packages[0])["./control.tar.gz"])["./conffiles"].decode().split()
    assert {"/etc/config/titik-agent", "/etc/titik/router.key"} <= set(kept)
    listed = (router.root / "lib/upgrade/keep.d/titik-agent").read_text().splitlines()
    assert "/etc/titik/" in listed


def test_modes_are_not_those_of_a_checkout(tmp_path: Path) -> None:
    """Nobody but root reads settings; ubusd reads no list that its group may write."""
    copy = tmp_path / "copy"
    for name in ("agent", "deploy"):
        # Other tests compile what they import meanwhile.
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "LICENSE", copy)
    for file in copy.rglob("*"):
        file.chmod(file.stat().st_mode & 0o700 | (0o070 if "deploy" in file.parts else 0))
    built = openwrt_ipk.Built(tmp_path, feed=copy / "deploy/openwrt/titik-agent")
    root = built.place("titik-agent", sys.executable)
    modes = {
        f"/{path.relative_to(root)}": stat.S_IMODE(path.stat().st_mode)
        for path in root.rglob("*")
        if path.is_file() and "python" not in str(path.relative_to(root))
    }
    assert {
        "/etc/capabilities/titik-agent.json": 0o644,
        "/etc/config/titik-agent": 0o600,
        "/etc/hotplug.d/ntp/50-titik-agent": 0o755,
        "/etc/init.d/titik-agent": 0o755,
        "/etc/uci-defaults/60-titik-agent": 0o755,
        "/lib/upgrade/keep.d/titik-agent": 0o644,
        "/usr/bin/titik-agent": 0o755,
        "/usr/libexec/titik-upgrade": 0o755,
        "/usr/share/acl.d/titik-agent.json": 0o644,
    } == modes
    modules = [path.stat().st_mode for path in root.rglob("*.pyc")]
    assert {0o100644} == set(modules)


@pytest.mark.parametrize(("has_email", "more"), [(True, {"email"}), (False, set())])
def test_each_release_is_asked_for_what_it_has(
    tmp_path: Path, has_email: bool, more: set[str]
) -> None:
    """python3-email is a part of python3-urllib after 25.12; no build finds it there."""
    built = openwrt_ipk.Built(tmp_path, has_email)
    asked = built.says("titik-agent", "DEPENDS").split()
    expected = {"light", "logging", "codecs", "urllib", "openssl", "uuid", *more}
    libraries = {"+python3-paho-mqtt", "+python3-psutil", "+python3-click"}
    assert {f"+python3-{one}" for one in expected} | libraries == set(asked)


def test_each_dependency_is_needed(
    packages: list[Path], router: Router, python: str, tmp_path: Path
) -> None:
    """For the agent, for paho imported whole, or for a TLS connection by name."""
    code = (
        "import paho.mqtt.client, titik_agent.assemble, titik_agent.commands, ssl;"
        " 'x'.encode('idna'); ssl.create_default_context()"
    )
    wanted = splits(packages[0]) & SPLITS.keys()
    site = router.root / "usr/lib/python3.11/site-packages"
    for hidden in [None, *sorted(wanted)]:
        home = bare(tmp_path / str(hidden), python, wanted - {str(hidden)})
        done = subprocess.run(
            [interpreter(python), "-S", "-c", code],
            env=home | {"PYTHONPATH": f"{site}:{home['PYTHONPATH']}"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (hidden is None) == (done.returncode == 0), f"{hidden}: {done.stderr}"
