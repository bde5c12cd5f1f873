"""A store on three machines with PostgreSQL under Patroni; faults may end any of them.

Rule: its files are those of docs/high-availability.md.
Rule: machines come back with what they had, as after a crash: no power is cut.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from itertools import count
from pathlib import Path
from types import TracebackType

from tests.faults.engines import LOCK_S, SmallDisk
from tests.system.city import City, OnServer
from titik_collector.config.store_table import Store
from tools.cell.cell import DATABASE, PORT, Cell
from tools.cell.machine import Machine

RAM = "/dev/shm"  # a disk for each machine would be slower than three disks
ROOM = 2 << 30  # on each; a tmpfs takes what is written alone
# Whether that of a collector that waits for a standby brings samples; empty: none waits.
WAITS = """
SELECT bool_or(lock.relation IS NOT NULL)
FROM pg_stat_activity AS one LEFT JOIN pg_locks AS lock ON lock.pid = one.pid
  AND lock.mode = 'RowExclusiveLock'
  AND lock.relation IN (SELECT oid FROM pg_class WHERE relname = 'sample')
WHERE one.wait_event = 'SyncRep' AND one.application_name LIKE 'titik collector%'
"""
AS_POSTGRES = ("setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups")


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
            for one in self.cell.machines.values():
                one.folder.mkdir()
                _mount(one, "-t", "tmpfs", "-o", f"size={ROOM},mode=755", "none")
            self.cell.__enter__()
        except BaseException:
            self._remove()
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
        self._remove()

    def _remove(self) -> None:
        for one in self.cell.machines.values():
            subprocess.run(("umount", "--lazy", str(one.folder)), check=False)
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

    def copy(self, city: City, into: Path) -> None:
        """Played on one server."""
        raise NotImplementedError

    def bring_back(self, city: City, copy: Path | None) -> None:
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
            self.free(one)
            if not one.is_on:
                self.cell.boot(one.name)
            one.mend()
        self.cell.until_whole()

    def primary(self) -> Machine:
        """The machine that writes."""
        return self.cell.awaited_primary()

    # Of its way to the others

    def cut_from_standbys(self, primary: Machine) -> None:
        """It takes what the collector writes, and no other machine hears of it."""
        primary.cut_from(self._others(primary), PORT)

    def deafen(self, primary: Machine) -> None:
        """Its standbys get what the collector writes, and it does not hear that they have it."""
        primary.hear_nothing_of(self._others(primary), PORT)

    def commit_waits(self, primary: Machine) -> bool | None:
        """Whether a collector's COMMIT of samples waits for a standby; None: no COMMIT does."""
        words = (*AS_POSTGRES, "psql", "-qAtX", "-d", DATABASE, "-c", WAITS)
        return {"t": True, "f": False}.get(primary.run(*words).strip())

    def _others(self, primary: Machine) -> list[str]:
        return [one.address for one in self.cell.machines.values() if one is not primary]

    # Of its disk, where everything is: database, etcd and logs

    def fill(self, one: Machine) -> None:
        """Leave no byte free."""
        while (room := shutil.disk_usage(one.folder)).free:
            with suppress(subprocess.CalledProcessError):  # it has taken some meanwhile
                _mount(one, "-o", f"remount,size={room.used}")

    def free(self, one: Machine) -> None:
        """There is room again."""
        _mount(one, "-o", f"remount,size={ROOM}")

    def use_up_log(self, primary: Machine) -> None:
        """Begin file after file of its write-ahead log, until there is no room for the next one."""
        switch = "SELECT pg_logical_emit_message(true, '', ''); SELECT pg_switch_wal()"
        words = (*primary.inside(), *AS_POSTGRES, "psql", "-qAtX", "-c", switch)
        while subprocess.run(words, capture_output=True, check=False).returncode == 0:
            pass


def _mount(one: Machine, *words: str) -> None:
    subprocess.run(("mount", *words, str(one.folder)), check=True, capture_output=True)
