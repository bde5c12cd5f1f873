"""A city in one file: configuration, registry, authority, users and store, for an empty machine.

    titik.toml  desk.db  notify.db  titik.db  db.password
    web/{db.password,tls.key,tls.crt,basemap}  named/{smtp.password_file,receiver.0.url_file,...}
    broker/{broker.toml,data/dynamic-security.json}  broker/{secrets,ca,tls}/*

Sealed to a public key it is two files, all but the store in one and the store in the other. So
the store can be given to somebody who gets no key.

What else mosquitto keeps is not in it: routers send again what was not acknowledged, and every
retained message is published again.

Rule: the file is its owner's alone from its first byte, for it holds every key of the city.
Rule: restoring writes over nothing, and puts the configuration in its place last.
Rule: a desk that cannot be read stops no backup, and one that is damaged no restore. So it is with
what `titik notify` remembers, by which nothing is sent twice after a restore.
Rule: streets (a .pmtiles) are in none: they never change, and every night's would hold them again.
"""

import errno
import io
import os
import re
import shlex
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from titik_collector.backups import seals
from titik_collector.backups.sealing import sealing
from titik_collector.broker_setup import broker_init
from titik_collector.broker_setup.broker_folder import BrokerError, BrokerFolder
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.config.named_files import named_files
from titik_collector.files.replace import Owner, replacing
from titik_collector.store import (
    copying,
    desk_copying,
    desk_opening,
    half_copy,
    identity,
    notify_copying,
    notify_opening,
    opening,
    snapshot,
)
from titik_collector.store.database import StoreError
from titik_collector.store.opening import Where
from titik_collector.store.sqlite import files, open_closed, open_reader, open_writer
from titik_collector.units.systemd_units import LITESTREAM, NOTIFY_USER, USER, WEB_USER

CONFIG, DESK, STORE, BROKER, WEB = "titik.toml", "desk.db", "titik.db", "broker", "web"
OF_CITY = "city"  # beside the store where that is apart: whose it is
APART = "store-is-apart"  # in place of the store
NOTIFY = notify_opening.FILE
PASSWORD = "db.password"  # of a store on a server
NAMED = "named"  # what other keys name, each by its key
_BY_KEY = re.compile(rf"{NAMED}/[a-z0-9_.]+_file")
# Which user reads a file, by the table that names it; certificate authorities are for all of them.
READERS = {"broker": USER, "smtp": NOTIFY_USER, "heartbeat": NOTIFY_USER, "receiver": NOTIFY_USER}
_AUTHORITIES = "ca_file"
_WHO = {WEB_USER: "the page's user", NOTIFY_USER: "who sends messages", USER: "the collector"}
FILES = ("broker.toml", "data/dynamic-security.json", "passwords")  # the last: an earlier version's
_WEB_FILES = (PASSWORD, "tls.key", "tls.crt", "basemap")
_PARTS = {
    CONFIG,
    DESK,
    NOTIFY,
    STORE,
    OF_CITY,
    APART,
    PASSWORD,
    *(f"{WEB}/{one}" for one in _WEB_FILES),
}
_FULL = (errno.ENOSPC, errno.EDQUOT)
_ADD = "add them again: titik web user add NAME"
FOLDERS = ("secrets", "ca", "ca/issued", "tls")


class SavedCity(NamedTuple):
    """A backup that was taken."""

    holds: set[str]  # which of its parts there were
    left_out: list[str]  # what there is and could not be read, and why


class SealedStore(NamedTuple):
    """What a store was like before it was sealed."""

    newest_ms: int | None = None  # when its newest sample was taken
    problems: tuple[str, ...] = ()


class SealedCity(NamedTuple):
    """A sealed backup that was taken."""

    saved: SavedCity
    files: tuple[Path, ...]
    looked: SealedStore


class Restored(NamedTuple):
    """A city that came back."""

    city: Config
    broker: BrokerFolder | None
    no_store: str | None  # why there is none
    has_store: bool  # the backup has a store
    notes: list[str]  # what is not as it was
    taken_ms: int | None = None  # when the backup was; None: it does not say


class BackupError(BrokerError):
    """The file is no backup, or its place is taken; the text has the remedy."""


