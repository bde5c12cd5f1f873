"""Runs the tests under the versions of Python and libraries that routers and servers have.

OpenWrt 23.05 and 24.10 ship Python 3.11, 25.12 ships 3.13, all with the old libraries; what comes
next ships the newest of each. So these two run the old set, and the newest found runs the new.
Debian 13 has 3.13 for the server half, whose tests without a broker run there and under the newest.
`--quick` runs the router's fast tests under the oldest versions alone, and nothing where all of
them have passed on the same files.
"""

import glob
import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
OLD = ("paho-mqtt==1.6.1", "psutil==5.9.5", "click==8.1.7", "scapy==2.5.0")
NEW = ("paho-mqtt", "psutil", "click", "scapy")
SERVER = (
    "babel",
    "cryptography",
    "httpx",
    "jinja2",
    "psycopg[binary]",
    "pyrage",
    "msgspec",
    "paho-mqtt",
    "psutil",
    "click",
    "rich",
    "starlette",
    "tzdata",
    "uvicorn",
)
TOOLS = ("pytest", "hypothesis")
FAST = ("-m", "not system and not thorough")
SERVER_TESTS = ("tests/collector", "tests/broker", "-m", "not system")
# What takes minutes is the same under each version. Of two -m the last one counts.
TESTS = (
    *("tests/wire", "tests/mqtt", "tests/agent", "tests/project/test_import_budget.py"),
    *("-m", "not long"),
)
VERSIONS = ((3, 11), (3, 12), (3, 13), (3, 14))
REQUIRED = ((3, 11), (3, 13))  # what routers have
LANES = 4  # environments at a time; most tests of the router wait
PROFILE = "--hypothesis-profile=matrix"
PASSED = ROOT / ".venv" / "matrix-passed"  # the digest of files on which all versions passed
PROBE = "import sys, ensurepip; print(*sys.version_info[:2])"


class Environment(NamedTuple):
    """One interpreter with one set of libraries."""

    name: str
    python: str
    libraries: tuple[str, ...]
    tests: tuple[str, ...] = TESTS


def main() -> None:
    """Run each wanted environment, also after one has failed; then fail if any has."""
    pythons = interpreters()
    for version in REQUIRED:
        if version not in pythons:
            sys.exit("Python {}.{} with venv is needed: see CONTRIBUTING.md".format(*version))
    wanted = environments(pythons)
    is_quick, tested = sys.argv[1:] == ["--quick"], _digest()
    if is_quick and PASSED.exists() and PASSED.read_text() == tested:
        print("all versions have passed on these files")
        return
    if is_quick:
        wanted = [wanted[0]._replace(tests=(*TESTS, *FAST))]
    failed = []
    with ThreadPoolExecutor(LANES) as lanes:
        for environment, done in zip(wanted, lanes.map(run, wanted), strict=True):
            print(f"== {environment.name}: {' '.join(environment.libraries)}")
            print(done.stdout, end="", flush=True)
            if done.returncode:
                failed.append(environment.name)
    if failed:
        sys.exit(f"failed under {', '.join(failed)}")
    if not is_quick:
        PASSED.write_text(tested)


def _digest() -> str:
    """Of every file that the tests run or read."""
    found = hashlib.sha256()
    for name in ("agent", "broker", "deploy", "tests", "tools", "docs", "pyproject.toml"):
        folder = ROOT / name
        for file in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if file.is_file() and "__pycache__" not in file.parts:
                found.update(f"{file.relative_to(ROOT)} ".encode())
                found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def interpreters() -> dict[tuple[int, int], str]:
    """One usable interpreter of each version."""
    found = {}
    for version in VERSIONS:
        for path in candidates("python{}.{}".format(*version)):
            asked = subprocess.run([path, "-c", PROBE], capture_output=True, text=True, check=False)
            if asked.stdout.split() == [str(part) for part in version]:
                found[version] = path
                break
    return found


def candidates(name: str) -> list[str]:
    """Where an interpreter may be: pyenv's own folders first, because its shims may not answer."""
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    cache = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    folders = [*os.environ["PATH"].split(os.pathsep), f"{cache}/titik-python3.13/usr/bin"]
    found = [shutil.which(name, path=folder) for folder in folders]
    return sorted(glob.glob(f"{pyenv}/versions/*/bin/{name}")) + [one for one in found if one]


def environments(pythons: dict[tuple[int, int], str]) -> list[Environment]:
    """The old libraries where routers have them, the new ones where the future is."""
    old = [Environment("py{}.{}-old".format(*v), pythons[v], OLD) for v in REQUIRED]
    newest = max(pythons)
    new = Environment("py{}.{}-new".format(*newest), pythons[newest], NEW)
    server = [
        Environment("py{}.{}-server".format(*v), pythons[v], SERVER, SERVER_TESTS)
        for v in dict.fromkeys(((3, 13), newest))
    ]
    return [*old, new, *server]


def install(environment: Environment) -> Path:
    """Make the environment, or use it again if it holds what is wanted."""
    folder = ROOT / f".venv-{environment.name}"
    stamp, wanted = folder / "wanted.txt", " ".join((environment.python, *environment.libraries))
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([environment.python, "-m", "venv", "--clear", folder], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q"]
        subprocess.run([*pip, *environment.libraries, *TOOLS], check=True)
        stamp.write_text(wanted)
    return folder / "bin" / "python"


def run(environment: Environment) -> subprocess.CompletedProcess[str]:
    """Its tests: the contract's and the agent's on a real broker too, or the server half's."""
    pytest = [str(install(environment)), "-m", "pytest", "-q", "-p", "no:cacheprovider", PROFILE]
    command = [*pytest, *environment.tests]
    # Nothing of ours is installed there; tests start programs too.
    path = os.pathsep.join([str(ROOT / "agent"), str(ROOT / "broker")])
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, check=False,
        stdout=PIPE, stderr=STDOUT, text=True, errors="replace",
    )  # fmt: skip


if __name__ == "__main__":
    main()
