"""A bare router: busybox, OpenWrt's shell functions as stand-ins, and the packages unpacked.

Rule: scripts run in a chroot under busybox's ash, as root, with the user that the package asks for.
"""

import io
import os
import re
import shlex
import shutil
import subprocess
import tarfile
from pathlib import Path

STAND_INS = Path(__file__).parent / "root"
UID = 452


class Router:
    """One root directory."""

    def __init__(self, root: Path, *packages: Path) -> None:
        self.root = root
        shutil.copytree(STAND_INS, root)
        for folder in ("bin", "sbin", "tmp/uci", "var/run", "proc", "dev", "etc/config"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        busybox = shutil.which("busybox")
        assert busybox is not None, "apt-get install busybox-static"
        shutil.copy(busybox, root / "bin/busybox")
        subprocess.run(["chroot", str(root), "/bin/busybox", "--install", "-s", "/bin"], check=True)
        (root / "bin/logger").unlink(missing_ok=True)
        (root / "bin/logger").write_text('#!/bin/sh\necho "$@" >>/tmp/log\n')
        (root / "bin/logger").chmod(0o755)
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/ash\n")
        (root / "etc/group").write_text("root:x:0:\n")
        (root / "proc/meminfo").write_text("MemTotal:         250000 kB\n")
        for package in packages:
            self.install(package)

    def install(self, package: Path) -> None:
        """Unpack, as opkg does, and add the user it asks for."""
        with tarfile.open(fileobj=io.BytesIO(members(package)["./data.tar.gz"])) as data:
            data.extractall(self.root, filter="tar")
        wanted = re.search(r"^Require-User: (\w+):(\w+)$", control(package), re.M)
        if wanted:
            with (self.root / "etc/passwd").open("a") as users:
                users.write(f"{wanted[1]}:x:{UID}:{UID}:{wanted[1]}:/var/run/x:/bin/false\n")
            with (self.root / "etc/group").open("a") as groups:
                groups.write(f"{wanted[2]}:x:{UID}:\n")

    def uci(self, text: str, name: str = "titik-agent") -> None:
        """What the operator has set; also where `config_load` finds it."""
        (self.root / "etc/config" / name).write_text(text)
        values: dict[str, list[str]] = {}
        section = ""
        for line in text.splitlines():
            words = shlex.split(line)
            if words[:1] == ["config"]:
                section = words[2]
            elif words[:1] == ["option"]:
                values[f"{section}_{words[1]}"] = [words[2]]
            elif words[:1] == ["list"]:
                values.setdefault(f"{section}_{words[1]}", []).append(words[2])
        lines = (f"CONFIG_{key}={shlex.quote(' '.join(each))}\n" for key, each in values.items())
        (self.root / "tmp/uci" / name).write_text("".join(lines))

    def ujail(self) -> None:
        """An image that can drop capabilities."""
        (self.root / "sbin/ujail").write_text("#!/bin/sh\n")
        (self.root / "sbin/ujail").chmod(0o755)

    def shell(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run something in it."""
        return subprocess.run(
            ["chroot", str(self.root), "/bin/busybox", *command],
            env={"PATH": "/sbin:/bin:/usr/bin", **environment},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def service(self, name: str, action: str = "start") -> list[list[str]]:
        """What procd was told, a list for each call."""
        (self.root / "tmp/procd").unlink(missing_ok=True)
        done = self.shell("ash", "/etc/rc.common", f"/etc/init.d/{name}", action)
        assert (0, "") == (done.returncode, done.stderr), done
        told = self.root / "tmp/procd"
        lines = told.read_text().splitlines() if told.exists() else []
        return [line.rstrip("\t").split("\t") for line in lines]

    def log(self) -> str:
        """What was said to the system's log."""
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
