"""A Debian machine: a root file system of its own, with processes and a network of its own.

Rule: nothing of it outlives the test: its first process takes all others with it.
Rule: there is no service manager in it; `Machine.service` runs a unit's command as its user would.
"""

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests import first
from tools import chroots

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0
ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "PIP_NO_INDEX": "1",
    "PIP_FIND_LINKS": "/wheels",
}


class Machine:
    """Give `path` an unpacked root; `start` before anything is run."""

    def __init__(self, path: Path, suite: str) -> None:
        self.path = path
        path.mkdir()
        subprocess.run(["tar", "-xf", chroots.archive(suite), "-C", str(path)], check=True)
        subprocess.run(["cp", "-r", str(chroots.wheels()), str(path / "wheels")], check=True)
        (path / "etc/hosts").write_text("127.0.0.1 localhost\n")
        self._first: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Its first process."""
        inside = (
            f"mount -t proc proc {self.path}/proc && ip link set lo up && echo && exec sleep inf"
        )
        words = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec"]
        self._first = subprocess.Popen([*words, inside], stdout=subprocess.PIPE)
        assert self._first.stdout is not None
        assert self._first.stdout.readline() == b"\n"

    def stop(self) -> None:
        """With all that runs on it."""
        assert self._first is not None
        self._first.kill()
        self._first.communicate()

    def says(self, line: str, status: int = 0, user: str = "") -> str:
        """What a command line writes; its exit status must be the one given."""
        done = subprocess.run(
            [*self._enter(user), "sh", "-c", line],
            env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=PATIENCE_S * 5,
        )  # fmt: skip
        assert status == done.returncode, f"{line}\n{done.stdout}"
        return done.stdout

    def unit(self, name: str) -> str:
        """The text of an installed unit, links followed within the machine."""
        return self.says(f"cat /etc/systemd/system/{name}")

    @contextmanager
    def service(self, name: str) -> Iterator["Service"]:
        """A unit's command, run as systemd runs it but for the sandbox."""
        one = Service(self, name)
        try:
            yield one
        finally:
            one.stop()

    def started(
        self, words: list[str], user: str, groups: str, rights: str
    ) -> subprocess.Popen[str]:
        """A process of the machine; what it writes is to be read from `stdout`."""
        return subprocess.Popen(
            [*self._enter(user, groups, rights), *words],
            env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def _enter(self, user: str = "", groups: str = "", rights: str = "") -> list[str]:
        assert self._first is not None
        (inner,) = (
            Path(f"/proc/{self._first.pid}/task/{self._first.pid}/children").read_text().split()
        )
        words = ["nsenter", "-t", inner, "--net", "--mount", "--pid", "chroot", str(self.path)]
        if not user:
            return words
        of = ["--groups", groups] if groups else ["--init-groups"]
        bound = ",".join(["-all", *(f"+{one[4:].lower()}" for one in rights.split())])
        of += [f"--bounding-set={bound}", "--inh-caps=-all"]
        of += ["--no-new-privs", "--pdeathsig=TERM"]  # nsenter hands on no signal
        return [*words, "setpriv", f"--reuid={user}", f"--regid={user}", *of]


class Service:
    """A running unit; `wrote` is what it has written when it is over."""

    def __init__(self, machine: Machine, name: str) -> None:
        self._machine = machine
        self.text = machine.unit(name)
        user = self.value("User")
        for kind, parent in (("RuntimeDirectory", "/run"), ("StateDirectory", "/var/lib")):
            if folder := self.value(kind):
                mode = self.value(f"{kind}Mode") or "755"  # as systemd has it
                machine.says(f"install -d -o {user} -g {user} -m {mode} {parent}/{folder}")
        if credential := self.value("LoadCredential"):
            _, _, source = credential.partition(":")
            machine.says("mkdir -p /run/credentials")
            machine.says(f"install -o {user} -m 400 {shlex.quote(source)} /run/credentials/broker")
        if before := self.value("ExecStartPre"):
            machine.says(before.removeprefix("+"))  # as root
        command = (
            self.value("ExecStart").replace("%d", "/run/credentials").replace("%S", "/var/lib")
        )
        groups = ",".join(self.value("SupplementaryGroups").split())
        words = ["sh", "-c", f"umask {self.value('UMask')}; exec {command}"]
        self._process = machine.started(words, user, groups, self.value("CapabilityBoundingSet"))
        self.wrote = ""

    def value(self, key: str) -> str:
        """What the unit says of a key; nothing if it says nothing."""
        found = re.findall(rf"^{key}=(.*)$", self.text, re.M)
        return str(found[0]) if found else ""

    def ends(self) -> str:
        """Wait for the end, which must be a good one; what it wrote."""
        self.wrote, _ = self._process.communicate(timeout=PATIENCE_S)
        assert 0 == self._process.returncode, self.wrote
        return self.wrote

    def stop(self) -> None:
        """As systemd does, also where it has only begun to start."""
        if self._process.poll() is None:
            entering = psutil.Process(self._process.pid)
            for one in entering.children() or [entering]:
                one.terminate()
            self.wrote, _ = self._process.communicate(timeout=PATIENCE_S)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for it, while the service runs."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise AssertionError(self._process.communicate()[0])
            time.sleep(0.2)


def copy_clone(machine: Machine, place: str) -> None:
    """This checkout into a folder of the machine."""
    folder = _made(machine, place)
    names = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout
    tar = subprocess.run(
        ["tar", "-c", "--no-recursion", "--null", "-T", "-"],
        cwd=ROOT, input=names, check=True, capture_output=True,
    )  # fmt: skip
    subprocess.run(["tar", "-x", "-C", str(folder)], input=tar.stdout, check=True)


def copy_first(machine: Machine, place: str) -> None:
    """The first version that others installed."""
    first.unpack(_made(machine, place))


def _made(machine: Machine, place: str) -> Path:
    folder = machine.path / place.lstrip("/")
    folder.mkdir(parents=True)
    os.chmod(folder, 0o755)
    return folder