def backup(city: Config, file: Path) -> SavedCity:
    """Write the city into `file`, while everything runs."""
    with _copies(file) as copies, replacing(file) as raw, _written(raw) as tar:
        left_out = _add_city(tar, city, copies)
        if opening.exists(city.store):
            _copy_store(city.store, copies.store)
            tar.add(copies.store, STORE, filter=_ours)
        return SavedCity(_holds(tar), left_out)


def backup_sealed(
    city: Config, base: Path, recipient: str, look: Callable[[Path], SealedStore]
) -> SealedCity:
    """The same into files of `base`'s name, sealed to a public key.

    `look` is given the copy of the store before it is sealed: nobody here can do it afterwards.
    """
    keys, store, looked = (
        sealed_file(base, seals.KEYS),
        sealed_file(base, seals.STORE),
        SealedStore(),
    )
    with _copies(base) as copies:
        has_store = opening.exists(city.store)
        if has_store:
            _copy_store(city.store, copies.store)
            looked = look(copies.store)
        with replacing(keys) as raw, sealing(raw, recipient) as sink, _written(sink) as tar:
            left_out = _add_city(tar, city, copies)
            if has_store:
                _add_text(tar, APART, "")
            holds = _holds(tar) - {APART}
        if has_store:
            with replacing(store) as raw, sealing(raw, recipient) as sink, _written(sink) as tar:
                _add_text(tar, OF_CITY, city.city.name)
                tar.add(copies.store, STORE, filter=_ours)
        else:
            store.unlink(missing_ok=True)  # of an older one of that name
    files = (keys, store) if has_store else (keys,)
    saved = SavedCity(holds | ({STORE} if has_store else set()), left_out)
    return SealedCity(saved, files, looked)


def sealed_file(base: Path, end: str) -> Path:
    """One of the files of a sealed backup."""
    return base.with_name(base.name + end)


class _Copied(NamedTuple):
    """Where the databases are copied to, before they are archived."""

    store: Path
    desk: Path
    delivered: Path


@contextmanager
def _copies(file: Path) -> Iterator[_Copied]:
    """Beside the file, and gone afterwards."""
    copies = _Copied(*(file.with_name(f".{file.name}.{one}") for one in ("db", "desk", "notify")))
    for one in copies:
        _remove(one)
    try:
        yield copies
    finally:
        for one in copies:
            _remove(one)


def _written(raw: BinaryIO) -> tarfile.TarFile:
    """What is behind a link is kept: certificates are often links to the newest."""
    return tarfile.open(fileobj=raw, mode="w:gz", dereference=True)


def _holds(tar: tarfile.TarFile) -> set[str]:
    return {one.partition("/")[0] for one in tar.getnames()}


def _add_city(tar: tarfile.TarFile, city: Config, copies: _Copied) -> list[str]:
    """All but the store; what is left out, and why."""
    tar.add(city.file, CONFIG, filter=_ours)
    left_out = [*_add_named(tar, city), *_add_desk(tar, city, copies.desk)]
    left_out += _add_delivered(tar, city, copies.delivered)
    if city.broker.directory is not None:
        for path, name in _broker_files(city.broker.directory):
            tar.add(path, name, recursive=False, filter=_ours)
    return left_out


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(text.encode())
    tar.addfile(_ours(member), io.BytesIO(text.encode()))


def named(city: Config) -> dict[str, Path]:
    """The files that the configuration names, by their names in a backup."""
    web, by_key = city.web, dict(named_files(city))
    found = {
        PASSWORD: by_key.pop("store.password_file", None),
        f"{WEB}/{PASSWORD}": by_key.pop("web.store_password_file", None),
        f"{WEB}/tls.key": web.tls_key,
        f"{WEB}/tls.crt": web.tls_cert,
        f"{WEB}/basemap": None if web.streets else web.basemap,
        **{f"{NAMED}/{key}": file for key, file in by_key.items()},
    }
    return {name: file for name, file in found.items() if file is not None}


def _add_named(tar: tarfile.TarFile, city: Config) -> Iterator[str]:
    """What is left out, and why."""
    for name, path in named(city).items():
        if os.access(path, os.R_OK) and path.is_file():
            tar.add(path, name, filter=_ours)
        else:
            yield f"{path}, which cannot be read"


