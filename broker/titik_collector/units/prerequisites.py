"""The commands that an operator types before a city's units can run as their own users.

Rule: nothing is changed here; the operator types it, and inits again.
Rule: what is below a home directory moves to /etc/titik and /var/lib/titik.
Rule: a key of titik.toml is edited in its own table alone, for others have keys of that name. What
no command can edit is printed in words.
Rule: where the collector has a user of its own, the store's folder is that user's and holds nothing
else: who may write in a folder may replace every file in it.
"""

import json
import pwd
import re
import shlex
import tomllib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from titik_collector.config.model import DEFAULT_FILE, ETC, VAR
from titik_collector.store.desk_opening import folder_of
from titik_collector.store.notify_opening import folder_of as notify_folder_of
from titik_collector.store.sqlite import files

HOMES = (Path("/root"), Path("/home"), Path("/run/user"))  # what ProtectHome= hides


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a city lies, every path absolute, and whose its parts are."""

    directory: Path  # the broker's
    config: Path
    store: Path | None  # None: on a server
    program: Path
    broker_user: str
    collector_user: str
    web_user: str
    notify_user: str
    keys_user: str  # who owns the authority's keys
    password: Path | None = None  # of the store on a server
    page_password: Path | None = None  # of the page's user there, and the notifier's
    named: tuple[Path, ...] = ()  # all that the configuration names, these too


def commands(place: Layout) -> list[str]:
    """In order, the last one is the init that writes the units; none if all is well."""
    moved = replace(
        place,
        directory=VAR / "broker" if _at_home(place.directory) else place.directory,
        config=ETC / DEFAULT_FILE if _at_home(place.config) else place.config,
    )
    if place.store is not None and _must_move(place, place.store):
        moved = replace(moved, store=VAR / "store" / place.store.name)
    if place.password is not None and _at_home(place.password):
        moved = replace(moved, password=ETC / place.password.name)
    lines = [*_installs(place), *_stops(place, moved), *_moves(place, moved)]
    if not lines:
        return []
    return [*lines, f"titik broker init {_shell(moved.directory)} --config {_shell(moved.config)}"]


def _installs(place: Layout) -> list[str]:
    if _at_home(place.program):
        return ["make install    # in the clone of titik"]
    return [
        f"useradd --system --user-group --no-create-home --home-dir {VAR}"
        f" --shell /usr/sbin/nologin {user}"
        for user in dict.fromkeys((place.collector_user, place.web_user, place.notify_user))
        if _uid(user) is None
    ]


def _stops(place: Layout, moved: Layout) -> list[str]:
    if moved == place or not (place.directory / "systemd").is_dir():
        return []
    names = " ".join(sorted(one.name for one in (place.directory / "systemd").iterdir()))
    return [f"systemctl disable --now {names}"] if names else []


def _moves(place: Layout, moved: Layout) -> list[str]:
    lines = []
    if (moved.directory, moved.config) != (place.directory, place.config):
        lines.append(f"mkdir -p {ETC} {VAR}")
    if moved.directory != place.directory:
        lines.append(f"mv -T {_shell(place.directory)} {_shell(moved.directory)}")
    if moved.config != place.config:
        lines.append(f"mv -T {_shell(place.config)} {_shell(moved.config)}")
        lines.append(f"chmod 644 {_shell(moved.config)}")
    lines += _handing_over(place, moved)
    parts = (moved.store, moved.directory, moved.password, moved.config)
    if parts != (place.store, place.directory, place.password, place.config):
        lines += _edits(place.config.read_text(encoding="utf-8"), moved)
    others = set(place.named) - {place.store, place.directory, place.password, place.config}
    return [*lines, *_by_hand(sorted(filter(_at_home, others)), place, moved)]


def _by_hand(others: Iterable[Path], place: Layout, moved: Layout) -> Iterator[str]:
    """What else the configuration names in a home directory; part of it went with the broker."""
    for one in others:
        if one.is_relative_to(place.directory):
            there = moved.directory / one.relative_to(place.directory)
            yield f"# by hand, in {moved.config}: {one} is {there} now"
        elif moved.config != place.config:
            yield f"# by hand, move {one} too, and its line in {moved.config}"


def _handing_over(place: Layout, moved: Layout) -> list[str]:
    """The store and its folder, or the password for it, to the collector's user."""
    if place.store is None or moved.store is None:
        return _handing_over_password(place.password, moved.password, place.collector_user)
    folder, user = moved.store.parent, place.collector_user
    apart = (folder_of(place.store), notify_folder_of(place.store))
    is_there = moved.store == place.store and _belongs_to(folder, user, apart)
    if is_there and (place.web_user == user or _is_shared(place.store)):
        return []
    lines = [f"mkdir -p {_shell(folder)}"]
    if moved.store != place.store:
        known = [*files(place.store), place.store.with_name(f"{place.store.name}.lease"), *apart]
        there = " ".join(_shell(one) for one in known if one.exists())
        lines += [f"mv {there} {_shell(folder)}/"] if there else []
    lines += [f"chown -R {user}: {_shell(folder)}", f"chmod 750 {_shell(folder)}"]
    shared = [
        new for old, new in zip(files(place.store), files(moved.store), strict=True) if old.exists()
    ]
    return [*lines, *([f"chmod 640 {' '.join(map(_shell, shared))}"] if shared else [])]


