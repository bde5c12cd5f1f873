"""Whether a backup would bring the city back: it is unpacked, opened and read like a living city.

Rule: nothing of it leaves the folder in which it is unpacked, and that folder goes again.
Rule: the disk keeps room for those that work on it: what would not fit is not begun.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from titik_collector import backup
from titik_collector.backup import BROKER, CONFIG, DESK, NOTIFY, STORE, BackupError, SealedStore
from titik_collector.backups import sealing, seals
from titik_collector.backups.sealing import SealError
from titik_collector.broker_setup.broker_folder import BrokerError, BrokerFolder
from titik_collector.config import model
from titik_collector.config.model import Config, ConfigError
from titik_collector.enrolment.authority import AuthorityError
from titik_collector.files.locks import locked
from titik_collector.store import conservation, samples, snapshot
from titik_collector.store.conservation import SampleTotals
from titik_collector.store.database import NoStoreRoom, StoreError
from titik_collector.store.sqlite import open_writer, version

SCRATCH = ".titik-verify"
SPARE_BYTES = 256 << 20  # left free, for the store's own files and for others


class Unverifiable(BackupError):
    """It could not be looked into, so nothing is known of it; the text has the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundStore:
    """The store of a backup."""

    schema: int
    totals: SampleTotals
    newest_ms: int | None  # when its newest sample was taken


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBackup:
    """What a backup has; `problems` is empty if it would bring the city back."""

    city: Config | None = None
    has_broker: bool = False
    routers: int | None = None  # that have certificates; None: it has no authority
    store: FoundStore | None = None
    problems: tuple[str, ...] = ()
    was_opened: bool = True  # false: it is sealed, and only its files were looked at


def free_bytes(folder: Path) -> int:
    """Of its disk."""
    return shutil.disk_usage(folder).free


@contextmanager
def scratch(beside: Path) -> Iterator[Path]:
    """An empty folder of our own, for one look at a time; it is gone afterwards."""
    folder = beside / SCRATCH
    with locked(beside):
        if folder.exists():  # a look that was killed left it
            shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def check(file: Path, folder: Path, free: Callable[[Path], int] = free_bytes) -> FoundBackup:
    """Unpack it into an empty folder and look; Unverifiable or OSError if the disk has no room."""
    try:
        names = backup.unpack(file, folder, _careful(folder, free))
    except Unverifiable:
        raise
    except BackupError as error:
        return FoundBackup(problems=(str(error),))
    return look(names, folder)


def _careful(folder: Path, free: Callable[[Path], int]) -> Callable[[int], None]:
    """Asked before so many bytes are written there."""

    def may_take(size: int) -> None:
        there = free(folder)
        if there < size + SPARE_BYTES:
            raise Unverifiable(
                f"{folder.parent}: to unpack the backup takes {size / 1e6:.0f} MB more and"
                f" {SPARE_BYTES / 1e6:.0f} MB to spare, and {there / 1e6:.0f} MB are free;"
                " free the rest, or name a folder on another disk: --scratch FOLDER"
            )

    return may_take


def check_sealed(
    file: Path, identity: Path | None, folder: Path, free: Callable[[Path], int] = free_bytes
) -> FoundBackup:
    """The same of a sealed one, by the file that lists it; without an identity none is opened."""
    listed = seals.read(file)
    if listed is None:
        return FoundBackup(problems=(f"{file}: is damaged",))
    amiss = seals.problems(file.parent, listed)
    if amiss or identity is None:
        return FoundBackup(problems=tuple(amiss), was_opened=False)
    names: set[str] = set()
    may_take = _careful(folder, free)
    try:
        for one in listed.files:
            may_take(one.size)
            opened = folder / "opened.tar.gz"
            sealing.unseal(file.parent / one.name, opened, identity)
            names |= backup.unpack(opened, folder, may_take)
            opened.unlink()
    except SealError as error:
        raise Unverifiable(str(error)) from error
    except Unverifiable:
        raise
    except BackupError as error:
        return FoundBackup(problems=(str(error),))
    return look(names, folder)


def look_at_city(city: Config, copy: Path) -> SealedStore:
    """Before it is sealed: a copy of its store, and its keys where they are."""
    directory = city.broker.directory
    amiss = [] if directory is None else _keys(directory)[1]
    found, damage = _store(copy)
    return SealedStore(None if found is None else found.newest_ms, (*amiss, *damage))


def look(names: set[str], folder: Path) -> FoundBackup:
    """What was unpacked there, by the names of its parts."""
    try:
        city = model.parse((folder / CONFIG).read_bytes(), folder / CONFIG)
    except ConfigError as error:
        return FoundBackup(problems=(str(error),))
    missing = [
        f"lacks {name}, which its configuration names"
        for name in backup.named(city)
        if name not in names
    ]
    routers, amiss = _keys(folder / BROKER) if _has_broker(names) else (None, [])
    if city.broker.directory is not None and not _has_broker(names):
        missing.append("lacks the broker with every key of the city")
    store, damage = _store(folder / STORE) if STORE in names else (None, [])
    if backup.APART in names and STORE not in names:
        missing.append("lacks the store, which is apart")
    beside = [
        f"{name}: is damaged ({found})"
        for name in (DESK, NOTIFY)
        if name in names and (found := snapshot.damage(folder / name)) is not None
    ]
    return FoundBackup(
        city=city,
        has_broker=_has_broker(names),
        routers=routers,
        store=store,
        problems=(*missing, *amiss, *damage, *beside),
    )


def _has_broker(names: set[str]) -> bool:
    return any(one.startswith(f"{BROKER}/") for one in names)


def _keys(folder: Path) -> tuple[int | None, list[str]]:
    """How many routers have certificates, and what does not belong together."""
    try:
        made = BrokerFolder.open(folder)
        if made.settings.host is None:
            return None, []
        problems = made.authority.misfits()
        routers = len({one.router for one in made.authority.issued() if not one.revoked})
    except (BrokerError, AuthorityError) as error:
        return None, [_within(str(error), folder)]
    return routers, [_within(one, folder) for one in problems]


def _within(text: str, folder: Path) -> str:
    """By its place in a backup; the remedy is another backup, not one for where it was unpacked."""
    return text.replace(f"{folder}/", "").partition("; ")[0]


def _store(file: Path) -> tuple[FoundStore | None, list[str]]:
    if not snapshot.is_database(file):
        return None, [f"what is in it as {STORE} is no database"]
    try:
        schema = version(file)  # before it is brought up to date, as a restore does it
        with closing(open_writer(file)) as db:
            problems = conservation.findings(db)
            found = FoundStore(
                schema=schema,
                totals=conservation.totals(db),
                newest_ms=samples.newest_ms(db),
            )
    except NoStoreRoom as error:
        raise Unverifiable(f"{error}; free the disk, or choose a place on another") from error
    except StoreError as error:
        return None, [str(error).replace(str(file), STORE)]
    return found, problems
