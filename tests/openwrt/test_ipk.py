"""The packages: what is in them, what they ask for, and that they run on just that."""

import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.broker.enrolled import City
from tests.broker.running import ROOT, RunningBroker
from tests.openwrt.router import Router, contents, control, environment, members, splits
from tools import matrix, openwrt_ipk

pytestmark = pytest.mark.system

# What OpenWrt 23.05 and 24.10 keep out of python3-light, and in which package it is instead.
SPLITS = {
    "asyncio": ["asyncio", "concurrent", "_asyncio"],
    "cgi": ["cgi", "cgitb"],
    "codecs": ["unicodedata", "_codecs_*", "_multibytecodec", "stringprep"],
    "ctypes": ["ctypes", "_ctypes*"],
    "dbm": ["dbm", "_dbm", "_gdbm"],
    "decimal": ["decimal", "_decimal", "_pydecimal"],
    "distutils": ["distutils"],
    "email": ["email"],
    "lib2to3": ["lib2to3"],
    "logging": ["logging"],
    "lzma": ["lzma", "_lzma"],
    "multiprocessing": ["multiprocessing", "_multiprocessing", "_posixshmem"],
    "ncurses": ["curses", "_curses*"],
    "openssl": ["ssl", "_ssl", "_hashlib"],
    "pydoc": ["pydoc", "pydoc_data", "doctest"],
    "readline": ["readline"],
    "sqlite3": ["sqlite3", "_sqlite3"],
    "unittest": ["unittest"],
    "urllib": ["urllib"],
    "uuid": ["uuid", "_uuid"],
    "venv": ["venv", "ensurepip"],
    "xml": ["xml", "xmlrpc", "pyexpat", "_elementtree"],
    "none": ["test", "idlelib", "tkinter", "turtledemo", "site-packages", "dist-packages"],
}
LIBRARIES = ("paho", "psutil", "click")


@pytest.fixture(scope="module")
def python() -> str:
    """Python 3.11 with the libraries that these releases ship."""
    old = next(one for one in matrix.environments(matrix.interpreters()) if "3.11-old" in one.name)
    return str(matrix.install(old))


def bare(folder: Path, python: str, has: set[str]) -> dict[str, str]:
    """A standard library of python3-light and these splits; the environment to use it."""
    asked = "import os, paho, sysconfig; print(os.__file__, paho.__path__[0], sep='\\n')"
    found = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
    library, site = (Path(line).parent for line in found.stdout.splitlines())
    hidden = [one for name, files in SPLITS.items() if name not in has for one in files]
    for source, target in (
        (library, folder / "lib/python3.11"),
        (library / "lib-dynload", folder / "lib/python3.11/lib-dynload"),
    ):
        target.mkdir(parents=True)
        for path in source.iterdir():
            stem = Path(path.name.split(".")[0])
            if path.name != "lib-dynload" and not any(stem.match(one) for one in hidden):
                (target / path.name).symlink_to(path)
    (folder / "libraries").mkdir()
    for name in LIBRARIES:
        (folder / "libraries" / name).symlink_to(site / name)
    return environment() | {
        "PYTHONHOME": str(folder),
        "PYTHONPATH": str(folder / "libraries"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def on(router: Router, home: dict[str, str]) -> dict[str, str]:
    """With the packages' own modules before all."""
    site = router.root / "usr/lib/python3.11/site-packages"
    return home | {"PYTHONPATH": f"{site}:{home['PYTHONPATH']}"}


def interpreter(python: str) -> str:
    """Without its virtual environment, which would bring its own library back."""
    asked = "import sys; print(sys._base_executable)"
    found = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
    return found.stdout.strip()


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
    assert "./usr/lib/python3.11/site-packages/titik_agent/probe_round.pyc" in probe
    assert "Depends: libc, titik-agent, scapy" in control(packages[1])
    assert [True, False] == ["Require-User: titik:titik" in control(one) for one in packages]


def test_the_same_sources_give_the_same_package(packages: list[Path], tmp_path: Path) -> None:
    """Byte for byte, so that anybody can check what a router was given."""
    again = openwrt_ipk.build(tmp_path)
    assert [one.read_bytes() for one in packages] == [one.read_bytes() for one in again]


def test_upgrades_keep_what_is_the_routers_own(packages: list[Path], router: Router) -> None:
    """Settings and keys, through opkg and through a new firmware."""
    kept = contents(members(packages[0])["./control.tar.gz"])["./conffiles"].decode().split()
    assert {"/etc/config/titik-agent", "/etc/titik/router.key"} <= set(kept)
    assert "/etc/titik/\n" == (router.root / "lib/upgrade/keep.d/titik-agent").read_text()
    assert 0o100600 == (router.root / "etc/config/titik-agent").stat().st_mode


def test_each_dependency_is_needed(
    packages: list[Path], router: Router, python: str, tmp_path: Path
) -> None:
    """For the agent, for paho imported whole, or for a TLS connection by name."""
    code = (
        "import paho.mqtt.client, titik_agent.cli, titik_agent.commands, ssl;"
        " 'x'.encode('idna'); ssl.create_default_context()"
    )
    wanted = splits(packages[0]) & SPLITS.keys()
    for hidden in [None, *sorted(wanted)]:
        home = bare(tmp_path / str(hidden), python, wanted - {str(hidden)})
        done = subprocess.run(
            [interpreter(python), "-S", "-c", code],
            env=on(router, home), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (hidden is None) == (done.returncode == 0), f"{hidden}: {done.stderr}"


@contextmanager
def running(*command: str, log: Path, env: dict[str, str] | None = None) -> Iterator[None]:
    """A process for as long as it is looked at."""
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=env)
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)


def test_a_bare_router_reports(
    city: City, router: Router, packages: list[Path], python: str, tmp_path: Path
) -> None:
    """Package, bundle, init script, TLS, broker, store: with the declared splits and no other."""
    city.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    city.enrol("tirosa-1", router.root)
    router.uci((router.root / "etc/config/titik-agent").read_text())
    router.service("titik-agent")
    config = tmp_path / "agent.toml"
    text = (router.root / "var/run/titik-agent/agent.toml").read_text()
    config.write_text(text.replace('"/', f'"{router.root}/') + "\n")

    home = on(router, bare(tmp_path / "bare", python, splits(packages[0])))
    program = [interpreter(python), "-S", str(router.root / "usr/bin/titik-agent")]
    store = tmp_path / "titik.db"
    server = [sys.executable, "-c", "from titik_collector.cli import main; main()"]
    paths = environment() | {"PYTHONPATH": f"{ROOT / 'broker'}:{ROOT / 'agent'}"}
    with (
        RunningBroker(city.broker),
        running(*server, "collect", "--config", str(tmp_path / "titik.toml"),
                log=tmp_path / "collector.log", env=paths),
        running(*program, "run", "--config", str(config), log=tmp_path / "agent.log", env=home),
    ):  # fmt: skip
        deadline = time.monotonic() + 60
        while samples(store) == 0:
            said = (tmp_path / "agent.log").read_text() + (tmp_path / "collector.log").read_text()
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
    assert shutil.which("titik-agent", path=str(router.root / "usr/bin")) is not None


def samples(store: Path) -> int:
    """How many are stored."""
    if not store.exists():
        return 0
    with closing(sqlite3.connect(store)) as db:
        try:
            (count,) = db.execute("SELECT count(*) FROM sample").fetchone()
        except sqlite3.OperationalError:  # not made yet
            return 0
    assert isinstance(count, int)
    return count