def _add_desk(tar: tarfile.TarFile, city: Config, copy: Path) -> Iterator[str]:
    """What is left out, and why."""
    try:
        if desk_opening.exists(city.page_store):
            _copy_desk(city, copy)
            tar.add(copy, DESK, filter=_ours)
    except StoreError as error:
        yield f"the users of the page: {error}"


def _add_delivered(tar: tarfile.TarFile, city: Config, copy: Path) -> Iterator[str]:
    """What is left out, and why."""
    try:
        with notify_opening.reading(city.page_store) as source:
            if source is not None:
                with closing(desk_opening.open_file(copy, notify_opening.FOLDER)) as into:
                    notify_copying.copy(source, into)
                tar.add(copy, NOTIFY, filter=_ours)
    except (StoreError, OSError) as error:
        yield f"which messages were sent: {error}"


def restore(
    file: Path, target: Path, force: bool = False, store_file: Path | None = None
) -> Restored:
    """Put the city where `target`, its configuration file, will be; BackupError if it cannot.

    `force`: the backup may name other folders too. `store_file`: the store is apart, in this one.
    """
    with _opened(file) as tar, ExitStack() as left:
        text = _content(tar, CONFIG, file)
        city = model.parse(text, target)
        parts = [one for one in (city.store.path, city.broker.directory) if one is not None]
        inside = None if force else target.parent
        _check_inside(inside, *parts)
        there = [] if city.store.path is None else _store_files(city.store.path)
        for one in [target, *there, *parts]:
            if one.exists():
                raise BackupError(
                    f"{one}: is there already; restore on an empty machine, move away what is"
                    " left of the old city, or where only the store is gone:"
                    " titik restore --only-store FILE"
                )
        target.parent.mkdir(parents=True, exist_ok=True)
        if store_file is None and APART in tar.getnames():
            raise BackupError(
                f"the store is in another file, whose name ends in {seals.STORE}; give both:"
                " titik restore KEYS STORE"
            )
        has_store, notes = _unpack(tar, city, file, inside, left, store_file)
    with replacing(target, Owner(-1, -1, 0o644)) as raw:  # each unit's user reads it
        raw.write(text)
    made, no_store = None, None if has_store else "the backup has none"
    notes += [*_hand_over(city, inside), *_without(city), *_without_streets(city)]
    is_to_come = has_store and city.store.path is None
    try:
        if is_to_come:
            notes += restore_store(store_file or file, city, file)
        else:
            notes += _bring_beside_store(file, city)
    except (StoreError, BackupError) as error:
        if is_to_come:  # the server is away, or it still has the store
            no_store = str(error)
        else:
            notes.append(f"no user of the page: {error}; {_ADD}")
    if city.broker.directory is not None:
        notes += broker_init.end_router_passwords(BrokerFolder.open(city.broker.directory))
        made, done = broker_init.init(city.broker.directory, broker_init.Request(file=target))
        notes += [*broker_init.in_the_way(made), *done]
    return Restored(city, made, no_store, has_store, notes, _taken_ms(file))


def _taken_ms(file: Path) -> int | None:
    """By its first bytes: a copy of the file has another time."""
    with file.open("rb") as raw:
        head = raw.read(8)
    return int.from_bytes(head[4:], "little") * 1000 or None


def restore_store(file: Path, city: Config, rest: Path | None = None) -> list[str]:
    """Put the store alone where the city has it; BackupError if there is one, or it cannot.

    Users of the page come with it where there are none; what is not as it was. `rest`: the file
    that has them, where the store is apart.
    """
    rest = rest or file
    store = city.store.path
    with opening.held(city.store), ExitStack() as left:
        beside = _beside(city.beside, left)
        there = [] if store is None else [one for one in files(store) if one.exists()]
        if there and (there != [store] or not _is_empty(there[0])):
            names = ", ".join(map(str, there))
            raise BackupError(f"there already: {names}; move away first")
        with _opened(file) as tar:
            name = _name_of(tar, file, city.file)
            if name != city.city.name:
                raise BackupError(f"{file}: is of the city {name}, not of {city.city.name}")
            if STORE not in tar.getnames():
                raise BackupError(f"{file}: holds no store; use another")
            _write(tar, tar.getmember(STORE), beside)
            _read_to_end(tar)
            _check_database(beside, file)
        if store is None:
            return _copy_to_server(beside, file, city, rest)
        # First: where the store is, nothing brings it again.
        notes = _bring_beside_store(rest, city)
        beside.replace(store)
        return notes


