"""A router that lives: the packages' own Python in its root directory, a city that it reports to.

Rule: the library is what the packages' dependencies name; a process has the rights that procd was
asked to give it.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from itertools import takewhile
from pathlib import Path

from tests.agent.fake_ubusd import FakeUbusd, answer
from tests.openwrt.router import UID, Router, environment, splits

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
STATUS = {"ssid": "Kota", "freq": 2437, "channel": 6, "phy": "phy0"}
PATIENCE_S = 60.0


def bare(folder: Path, python: str, has: set[str]) -> dict[str, str]:
    """A standard library of python3-light and these splits; the environment to use it."""
    library, site = places(python)
    hidden = [one for name, files in SPLITS.items() if name not in has for one in files]
    for source, target in (
        (library, folder / "lib" / library.name),
        (library / "lib-dynload", folder / "lib" / library.name / "lib-dynload"),
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


def places(python: str) -> tuple[Path, Path]:
    """Where a Python has its library, and where the libraries of others."""
    asked = "import os, paho, sysconfig; print(os.__file__, paho.__path__[0], sep='\\n')"
    found = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
    library, site = (Path(line).parent for line in found.stdout.splitlines())
    return library, site


def interpreter(python: str) -> str:
    """Without its virtual environment, which would bring its own library back."""
    asked = "import sys; print(sys._base_executable)"
    found = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def equip(router: Router, python: str, package: Path) -> None:
    """Give the router a Python of what its package depends on."""
    program = interpreter(python)
    home = router.root / "python"
    bare(home, python, splits(package))
    library, site = places(python)
    modules = [str(one) for one in (library / "lib-dynload").iterdir()]
    linked = subprocess.run(["ldd", program, *modules], capture_output=True, text=True, check=True)
    needed = {Path(one).parent for one in re.findall(r"(/\S+\.so\S*) \(", linked.stdout)}
    router.equip(program, home, sorted({library, site, Path(program).parent, *needed}))


@contextmanager
def hostapd(router: Router) -> Iterator[FakeUbusd]:
    """ubusd with one access point and procd's watchdog; the path would be too long for a socket."""
    folder = router.root / "var/run/ubus"
    folder.mkdir(parents=True)
    with folder_of(folder) as short, FakeUbusd(f"{short}/ubus.sock") as ubusd:
        ubusd.allows = lambda *asked: allows(router, *asked)
        (folder / "ubus.sock").chmod(0o666)
        ubusd.add("service", {"watchdog": answer({})})
        clients = answer({"freq": 2437, "clients": {}})
        ubusd.add("hostapd.phy0-ap0", {"get_clients": clients, "get_status": answer(STATUS)})
        yield ubusd


def allows(router: Router, uid: int, path: str, method: str) -> bool:
    """As ubusd decides by the access list that the package brings: root may do everything."""
    file = router.root / "usr/share/acl.d/titik-agent.json"
    if uid == 0 or not file.exists():
        return uid == 0
    access = json.loads(file.read_text())["access"].items()
    return any(fnmatch(path, name) and method in one["methods"] for name, one in access)


@contextmanager
def folder_of(path: Path) -> Iterator[str]:
    """A short name of a folder, while this is open."""
    descriptor = os.open(path, os.O_PATH)
    try:
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)


@contextmanager
def running(
    *command: str, log: Path, env: dict[str, str] | None = None
) -> Iterator[Callable[[], str]]:
    """A process for as long as it is looked at; what it has printed."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=env)
        try:
            yield log.read_text
        finally:
            process.terminate()
            process.wait(60)


def asked(router: Router, name: str) -> dict[str, list[str]]:
    """What procd was asked of an instance last; as there, what is not closed yet does not count."""
    calls = router.calls()
    whole = max(at for at, one in enumerate(calls) if one[0] == "close")
    last = max(at for at, one in enumerate(calls[:whole]) if one[:2] == ["open", name])
    its = takewhile(lambda one: one[0] != "close", calls[last + 1 :])
    return {one[0]: one[1:] for one in its}


def instance(router: Router, *more: str) -> tuple[list[str], dict[str, str]]:
    """What procd was asked to start as agent last: command and environment; `more` of that."""
    params = asked(router, "agent")
    assert ["titik"] == params["user"] == params["group"]
    env = dict(one.split("=", 1) for one in params["env"])
    words = ("/bin/busybox", "env", *more, *params["command"])
    return router.command(*words, user=UID), {"PATH": "/sbin:/bin:/usr/bin", **env}


def until(
    condition: Callable[[], bool], what: Callable[[], str], seconds: float = PATIENCE_S
) -> None:
    """Wait for it; what is printed if it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)


SERVER = [sys.executable, "-c", "from titik_collector.cli import main; main()"]
