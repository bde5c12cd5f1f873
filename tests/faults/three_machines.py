"""A store on three machines with PostgreSQL under Patroni; faults may end any of them.

Rule: its files are those of docs/high-availability.md.
Rule: machines come back with what they had, as after a crash: no power is cut.
"""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from types import TracebackType

from tests.faults.engines import LOCK_S, SmallDisk
from tests.system.city import City, OnServer
from titik_collector.config.store_table import Store
from tools.cell.cell import PORT, Cell
from tools.cell.machine import Machine

RAM = "/dev/shm"  # a disk for each machine would be slower than three disks


class ThreeMachines:
    """Use as a context manager, in namespaces of its own."""

    name = "cell"
    kinds: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._numbers = count(1)

    def __enter__(self) -> "ThreeMachines":
        self._folder = Path(tempfile.mkdtemp(prefix="tf-cell-", dir=RAM))
        self.cell = Cell(self._folder)
        try:
            self.cell.__enter__()
        except BaseException:
            shutil.rmtree(self._folder)
            raise
        self._password = self._folder / "password"
        self._password.touch(mode=0o600)
        self._password.write_text(self.cell.password)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.cell.__exit__(kind, error, at)
        shutil.rmtree(self._folder)

    def new_store(self) -> OnServer:
        """A schema that is not there yet."""
        schema = f"t{next(self._numbers)}"
        where = Store(url=self.cell.url, schema=schema, password_file=self._password)
        lines = f'url = "{where.url}"\nschema = "{schema}"\npassword_file = "{self._password}"'
        return OnServer(where, lines)

    def drop(self, _: OnServer | None, /) -> None:
        """It goes with the machines."""

    def lock(self, city: City, wait_s: float = LOCK_S) -> Callable[[], None] | None:
        """Played on one server."""
        raise NotImplementedError

    def strike(self, kind: str) -> Callable[[], None]:
        """Played on one server."""
        raise ValueError(kind)

    def on_small_disk(self, folder: Path, /) -> AbstractContextManager[SmallDisk]:
        """Played on one server."""
        raise NotImplementedError

    def revive(self) -> None:
        """Every machine is on again; returns when none has to catch up."""
        for one in self.cell.machines.values():
            if not one.is_on:
                self.cell.boot(one.name)
            one.mend()
        self.cell.until_whole()

    def primary(self) -> Machine:
        """The machine that writes."""
        primary = self.cell.primary()
        assert primary is not None
        return primary

    def cut_from_standbys(self, primary: Machine) -> None:
        """It takes what the collector writes, and no other machine hears of it."""
        others = [one.address for one in self.cell.machines.values() if one is not primary]
        primary.cut_from(others, PORT)