def is_store(file: Path) -> bool:
    """Whether it is the store of a backup in two files; BackupError if it is no backup."""
    with _opened(file) as tar:
        first = tar.next()
        return first is not None and first.name == OF_CITY


def unpack(file: Path, folder: Path, may_take: Callable[[int], None]) -> set[str]:
    """Every part below a folder, each by its name in a backup; their names.

    `may_take` is called before each, with its bytes. BackupError: it is no whole backup.
    """
    names: set[str] = set()
    with _opened(file) as tar:
        for member in tar:
            if not member.isfile():
                continue
            if not _is_part(member.name):
                raise BackupError(f"{member.name}: belongs in no backup; use another")
            may_take(member.size)
            _write(tar, member, folder / member.name)
            names.add(member.name)
        _read_to_end(tar)
    if names.isdisjoint((CONFIG, OF_CITY)):
        raise BackupError(f"{file}: holds no {CONFIG}, so it is no backup; use another")
    return names


def _is_part(name: str) -> bool:
    is_named = name in _PARTS or _BY_KEY.fullmatch(name) is not None
    return is_named or _belongs(PurePosixPath(name))


def _is_empty(store: Path) -> bool:
    """A collector made it, and ended before it heard a router."""
    try:
        with closing(open_closed(store)) as db:
            return identity.is_empty(db)
    except StoreError:  # damaged, or no store
        return False


def _name_of(tar: tarfile.TarFile, file: Path, place: Path) -> str:
    """Of the city that a backup, or a store that is apart, is of."""
    if OF_CITY in tar.getnames():
        return _content(tar, OF_CITY, file).decode(errors="replace")
    return model.parse(_content(tar, CONFIG, file), place).city.name


def _copy_to_server(beside: Path, file: Path, city: Config, rest: Path) -> list[str]:
    """From the store of a backup; one that was interrupted goes on. As `restore_store`."""
    open_writer(beside).close()  # of an earlier version: brought up to date
    origin = f"{file.resolve()} {file.stat().st_mtime_ns} {file.stat().st_size}"
    with closing(open_reader(beside)) as source, opening.writing(city.store, half=True) as target:
        there = opening.name(city.store)
        copying.begin(source, target, origin, there)  # another store's desk gets nothing
        notes = _bring_beside_store(rest, city)  # before the store, as on a file
        copying.copy(source, target, origin, there, lambda: None)
        half_copy.finish(target)
    return notes


def _hand_over(city: Config, inside: Path | None) -> list[str]:
    """Root's are the files that other users have to read; of no other folder than `inside`."""
    if os.geteuid() != 0:
        return []
    files: dict[str, list[str]] = {}  # by their users
    for name, one in named(city).items():
        user = _reader(name)
        is_ours = inside is None or _within(inside, one) is not None
        if user is not None and is_ours and one.exists():
            files.setdefault(user, []).append(str(one))
    return [
        f"for {_WHO[user]}, as root: chown {user}: {shlex.join(dict.fromkeys(its))}"
        for user, its in files.items()
    ]


def _reader(name: str) -> str | None:
    """Who reads a file of that name in a backup; None: all, or `broker init` sees to it."""
    folder, _, key = name.partition("/")
    if folder == NAMED and not key.endswith(_AUTHORITIES):
        return READERS[key.partition(".")[0]]
    return WEB_USER if folder == WEB else None


def _without(city: Config) -> Iterator[str]:
    """An earlier version's backup has less, and so has one of whoever could not read all."""
    for one in dict.fromkeys(named(city).values()):
        if not one.exists():
            yield f"not in the backup: {one}, which {city.file} names; write it again"


def _without_streets(city: Config) -> Iterator[str]:
    """The page does not start without the file that it is to draw."""
    streets = city.web.streets
    if streets is not None and not streets.exists():
        yield f"in no backup: {streets}; copy it there, or take basemap out of [web]"


def _bring_beside_store(file: Path, city: Config) -> list[str]:
    """What people entered, and which messages they got; as `_bring_desk`."""
    return [*_bring_desk(file, city), *_bring_delivered(file, city)]


