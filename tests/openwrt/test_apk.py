"""The .apk packages: what `apk mkpkg` is given, and what the real one makes of it where it is."""

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.openwrt.conftest import HOST
from tests.openwrt.field import bare, interpreter
from tests.openwrt.router import control
from tools import openwrt_apk, openwrt_ipk
from tools.openwrt_apk import PYTHON

pytestmark = pytest.mark.system

MAGIC = "import importlib.util, sys; sys.stdout.write(importlib.util.MAGIC_NUMBER.hex())"
SITE = "usr/lib/python3.13/site-packages"


def inside(package: Path) -> dict[str, bytes]:
    """What the stand-in of mkpkg has written down, by path."""
    with tarfile.open(package) as tar:
        files = ((one.name, tar.extractfile(one)) for one in tar if one.isfile())
        return {name: file.read() for name, file in files if file is not None}


def info(package: Path) -> dict[str, str]:
    lines = inside(package)["info"].decode().splitlines()
    return dict(line.split(":", 1) for line in lines)


def is_real() -> bool:
    """Whether apk 3 itself is here."""
    asked = [shutil.which("apk") or "false", "--version"]
    output = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return re.match(r"apk-tools ([3-9]|\d\d)\.", output) is not None


def test_a_package_says_what_the_ipk_says(apks: list[list[Path]], packages: list[Path]) -> None:
    """Name, version and dependencies are one Makefile's; 25.12 knows noarch."""
    for package, ipk in zip(apks[0], packages, strict=True):
        stated, other = info(package), control(ipk)
        assert package.name == f"{stated['name']}-{stated['version']}.apk"
        assert f"Package: {stated['name']}\nVersion: {stated['version']}\n" in other
        depends = re.findall(r"^Depends: (.*)$", other, re.M)[0].split(", ")
        assert depends == stated["depends"].split()
        assert ("noarch", "Apache-2.0") == (stated["arch"], stated["license"])


def test_the_bytecode_is_the_releases(apks: list[list[Path]]) -> None:
    """Python 3.13's, without a source; the probe's modules are in the probe's package alone."""
    python = openwrt_ipk.compiler(PYTHON)
    magic = subprocess.run([python, "-c", MAGIC], capture_output=True, text=True, check=True).stdout
    agent, probe = (inside(one) for one in apks[0])
    modules = {name: raw for name, raw in (agent | probe).items() if name.endswith(".pyc")}
    assert f"files/{SITE}/titik_agent/assemble.pyc" in agent
    assert f"files/{SITE}/titik_agent/probe/round.pyc" in probe
    assert {magic} == {raw[:4].hex() for raw in modules.values()}
    assert [] == [name for name in agent | probe if name.endswith(".py") or "__pycache__" in name]


