"""Machines for a drill, on this one: each has processes, a network and a disk of its own.

Rule: a machine is its first process. When that dies, all others die with it, and its network is
gone, whoever ended it. It ends with its drill, too. The drill wipes the disk.
Rule: nothing of this machine's is changed: what is mounted is seen inside alone.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from titik_collector.wording.mendable import Mendable

COMMAND_S = 120.0  # a command of `titik` that ends
START_S = 30.0
# Without SIGINT ignored, which a shell's background process inherits.
_HEARS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
_FIRST = """
mount -t proc proc /proc
mount --bind {hosts} /etc/hosts
mount --bind {own} {disk}
ip link set lo up
echo
exec cat  # until the drill ends
"""


class DrillError(Mendable):
    """A step of the drill cannot be taken; the text has the remedy."""


@dataclass(frozen=True, slots=True)
class DrillFolder:
    """What all machines of a drill have at the same path."""

    hosts: Path  # seen as /etc/hosts
    disk: Path  # of each machine its own
    logs: Path  # outside of every machine


class DrillMachine:
    """One of them; `start` it, then run what is to run on it."""

    def __init__(self, name: str, paths: DrillFolder) -> None:
        self.name = name
        self._paths = paths
        self._slug = name.replace(" ", "-")
        self.disk = paths.disk.with_name(f"disk-of-{self._slug}")  # as this machine reaches it
        self._first: subprocess.Popen[bytes] | None = None
        self._pid = 0  # of its first process, as this machine counts
        self._programs: list[DrillPart] = []

    def start(self) -> None:
        """DrillError if this machine refuses."""
        self.disk.mkdir()
        inside = _FIRST.format(
            hosts=shlex.quote(str(self._paths.hosts)),
            own=shlex.quote(str(self.disk)),
            disk=shlex.quote(str(self._paths.disk)),
        )
        words = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec"]
        pipe = subprocess.PIPE
        self._first = _popen([*words, inside], stdin=pipe, stdout=pipe, stderr=pipe)
        assert self._first.stdout is not None
        assert self._first.stderr is not None
        if self._first.stdout.readline() != b"\n":
            why = self._first.stderr.read().decode(errors="replace").strip()
            raise DrillError(
                f"{self.name}: this machine makes no namespaces ({why}); run the drill as root on"
                " a machine of its own or a virtual one, not in a container without rights"
            )
        children = Path(f"/proc/{self._first.pid}/task/{self._first.pid}/children")
        self._pid = int(children.read_text().split()[0])

    def die(self) -> None:
        """As when it is on fire: no process hears of it, and nothing is left on its disk."""
        if self._first is not None:
            self._first.kill()
            self._first.communicate()
            self._first = None
            for one in self._programs:
                one.ended()
            shutil.rmtree(self.disk)

    def titik(self, *words: str) -> str:
        """What a command of `titik` writes; DrillError if it fails."""
        return self.runs(["titik", *words])

    def runs(self, words: Sequence[str]) -> str:
        """What any command writes, as an operator would type it there."""
        command = [*_program(words[0]), *words[1:]]
        try:
            done = subprocess.run(
                [*self._enter(), *command],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, check=False, timeout=COMMAND_S, cwd="/",
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise DrillError(
                f"{self.name}: {shlex.join(words)}: no end after {COMMAND_S:g} s; try again when"
                " this machine has less to do"
            ) from error
        if done.returncode != 0:
            raise DrillError(
                f"{self.name}: {shlex.join(words)}: failed: {done.stdout.strip()}; type it on a"
                " machine of your own to see whether your city has the same problem"
            )
        return done.stdout

    def begin(self, name: str, words: Sequence[str]) -> "DrillPart":
        """A process that goes on; it writes into a log."""
        log = self._paths.logs / f"{self._slug}-{name}.log"
        with log.open("wb") as output:
            process = _popen(
                [*self._enter(), *_program(words[0]), *words[1:]],
                stdout=output.fileno(), stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._programs.append(DrillPart(f"{self.name}: {name}", log, process))
        return self._programs[-1]

    def unplug(self, interface: str) -> None:
        """Its network carries nothing more, and nobody is informed."""
        _ip(self._pid, "link", "set", interface, "down")

    def wire(self, interface: str, address: str, far: "DrillMachine", far_address: str) -> None:
        """A cable to the other one, whose end is called eth0."""
        _ip(
            self._pid,
            *("link", "add", interface, "type", "veth", "peer", "name", "eth0"),
            *("netns", str(far._pid)),
        )
        for pid, name, own in (
            (self._pid, interface, address),
            (far._pid, "eth0", far_address),
        ):
            _ip(pid, "address", "add", f"{own}/30", "dev", name)
            _ip(pid, "link", "set", name, "up")

    def _enter(self) -> list[str]:
        return ["nsenter", "-t", str(self._pid), "--net", "--mount", "--pid"]


@dataclass(frozen=True, slots=True)
class DrillPart:
    """A process of a machine."""

    name: str
    log: Path
    _process: subprocess.Popen[bytes]

    def check(self) -> None:
        """DrillError if it has ended by itself."""
        if self._process.poll() is not None:
            raise DrillError(f"{self.name} ended: {self.end_of_log()}; correct what it names")

    def wrote(self, text: str) -> bool:
        """Whether its log has this."""
        return text in self.log.read_text(errors="replace")

    def end_of_log(self) -> str:
        """The last it wrote, in one line."""
        return " ".join(self.log.read_text(errors="replace").split()[-40:])

    def ended(self) -> None:
        """It has, with its machine."""
        self._process.wait()

    def stop(self, patience_s: float) -> None:
        """As a service manager does; DrillError if it does not end."""
        for pid in _children(self._process.pid):
            os.kill(pid, 15)
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired as error:
            raise DrillError(
                f"{self.name}: no end after {patience_s:g} s; its log: {self.end_of_log()}"
            ) from error


def check_tools(*names: str) -> None:
    """DrillError unless this is root on a machine that has all of them."""
    if os.geteuid() != 0:
        raise DrillError("machines in namespaces need root: sudo titik drill")
    packages = {"ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux"}
    for name in ("ip", "unshare", "nsenter", *names):
        if not any(Path(folder, name).exists() for folder in _path()):
            raise DrillError(f"{name} is missing: apt-get install {packages.get(name, name)}")


def _path() -> list[str]:
    return [*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin", "/sbin"]


def _program(name: str) -> list[str]:
    if name == "titik":
        code = f"{_HEARS}from titik_collector.__main__ import main; main()"
        return [sys.executable, "-c", code]
    if name == "python":
        return [sys.executable]
    return [name]


def _popen(
    words: list[str],
    stdin: int = subprocess.DEVNULL,
    stdout: int | None = None,
    stderr: int | None = None,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd="/",
        start_new_session=True,  # Ctrl-C is the drill's own
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def _ip(pid: int, *words: str) -> None:
    done = subprocess.run(
        ["nsenter", "-t", str(pid), "--net", "ip", *words],
        capture_output=True, text=True, check=False, timeout=COMMAND_S,
    )  # fmt: skip
    if done.returncode != 0:
        raise DrillError(
            f"ip {shlex.join(words)}: {done.stderr.strip()}; the kernel needs veth: modprobe veth"
        )


def _children(pid: int) -> list[int]:
    """What `nsenter` has begun: it hands on no signal."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
