"""A whole city on three machines: brokers, collectors and the page, beside the store.

Rule: its brokers and keys are made by the commands of docs/high-availability.md, in their order.
"""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from titik_collector.broker_setup.broker_folder import BrokerFolder
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.config.store_table import Store
from titik_collector.store import conservation, opening
from titik_collector.store.conservation import SampleTotals
from tools.cell import files, names
from tools.cell.cell import Cell
from tools.cell.machine import Machine

TITIK = str(Path(sys.executable).parent / "titik")
CITY, PASSWORD = "/etc/titik/titik.toml", "/etc/titik/db.password"
KEEPALIVED = "/etc/keepalived/keepalived.conf"
BROKER = "/var/lib/titik/broker"
NAME = "mqtt.example.org"
SERVERS = ("m1", "m2")  # with broker and collector
AUTHORIZED, SSHD, HOST_KEY = "/etc/ssh/authorized", "/etc/ssh/twin.conf", "/etc/ssh/twin.key"
SERVE_SSH = f"mkdir -p /run/sshd; exec /usr/sbin/sshd -D -e -f {SSHD}"
PORT = 8080
STOP_S, OPEN_S = 20.0, 60.0
SSH = 22
TABLES = re.compile(r"^\[(?:broker|store)\]\n(?:(?!\[).*\n)*", re.M)


class Books(NamedTuple):
    """What the store has, and who writes it."""

    totals: SampleTotals
    holder: str  # process PID on MACHINE


class Stage:
    """Use as a context manager."""

    def __init__(self, folder: Path, on_step: Callable[[str], None] | None = None) -> None:
        """`folder`: of the disks; mosquitto's account has to get in. `on_step`: as Cell's."""
        self._folder = folder
        self.roots = folder / "routers"  # a root directory of each
        self.cell = Cell(folder, on_step)
        self._page: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Stage":
        hosts = self._folder / "hosts"
        hosts.write_text(files.hosts_file())
        names.know(hosts)
        self.cell.__enter__()
        try:
            for one in self.servers():
                self._write(one)
            self.cell.on_step("a broker is made, and its twin on another machine, over ssh")
            self._make_brokers()
            self.cell.on_step("each router gets a certificate, which both brokers know")
            self._enrol()
            self.cell.on_step("collectors, keepalived and the page start")
            for one in self.servers():
                one.service("collector", TITIK, "collect", "--config", CITY)
                one.service("keepalived", "keepalived", "--dont-fork", "--log-console", "--vrrp")
            self._start_page()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._page is not None:
            self._page.terminate()
            self._page.wait(STOP_S)
        self.cell.__exit__(kind, error, at)

    def servers(self) -> list[Machine]:
        """Those with broker and collector."""
        return [self.cell.machines[name] for name in SERVERS]

    @property
    def page(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{PORT}/"

    @property
    def name(self) -> str:
        """The address that the brokers' name leads to."""
        return next(
            address for address, name in files.hosts() if name == NAME
        )  # the routers here have no line for it

    def city(self) -> Config:
        """As the page has it."""
        return model.load(self._folder / "titik.toml")

    def broker(self) -> BrokerFolder:
        """The first, which has the routers' passwords."""
        return BrokerFolder.open(self.servers()[0].disk(BROKER))

    def where(self) -> Store:
        """The store."""
        return self.city().store

    def books(self) -> Books:
        """StoreError while no machine writes."""
        with opening.reading(self.where()) as db:
            ((holder,),) = db.execute("SELECT holder FROM lease")
            return Books(conservation.totals(db), str(holder))

    def findings(self) -> list[str]:
        """What `titik db check` finds; StoreError."""
        with opening.reading(self.where()) as db:
            return conservation.findings(db)

    def named(self, without: Collection[str]) -> str | None:
        """The machine that the brokers' name leads to now, but for those that are cut off."""
        for one in self.servers():
            with suppress(AssertionError):
                if (
                    one.is_on
                    and one.name not in without
                    and f" {self.name}/" in one.run("ip", "-brief", "address")
                ):
                    return one.name
        return None

    def _write(self, one: Machine) -> None:
        one.write_inside(CITY, _city())
        one.write_inside(PASSWORD, self.cell.password)
        one.run("chmod", "600", PASSWORD)
        one.write_inside(KEEPALIVED, (files.SHOWN / "keepalived.conf").read_text())

    def _make_brokers(self) -> None:
        """Both run."""
        first, second = self.servers()
        asked = ("--host", NAME, "--collector-listen", "0.0.0.0", "--config", CITY)
        first.run(TITIK, "broker", "init", BROKER, *asked)
        twin = f"ssh://root@{second.name}{BROKER}"
        printed = first.run(TITIK, "broker", "twin", "add", BROKER, twin)
        (line,) = (one for one in printed.splitlines() if one.startswith("command="))
        _let_in(second, line)
        _until_open(second, SSH, "sshd")
        first.run(TITIK, "broker", "twin", "send", BROKER)
        for one in (first, second):
            one.service("broker", TITIK, "broker", "run", BROKER)
            _until_open(one, self.broker().ports.router, "broker")
        first.run(TITIK, "broker", "init", BROKER, "--config", CITY)

    def _enrol(self) -> None:
        """Run each router's bundle, as on the router."""
        first = self.servers()[0]
        first.run(TITIK, "router", "add", "--all", "--config", CITY)
        for router in model.load(first.disk(CITY)).router:
            root = self.roots / router.name
            root.mkdir(parents=True)
            subprocess.run(
                ("sh", str(self.broker().bundle_file(router.name))),
                env={"PATH": os.environ["PATH"], "TITIK_ROOT": str(root)},
                check=True,
                capture_output=True,
            )

    def _start_page(self) -> None:
        """On the machine below, where it outlives all three."""
        password = self._folder / "db.password"
        password.touch(mode=0o600)
        password.write_text(self.cell.password)
        text = _city().replace(PASSWORD, str(password)).replace(f'directory = "{BROKER}"\n', "")
        file = self._folder / "titik.toml"
        file.write_text(f"{text}\n[web]\nport = {PORT}\n")
        with (self._folder / "page.log").open("wb") as log:
            self._page = subprocess.Popen(
                ("setpriv", "--pdeathsig", "KILL", TITIK, "web", "--config", str(file)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def _let_in(one: Machine, authorized: str) -> None:
    """By ssh, whoever has the key that belongs to this line."""
    one.write_inside(AUTHORIZED, f"{authorized}\n")
    one.write_inside(
        SSHD,
        f"HostKey {HOST_KEY}\nAuthorizedKeysFile {AUTHORIZED}\nUsePAM no\nPidFile none\n"
        f"SetEnv PATH={Path(TITIK).parent}:/usr/sbin:/usr/bin:/sbin:/bin\n",
    )
    one.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", HOST_KEY)
    one.run("usermod", "-p", "*", "root")  # without PAM an account that is locked has no key either
    one.service("sshd", "sh", "-c", SERVE_SSH)


def _until_open(one: Machine, port: int, service: str) -> None:
    """Its service takes connections."""
    deadline = time.monotonic() + OPEN_S
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((one.address, port)) == 0:
                return
        assert time.monotonic() < deadline, one.log(service).read_text()
        time.sleep(0.1)


def _city() -> str:
    """Kupang's, with broker and store of the three machines."""
    example = TABLES.sub("", model.EXAMPLE.read_text(encoding="utf-8"))
    ours = "".join(found[0] for found in TABLES.finditer((files.SHOWN / "titik.toml").read_text()))
    head, mark, tail = example.partition("[[site]]")
    return f"{head}{ours}\n{mark}{tail}"
