"""A whole city on three machines: brokers, collectors and the page, beside the store."""

import re
import subprocess
import sys
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
from tools.cell import files
from tools.cell.cell import Cell
from tools.cell.machine import Machine

TITIK = str(Path(sys.executable).parent / "titik")
CITY, PASSWORD = "/etc/titik/titik.toml", "/etc/titik/db.password"
KEEPALIVED = "/etc/keepalived/keepalived.conf"
BROKER = "/var/lib/titik/broker"
NAME = "mqtt.example.org"
SERVERS = ("m1", "m2")  # with broker and collector
OPEN = ("--listen", "0.0.0.0", "--engineer-listen", "0.0.0.0", "--insecure")
PORT = 8080
STOP_S = 20.0
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
        self.cell = Cell(folder, on_step)
        self._page: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Stage":
        self.cell.__enter__()
        try:
            for one in self.servers():
                self._write(one)
            self.cell.on_step("brokers are made, one on each of two machines")
            self._make_brokers()
            self.cell.on_step("brokers, collectors, keepalived and the page start")
            for one in self.servers():
                one.service("broker", TITIK, "broker", "run", BROKER)
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
        """The second is as the first; nobody is added or revoked here."""
        first, second = self.servers()
        first.run(TITIK, "broker", "init", BROKER, "--config", CITY, *OPEN)
        first.run(
            "sed", "-i", "s/^\\(listener .*\\) 127.0.0.1$/\\1 0.0.0.0/", f"{BROKER}/broker.conf"
        )
        packed = subprocess.run(
            (*first.inside(), "tar", "-C", "/", "-c", BROKER[1:]), check=True, capture_output=True
        )
        subprocess.run((*second.inside(), "tar", "-C", "/", "-x"), input=packed.stdout, check=True)

    def _start_page(self) -> None:
        """On the machine below, where it outlives all three."""
        password = self._folder / "db.password"
        password.touch(mode=0o600)
        password.write_text(self.cell.password)
        text = _city().replace(PASSWORD, str(password)).replace(f'directory = "{BROKER}"\n', "")
        for one in self.cell.machines.values():
            text = re.sub(rf"\b{one.name}\b", one.address, text)
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


def _city() -> str:
    """Kupang's, with broker and store of the three machines."""
    example = TABLES.sub("", model.EXAMPLE.read_text(encoding="utf-8"))
    ours = "".join(found[0] for found in TABLES.finditer((files.SHOWN / "titik.toml").read_text()))
    head, mark, tail = example.partition("[[site]]")
    return f"{head}{ours}\n{mark}{tail}"