def _bring_delivered(file: Path, city: Config) -> list[str]:
    """Where nothing was sent yet; without it a message may come twice."""
    with ExitStack() as left:
        beside = _beside(notify_opening.folder_of(city.beside), left)
        if not _wrote_member(file, NOTIFY, beside):
            return []
        try:
            with (
                closing(desk_opening.open_file(beside, notify_opening.FOLDER)) as source,
                notify_opening.opened(city.page_store) as target,
            ):
                if not notify_copying.copy(source, target):
                    return ["messages of the last hour may come twice: others were sent from here"]
        except StoreError as error:
            return [f"messages of the last hour may come twice: {error}"]
        return []


def _bring_desk(file: Path, city: Config) -> list[str]:
    """Where the city has none; StoreError if a server that has it is away."""
    with ExitStack() as left:
        beside = _beside(desk_opening.folder_of(city.beside), left)
        if not _wrote_member(file, DESK, beside):
            return []
        if (damage := snapshot.damage(beside)) is not None:
            lost = f"no user of the page: {DESK} of {file} is damaged ({damage})"
            return [f"{lost}; {_ADD}"]
        with (
            closing(desk_opening.open_file(beside)) as source,
            desk_opening.opened(city.page_store) as target,
        ):
            if desk_copying.is_empty(target):
                desk_copying.copy(source, target, desk_opening.name(city.page_store))
        return []


def _wrote_member(file: Path, name: str, beside: Path) -> bool:
    """Whether the backup has it; it is `beside` then."""
    with _opened(file) as tar:
        member = next((one for one in tar if one.name == name), None)
        if member is not None:
            _write(tar, member, beside)
    return member is not None


def _store_files(store: Path) -> list[Path]:
    return [*files(store), desk_opening.file_of(store)]


def _remove(store: Path) -> None:
    for one in files(store):
        one.unlink(missing_ok=True)


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    """A backup to read; BackupError if it is not whole."""
    try:
        with tarfile.open(file, "r:gz") as tar:
            yield tar
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise BackupError(f"{file}: is no whole backup ({error}); use another") from error


