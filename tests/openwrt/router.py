"""A bare router: busybox, OpenWrt's shell functions as stand-ins, and the packages unpacked.

Rule: scripts run in a chroot under busybox's ash; what is mounted there is gone with the process.
"""

import copy
import io
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

STAND_INS = Path(__file__).parent / "root"
UID = 452
OURS = (b"killall", b"logger", b"logread", b"sync")  # stand-ins, though busybox has them
# The power goes after so many more times that something was made to last.
CUT = """\
left=$(cat /tmp/cut-sync 2>/dev/null) || exit 0
[ "$left" -gt 0 ] || { rm /tmp/cut-sync; kill -9 "$PPID"; exit; }
echo $((left - 1)) >/tmp/cut-sync"""


class Router:
    """One root directory."""

    def __init__(self, root: Path, *packages: Path) -> None:
        self.root = root
        self._bound: list[Path] = []
        shutil.copytree(STAND_INS, root)
        for folder in (
            "tmp",
            "var/run",
            "proc",
            "sys",
            "dev",
            "etc/config",
            "etc/rc.d",
            "usr/lib/opkg/info",
            "lib/apk/packages",
            "etc/apk/keys",
            "etc/apk/repositories.d",
            "etc/opkg/keys",
        ):
            (root / folder).mkdir(parents=True, exist_ok=True)
        busybox = shutil.which("busybox")
        assert busybox is not None, "apt-get install busybox-static"
        content = Path(busybox).read_bytes()
        for name in OURS:
            # Debian's busybox prefers what is in itself to what lies in the path.
            assert content.count(b"\0%b\0" % name)
            content = content.replace(b"\0%b\0" % name, b"\0%b~\0" % name[:-1])
        (root / "bin/busybox").write_bytes(content)
        (root / "bin/busybox").chmod(0o755)
        links = ["/bin/busybox", "--install", "-s", "/bin"]
        subprocess.run(["chroot", str(root), *links], check=True, stderr=subprocess.DEVNULL)
        self.program("bin/logger", 'echo "$@" >>/tmp/log')
        self.program("bin/sync", CUT)
        # OpenWrt's is uclient-fetch; Debian's static busybox dies of its option -T.
        words = 'exec /bin/busybox wget $(echo "$@" | sed "s/-T [0-9]*//")'
        self.program("bin/wget", words)
        self.program("bin/logread", 'grep "$2" /tmp/log')
        self.program(
            "bin/killall", 'echo "$(cut -d: -f1 /etc/passwd | tr "\\n" " ")$*" >>/tmp/killed'
        )
        self.program("bin/service", 'name=$1; shift; exec "/etc/init.d/$name" "$@"')
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/ash\n")
        (root / "etc/group").write_text("root:x:0:\n")
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        (root / "proc/mounts").write_text("overlay / overlay rw 0 0\n")
        (root / "proc/meminfo").write_text("MemTotal:         250000 kB\n")
        for package in packages:
            self.install(package)

    def tool(self, name: str) -> None:
        """Give it a program of this machine, with the libraries that it needs."""
        program = shutil.which(name)
        assert program is not None, f"apt-get install {name}"
        linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
        shutil.copy(program, self.root / "bin" / name)
        for library in re.findall(r"(/\S+\.so\S*) \(", linked.stdout):
            place = self.root / library[1:]
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, place)

    def sysupgrade(self, root: Path) -> "Router":
        """The same router with a new firmware: no package, and what is kept of the old one."""
        new = Router(root)
        listed = "sed '/^#/d' /etc/sysupgrade.conf /lib/upgrade/keep.d/* 2>/dev/null"
        found = self.shell("sh", "-c", f"find $({listed}) '(' -type f -o -type l ')' 2>/dev/null")
        for name in found.stdout.split():
            (root / name[1:]).parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-dp", f"{self.root}{name}", f"{root}{name}"], check=True)
        return new

    def copied(self, root: Path) -> "Router":
        """Another router that is the same until now."""
        subprocess.run(["cp", "-a", str(self.root), str(root)], check=True)
        other = copy.copy(self)
        other.root = root
        return other

    def bare(self) -> "Router":
        """The same one, for programs that see its own mounts and nothing of this machine."""
        (self.root / "dev/null").touch()
        other = copy.copy(self)
        other._bound = []
        return other

    def program(self, path: str, body: str) -> None:
        """A shell script in it, whatever was there."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(f"#!/bin/sh\n{body}\n")
        file.chmod(0o755)

    def install(self, *packages: Path) -> None:
        """As its manager does, in one go: users, scripts and services included."""
        for package in packages:
            shutil.copy(package, self.root / "tmp")
        command = ("opkg", "install", "--force-downgrade")
        if packages[0].suffix == ".apk":
            command = ("apk", "add", "--allow-untrusted")
        self.says(*command, *(f"/tmp/{package.name}" for package in packages))

    def code(self) -> str:
        """The sum of the code that is installed."""
        return self.says("sh", "-c", "cat /usr/lib/python3.*/*/titik_wire/__init__.pyc | md5sum")

    def running(self, name: str) -> str | None:
        """The sum of the code that a service was started from; None: it is not running."""
        file = self.root / "tmp/running" / name
        try:
            return file.read_text()
        except FileNotFoundError:  # it stops while we look
            return None

    def starts(self, name: str) -> int:
        """How often procd has started its process."""
        return (self.root / "tmp/started").read_text().splitlines().count(name)

    def uci(self, text: str, name: str = "titik-agent") -> None:
        """What the operator has set."""
        (self.root / "etc/config" / name).write_text(text)

    def ujail(self) -> None:
        """An image that can drop capabilities."""
        (self.root / "sbin/ujail").write_text("#!/bin/sh\n")
        (self.root / "sbin/ujail").chmod(0o755)

    def equip(self, interpreter: str, home: Path, machine: list[Path]) -> None:
        """Give it Python: `home` is its library, `machine` what that needs of this machine."""
        self._bound = [*machine, Path("/proc"), Path("/sys"), Path("/dev")]
        for path in self._bound:
            (self.root / str(path)[1:]).mkdir(parents=True, exist_ok=True)
        place = f"/{home.relative_to(self.root)}"
        self.program(
            "usr/bin/python3",
            f"export PYTHONHOME={place} PYTHONDONTWRITEBYTECODE=1\n"
            f"export PYTHONPATH=/usr/lib/python3.11/site-packages:{place}/libraries\n"
            f'exec {interpreter} -S "$@"',
        )

    def command(self, *words: str, user: int = 0) -> list[str]:
        """What runs something in it, with no more rights than that user has."""
        mounts = [f"mount --rbind {path} {self.root}{path}" for path in self._bound]
        inside = f'exec setpriv --no-new-privs chroot --userspec={user}:{user} {self.root} "$@"'
        return ["unshare", "-m", "sh", "-ec", "; ".join([*mounts, inside]), "sh", *words]

    def shell(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run something in it."""
        return subprocess.run(
            self.command("/bin/busybox", *command),
            env={"PATH": "/sbin:/bin:/usr/bin", **environment},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def says(self, *command: str) -> str:
        """What a command prints that must succeed, and complain of nothing."""
        done = self.shell("sh", "-c", '"$@"', "sh", *command)
        assert (0, "") == (done.returncode, done.stderr), done
        return done.stdout

    def service(self, name: str, action: str = "start") -> list[list[str]]:
        """What procd was asked for, a list for each call."""
        (self.root / "tmp/procd").unlink(missing_ok=True)
        self.says(f"/etc/init.d/{name}", action)
        return self.calls()

    def calls(self) -> list[list[str]]:
        """What procd was asked for since somebody looked whether it was."""
        file = self.root / "tmp/procd"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line.rstrip("\t").split("\t") for line in lines]

    def log(self) -> str:
        """What was written to the system's log."""
        file = self.root / "tmp/log"
        return file.read_text() if file.exists() else ""


def members(package: Path) -> dict[str, bytes]:
    """The files of an .ipk or of one of its archives."""
    return contents(package.read_bytes())


def contents(raw: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        files = ((one, tar.extractfile(one)) for one in tar if one.isfile())
        return {one.name: file.read() for one, file in files if file is not None}


def control(package: Path) -> str:
    return contents(members(package)["./control.tar.gz"])["./control"].decode()


def splits(package: Path) -> set[str]:
    """Which of Python's own packages it depends on."""
    found = re.search(r"^Depends: (.+)$", control(package), re.M)
    assert found is not None
    names = {one.strip() for one in found[1].split(",")}
    return {one.removeprefix("python3-") for one in names if one.startswith("python3-")}


def environment() -> dict[str, str]:
    """Nothing of the machine's own Python."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