def test_what_it_depends_on_is_enough(
    apks: list[list[Path]], python_25: str, tmp_path: Path
) -> None:
    """For the agent, for paho imported whole, and for a TLS connection by name."""
    with tarfile.open(apks[0][0]) as tar:
        tar.extractall(tmp_path, filter="fully_trusted")
    names = info(apks[0][0])["depends"].split()
    home = bare(tmp_path / "home", python_25, {one.removeprefix("python3-") for one in names})
    code = (
        "import paho.mqtt.client, titik_agent.assemble, titik_agent.commands, ssl;"
        " 'x'.encode('idna'); ssl.create_default_context(); print(titik_agent.assemble.__file__)"
    )
    done = subprocess.run(
        [interpreter(python_25), "-S", "-c", code],
        env=home | {"PYTHONPATH": f"{tmp_path}/files/{SITE}:{home['PYTHONPATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (f"{tmp_path}/files/{SITE}/titik_agent/assemble.pyc\n", "") == (done.stdout, done.stderr)


def test_openwrt_finds_what_it_keeps_of_a_package(apks: list[list[Path]]) -> None:
    """Its files, its user, and its settings as they were shipped."""
    agent = inside(apks[0][0])
    folder = "files/lib/apk/packages/titik-agent"
    listed = agent[f"{folder}.list"].decode().splitlines()
    real = {
        name.removeprefix("files")
        for name in agent
        if name.startswith("files/") and not name.endswith((".list", ".conffiles", "_static"))
    }
    assert real | {"/etc/titik/agent.toml"} == set(listed)
    assert sorted(listed) == listed
    assert b"titik:titik\n" == agent[f"{folder}.rusers"]
    assert b"/etc/titik/router.key" in agent[f"{folder}.conffiles"].splitlines()
    shipped = hashlib.sha256(agent["files/etc/config/titik-agent"]).hexdigest()
    assert f"/etc/config/titik-agent {shipped}\n" == agent[f"{folder}.conffiles_static"].decode()


def test_each_script_has_apks_name_for_it(apks: list[list[Path]]) -> None:
    """And is a shell's; only the agent has something to clean up."""
    agent, probe = (
        {
            name.removeprefix("scripts/"): raw
            for name, raw in inside(one).items()
            if "scripts/" in name
        }
        for one in apks[0]
    )
    usual = {"post-install", "post-upgrade", "pre-deinstall"}
    assert (usual | {"post-deinstall"}, usual) == (
        agent.keys() - {".none"},
        probe.keys() - {".none"},
    )
    scripts = [raw for name, raw in (*agent.items(), *probe.items()) if name != ".none"]
    assert {b"#!/bin/sh"} == {raw.splitlines()[0] for raw in scripts}
    assert all(raw.endswith(b"\n") and raw.count(b"#!") == 1 for raw in scripts)
    assert b"export PKG_UPGRADE=1\n" in agent["post-upgrade"]


def test_files_are_roots_with_the_makefiles_modes(apks: list[list[Path]]) -> None:
    """And one time, so that the same sources give the same package."""
    with tarfile.open(apks[0][0]) as tar:
        files = [one for one in tar if one.name.startswith("files")]
    assert {(0, 0, openwrt_apk.EPOCH)} == {(one.uid, one.gid, one.mtime) for one in files}
    modes = {one.name: one.mode for one in files if one.isfile()}
    assert 0o600 == modes["files/etc/config/titik-agent"]
    assert 0o755 == modes["files/etc/init.d/titik-agent"]
    assert 0o644 == modes["files/lib/apk/packages/titik-agent.list"]
    assert {0o755} == {one.mode for one in files if one.isdir()}


@pytest.mark.parametrize(
    ("body", "output"),
    [
        (None, "apk 3 makes these packages, and is not in PATH"),
        ("echo 'apk-tools 2.14.4, compiled for x86_64.'", "is another (apk-tools 2.14.4"),
        ("echo 'no such thing' >&2; exit 1", "is another (no such thing)"),
    ],
)
def test_without_apk_3_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str | None, output: str
) -> None:
    """Apk 2 knows no mkpkg, and Android's tools have the name too."""
    if body is not None:
        (tmp_path / "apk").write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / "apk").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=re.escape(output)):
        openwrt_apk.build(tmp_path / "out")


def test_apk_takes_it(
    apks: list[list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made twice it is the same to the byte, and unpacks to its files.

    By apk 3 itself where it is, which verifies it too; elsewhere by the stand-in.
    """
    unpack = unpack_real
    if not is_real():
        unpack = unpack_stand_in
        monkeypatch.setenv("PATH", f"{HOST}:{os.environ['PATH']}")
    made, again = (openwrt_apk.build(tmp_path / one) for one in ("made", "again"))
    assert [one.read_bytes() for one in made] == [one.read_bytes() for one in again]
    for package, stand_in in zip(made, apks[0], strict=True):
        out = tmp_path / package.stem
        out.mkdir()
        unpack(package, out)
        found = {str(one.relative_to(out)) for one in out.rglob("*") if one.is_file()}
        wanted = {one.removeprefix("files/") for one in inside(stand_in) if "files/" in one}
        assert wanted == found


def unpack_real(package: Path, out: Path) -> None:
    for command in (["verify"], ["extract", "--destination", str(out)]):
        subprocess.run(["apk", "--allow-untrusted", *command, str(package)], check=True)


def unpack_stand_in(package: Path, out: Path) -> None:
    with tarfile.open(package) as tar:
        for one in (one for one in tar if one.name.startswith("files/")):
            one.name = one.name.removeprefix("files/")
            tar.extract(one, out, filter="fully_trusted")