def _broker_files(directory: Path) -> Iterator[tuple[Path, str]]:
    """Every file worth keeping, and its name in the backup."""
    BrokerFolder.open(directory)  # raises with what is wrong with it
    for name in FILES:
        if (directory / name).exists():
            yield directory / name, f"{BROKER}/{name}"
    for folder in FOLDERS:
        for path in sorted((directory / folder).glob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield path, f"{BROKER}/{folder}/{path.name}"


def _copy_desk(city: Config, copy: Path) -> None:
    with (
        desk_opening.opened(city.page_store) as source,
        closing(desk_opening.open_file(copy)) as into,
    ):
        desk_copying.copy(source, into, str(copy))


def _copy_store(store: Where, copy: Path) -> None:
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        snapshot.take(store, copy)
    except snapshot.Uncopied as error:
        raise BackupError(str(error)) from error
    except snapshot.Damaged as error:
        raise BackupError(
            f"{error}; nothing was written, an older backup stays; bring that back:"
            " titik restore --only-store FILE"
        ) from error


def _unpack(
    tar: tarfile.TarFile,
    city: Config,
    file: Path,
    inside: Path | None,
    left: ExitStack,
    store_file: Path | None,
) -> tuple[bool, list[str]]:
    """Beside their places, then there, so that half a backup is never taken for a whole one.

    Whether a store is in it, and what was kept. One whose place is a server is left to
    `restore_store`. `left` removes what did not come to its place.
    """
    directory, has_store, places, kept = city.broker.directory, False, named(city), []
    store = _beside(city.beside, left)
    broker = None if directory is None else _beside(directory, left)
    unpacked: dict[Path, Path] = {}  # by its place
    for member in tar:
        path = PurePosixPath(member.name)
        if not member.isfile() or member.name in (CONFIG, DESK, NOTIFY, APART):
            continue
        if member.name == STORE:
            has_store = True
            if city.store.path is not None:
                _write(tar, member, store)
                unpacked[city.store.path] = store
        elif member.name in places:
            place = places[member.name]
            if place.exists():
                kept.append(f"kept, because it may be newer than the backup's: {place}")
                continue
            _check_inside(inside, place)
            within = None if directory is None else _within(directory, place)
            is_unit = within is not None and within.parts[:1] in ((), ("systemd",))
            if is_unit or place.name == LITESTREAM:  # a program would be started by it
                raise BackupError(f"{member.name}: belongs not at {place}; use another backup")
            if broker is not None and within is not None:
                whole = broker / within  # it comes to its place with the folder
            else:
                _make_enterable(place.parent)
                place = place.parent.resolve() / place.name  # two keys may name one file
                whole = unpacked[place] = _beside(place, left)
            _write(tar, member, whole)
            if member.name.endswith(_AUTHORITIES):
                whole.chmod(0o644)
        elif broker is not None and _belongs(path):
            _write(tar, member, broker / path.relative_to(BROKER))
        else:
            raise BackupError(f"{member.name}: belongs in no backup; use another")
    _read_to_end(tar)
    if store_file is not None:
        has_store = True
        if city.store.path is not None:
            _unpack_store(store_file, city, store)
            unpacked[city.store.path] = store
    if store.exists():
        _check_database(store, file)
    if broker is not None and directory is not None and broker.exists():
        unpacked[directory] = broker
    for place, beside in unpacked.items():
        beside.replace(place)
    return has_store, kept


def _unpack_store(file: Path, city: Config, store: Path) -> None:
    """Of a backup in two files."""
    with _opened(file) as tar:
        if (name := _name_of(tar, file, city.file)) != city.city.name:
            raise BackupError(f"{file}: is of the city {name}, not of {city.city.name}")
        if STORE not in tar.getnames():
            raise BackupError(f"{file}: holds no store; use another")
        _write(tar, tar.getmember(STORE), store)
        _read_to_end(tar)


def _within(folder: Path, place: Path) -> Path | None:
    """Where in the folder it is; None: elsewhere."""
    place, folder = place.resolve(), folder.resolve()
    return place.relative_to(folder) if place.is_relative_to(folder) else None


def _make_enterable(folder: Path) -> None:
    """Other users have to reach their files in it; each of them is its owner's alone."""
    for one in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        one.mkdir()
        one.chmod(0o755)


def _check_inside(folder: Path | None, *parts: Path) -> None:
    """A backup names itself where its parts belong, and root may write anywhere.

    None: they may be anywhere.
    """
    if folder is None:
        return
    outside = [str(one) for one in parts if _within(folder, one) is None]
    if outside:
        raise BackupError(
            f"the backup puts {', '.join(outside)} outside of {folder.resolve()}; if that is where"
            " the city was: titik restore --force FILE"
        )


def _check_database(beside: Path, file: Path) -> None:
    """BackupError if it is no database."""
    if not snapshot.is_database(beside):
        raise BackupError(f"{file}: what is in it as {STORE} is no database; use another backup")


def _read_to_end(tar: tarfile.TarFile) -> None:
    """The last members may be cut off unseen; the checksum at the very end shows it."""
    assert tar.fileobj is not None
    while tar.fileobj.read(1 << 20):
        pass


def _belongs(path: PurePosixPath) -> bool:
    """Whether it is a file of the broker's folder that a backup holds."""
    if path.parts[0] != BROKER or path.name == ".." or len(path.parts) < 2:
        return False
    inside = path.relative_to(BROKER)
    return str(inside) in FILES or str(inside.parent) in FOLDERS


def _beside(place: Path, left: ExitStack) -> Path:
    """Where it is unpacked; what an earlier try left is removed, and what this one leaves."""
    beside = place.with_name(f".{place.name}.restored")
    _discard(beside)
    left.callback(_discard, beside)
    return beside


def _discard(beside: Path) -> None:
    if beside.is_dir():
        shutil.rmtree(beside)
    _remove(beside)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None  # a regular file
    try:
        with source, replacing(file) as raw:
            shutil.copyfileobj(source, raw, 1 << 20)
    except OSError as error:
        if error.errno in _FULL:
            error.filename = str(file)  # so it is not taken for a fault of the backup
        raise
    os.utime(file, (member.mtime, member.mtime))  # the newest certificate is found by it


def _content(tar: tarfile.TarFile, name: str, file: Path) -> bytes:
    try:
        source = tar.extractfile(name)
    except KeyError as error:
        raise BackupError(f"{file}: holds no {name}, so it is no backup; use another") from error
    assert source is not None
    with source:
        return source.read()


def _ours(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Owners and modes are made again on the other machine."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member
