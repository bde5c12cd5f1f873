"""What a campaign keeps its stores on: a file of SQLite, or a PostgreSQL server of its own.

Rule: a scenario says what happens to the store; how that is done to an engine is here.
"""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol

from tests.system.city import City, OnServer

BALLAST = "ballast"
LOCK_S = 30.0


class Engine(Protocol):
    """Use as a context manager."""

    name: str
    kinds: tuple[str, ...]  # of faults that `strike` takes

    def __enter__(self) -> "Engine": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None: ...

    def new_store(self) -> OnServer | None:
        """An empty one; None: the file that a city has by itself."""

    def drop(self, store: OnServer | None, /) -> None:
        """A store of `new_store` that nobody needs any more."""

    def lock(self, city: City, wait_s: float = LOCK_S) -> Callable[[], None] | None:
        """Let nobody else write until what is returned is called; None: it is locked already."""

    def copy(self, city: City, into: Path) -> None:
        """The store as it is now, in a file, while the collector goes on."""

    def bring_back(self, city: City, copy: Path | None) -> None:
        """That copy takes the store's place; None: nothing does. The collector is stopped."""

    def strike(self, kind: str) -> Callable[[], None]:
        """Begin a fault of what serves the store; what ends it."""

    def on_small_disk(self, folder: Path, /) -> "AbstractContextManager[SmallDisk]":
        """A store whose disk can be filled."""

    def revive(self) -> None:
        """As a service manager does: what ended by itself runs again."""


class SmallDisk:
    """The disk of a store."""

    def __init__(self, folder: Path, file: Path | None, server: OnServer | None) -> None:
        self._folder = folder
        self.file = file
        self.server = server

    def fill(self) -> None:
        """Leave no byte free."""
        fill(self._folder)

    def free(self) -> None:
        """There is room again."""
        free(self._folder)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", str(folder))
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)


def fill(folder: Path) -> None:
    """Leave no byte free."""
    with (folder / BALLAST).open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return


def free(folder: Path) -> None:
    """There is room again."""
    (folder / BALLAST).unlink()


class Sqlite:
    """A file; nothing has to run for it."""

    name = "sqlite"
    kinds: tuple[str, ...] = ()

    def __enter__(self) -> "Sqlite":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None: ...

    def new_store(self) -> None:
        """A city has its own."""
        return None

    def drop(self, _: OnServer | None, /) -> None:
        """It goes with its city."""

    def lock(self, city: City, wait_s: float = LOCK_S) -> Callable[[], None] | None:
        """By a transaction of another process."""
        other = sqlite3.connect(city.store, isolation_level=None, timeout=wait_s)
        try:
            other.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            other.close()
            return None
        return other.close

    def copy(self, city: City, into: Path) -> None:
        """By SQLite's own backup."""
        with closing(sqlite3.connect(city.store)) as db, closing(sqlite3.connect(into)) as copy:
            db.backup(copy)

    def bring_back(self, city: City, copy: Path | None) -> None:
        """The file, without what the old one had beside it."""
        for end in ("", "-wal", "-shm"):
            city.store.with_name(city.store.name + end).unlink(missing_ok=True)
        if copy is not None:
            shutil.copy(copy, city.store)

    def strike(self, kind: str) -> Callable[[], None]:
        """Nothing serves it."""
        raise ValueError(kind)

    @contextmanager
    def on_small_disk(self, folder: Path, /) -> Iterator[SmallDisk]:
        """Of 16 MiB."""
        disk = folder / "disk"
        with small_disk(disk, "16m"):
            yield SmallDisk(disk, disk / "titik.db", None)

    def revive(self) -> None:
        """It is no process."""