def _is_shared(store: Path) -> bool:
    """The group may read the store's files: the page is in it, and cannot write them."""
    return all(one.stat().st_mode & 0o040 for one in files(store) if one.exists())


def _handing_over_password(file: Path | None, moved: Path | None, user: str) -> list[str]:
    if file is None or moved is None:
        return []
    if file == moved and file.exists() and file.stat().st_uid == _uid(user):
        return []
    lines = [] if file == moved else [f"mv -T {_shell(file)} {_shell(moved)}"]
    return [*lines, f"chown {user}: {_shell(moved)}", f"chmod 600 {_shell(moved)}"]


def _edits(text: str, moved: Layout) -> list[str]:
    """What brings titik.toml to where the parts are then; what no command can, in words."""
    tables = tomllib.loads(text)
    commands, by_hand = "", []
    for table, key, path in (
        ("store", "path", moved.store),
        ("broker", "directory", moved.directory),
        ("store", "password_file", moved.password),
    ):
        there = tables.get(table, {}).get(key)
        if path is None or there is None or moved.config.parent / there == path:
            continue
        line = f"{key} = {json.dumps(str(path), ensure_ascii=False)}"
        meant = {**tables, table: {**tables[table], key: str(path)}}
        if _is(_edited(text, table, key, line), meant):
            escaped = re.sub(r"[\\&|]", r"\\\g<0>", line)
            edit = rf"/^ *\[ *{table} *\]/,/^ *\[/ s|^ *{key} *=.*|{escaped}|"
            commands += f" -e {shlex.quote(edit)}"
        else:
            by_hand.append(f"# by hand, in {moved.config}: {table}.{line}")
    return [*([f"sed -i{commands} {_shell(moved.config)}"] if commands else []), *by_hand]


def _edited(text: str, table: str, key: str, line: str) -> str:
    """As `sed` would do it: from the table's header to the next one."""
    made, is_inside = [], False
    for one in text.split("\n"):
        if re.match(r" *\[", one):
            is_inside = re.match(rf" *\[ *{table} *\]", one) is not None
        made.append(line if is_inside and re.match(rf" *{key} *=", one) else one)
    return "\n".join(made)


def _is(text: str, meant: dict[str, object]) -> bool:
    """Whether the text is read as this."""
    try:
        return tomllib.loads(text) == meant
    except tomllib.TOMLDecodeError:
        return False


def _must_move(place: Layout, store: Path) -> bool:
    """The store's users cannot reach it, or something else is in its folder."""
    folder, name = store.parent, store.name
    if _at_home(folder):
        return True
    if place.collector_user == place.keys_user or not folder.is_dir():
        return False
    return any(not one.name.startswith((name, f".{name}")) for one in folder.iterdir())


def _belongs_to(folder: Path, user: str, apart: Collection[Path]) -> bool:
    """A folder, and every file in it but those that are apart, of the user."""
    if not folder.is_dir():
        return False
    known = [folder, *(one for one in folder.iterdir() if one not in apart)]
    return {_uid(user)} == {one.lstat().st_uid for one in known}


def _at_home(path: Path) -> bool:
    return any(path.is_relative_to(one) for one in HOMES)


def _uid(user: str) -> int | None:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def _shell(path: Path) -> str:
    return shlex.quote(str(path))
