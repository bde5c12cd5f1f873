"""A machine in namespaces: network, files, processes and a name of its own.

Rule: it ends with its first process, as by a power switch, and with whoever started it.
Rule: its disk is a folder, which outlives it. What was not synced survives too: no power is cut.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.system.netns import ip

START_S = 20.0
OWN = ("etc", "var/lib")
AGAIN_S = 1  # before a service that ended starts again
# A shell is the first process: it takes in orphans, and ends nothing by itself.
_BOOT = """
set -e
cd "$1"
mount -t tmpfs none /run
mkdir /run/postgresql /run/lock
chown postgres /run/postgresql
for own in {own}; do
    mount -t overlay -o "lowerdir=/$own,upperdir=disk/$own,workdir=work/$own" overlay "/$own"
done
hostname "$2"
touch up
sleep infinity &
wait $!
""".replace("{own}", " ".join(OWN))
_UNSHARE = (
    *("setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--uts", "--pid"),
    *("--fork", "--kill-child", "--mount-proc"),
)
_SERVE = f'while :; do "$@" || :; sleep {AGAIN_S}; done'
_TABLE = """
table inet cut {
  chain in { type filter hook input priority 0; }
  chain out { type filter hook output priority 0; }
}
"""
_NO_TABLE = "table inet cut\ndelete table inet cut\n"


class Machine:
    """Off until `boot`."""

    def __init__(self, name: str, address: str, folder: Path, hub: str) -> None:
        """`hub`: the bridge, in the namespace of whoever calls."""
        self.name = name
        self.address = address
        self.folder = folder
        self._hub = hub
        self._port = f"{hub}-{name}"
        self._first: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._services: list[tuple[str, tuple[str, ...]]] = []
        self._running: list[subprocess.Popen[bytes]] = []

    # Its disk: what is not on it is as on the machine below.

    def write(self, path: str, text: str, user: str = "root", mode: int = 0o644) -> None:
        """A file, before it boots."""
        file = self.disk(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        shutil.chown(file, user)

    def disk(self, path: str) -> Path:
        """Where a path of the machine is."""
        return self.folder / "disk" / path.lstrip("/")

    # Its life

    @property
    def is_on(self) -> bool:
        return self._first is not None and self._first.poll() is None

    def service(self, name: str, *words: str) -> None:
        """Begins with the machine, and again when it ended; `name` is its log's."""
        self._services.append((name, words))
        if self.is_on:
            self._serve(name, words)

    def boot(self) -> None:
        """Switch it on."""
        for path in (*OWN, *(f"../work/{one}" for one in OWN)):
            self.disk(path).mkdir(parents=True, exist_ok=True)
        up = self.folder / "up"
        up.unlink(missing_ok=True)
        self._first = subprocess.Popen(
            (*_UNSHARE, "sh", "-c", _BOOT, "boot", str(self.folder), self.name),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # of its end it has its own opinion
            start_new_session=True,  # Ctrl-C is not meant for it
        )
        deadline = time.monotonic() + START_S
        while not up.exists():
            assert self.is_on, f"{self.name} does not boot"
            assert time.monotonic() < deadline, f"{self.name} does not boot"
            time.sleep(0.02)
        (child,) = psutil.Process(self._first.pid).children()
        self._pid = child.pid
        self._wire()
        for name, words in self._services:
            self._serve(name, words)

    def kill(self) -> None:
        """SIGKILL of everything at once; the disk stays."""
        if self._first is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._first.wait()
            self.unwire()
            for one in self._running:
                one.wait()
        self._running = []

    def kill_processes(self, is_meant: Callable[[psutil.Process], bool]) -> None:
        """SIGKILL of some; services of them start again."""
        for one in self._processes():
            with suppress(psutil.NoSuchProcess):
                if is_meant(one):
                    one.kill()

    def run(self, *words: str, text: str = "") -> str:
        """The output of a command."""
        done = subprocess.run(
            (*self.inside(), *words), input=text, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def write_inside(self, path: str, text: str) -> None:
        """A file, while it is on."""
        self.run("sh", "-c", 'mkdir -p "${1%/*}" && cat >"$1"', "write", path, text=text)

    def inside(self) -> tuple[str, ...]:
        """The words before a command that is to run there."""
        return ("nsenter", "--target", str(self._pid), "--net", "--mount", "--uts", "--pid")

    def log(self, name: str) -> Path:
        """What a service wrote."""
        return self.folder / f"{name}.log"

    # Its network

    def cut(self) -> None:
        """Its cable is out of the switch."""
        ip("link", "set", self._port, "nomaster")

    def mend(self) -> None:
        """It is in again, and everything passes."""
        self.run("nft", "-f", "-", text=_NO_TABLE)
        ip("link", "set", self._port, "master", self._hub)

    def cut_from(self, addresses: Sequence[str], port: int) -> None:
        """No answer of this port gets to these any more, until `mend` or its next boot."""
        self._drop(f"out ip daddr {{ {', '.join(addresses)} }} tcp sport {port}")

    def hear_nothing_of(self, addresses: Sequence[str], port: int) -> None:
        """This port answers these as before, and nothing of theirs gets to it, until `mend`."""
        self._drop(f"in ip saddr {{ {', '.join(addresses)} }} tcp dport {port}")

    def _drop(self, rule: str) -> None:
        self.run("nft", "-f", "-", text=f"{_TABLE}\nadd rule inet cut {rule} drop\n")

    def unwire(self) -> None:
        """The kernel may keep a namespace, and the cable that leads there, for a while."""
        ip("link", "del", self._port, check=False)

    def _wire(self) -> None:
        far = ("peer", "name", "eth0", "netns", str(self._pid))
        ip("link", "add", self._port, "type", "veth", *far)
        ip("link", "set", self._port, "master", self._hub, "up")
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")

    def _serve(self, name: str, words: tuple[str, ...]) -> None:
        with self.log(name).open("ab") as log:
            self._running.append(
                subprocess.Popen(
                    (*self.inside(), "sh", "-c", _SERVE, name, *words),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def _processes(self) -> Iterator[psutil.Process]:
        """Its own, seen from outside."""
        ours = os.readlink(f"/proc/{self._pid}/ns/pid")
        for one in psutil.process_iter():
            with suppress(OSError):
                if os.readlink(f"/proc/{one.pid}/ns/pid") == ours:
                    yield one
