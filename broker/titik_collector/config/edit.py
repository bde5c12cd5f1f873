"""Adds, revokes and removes routers in the configuration file, while no other command edits it.

Rule: an edit is a few whole lines; comments, order and spelling of the rest stay.
Rule: the edited text is read again before it is written, and must say exactly what was meant.
Rule: from reading the file to the end of what follows from it, no other command edits it.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from titik_collector.config import model as configuration
from titik_collector.config.model import Config, ConfigError
from titik_collector.config.schema import BEGINS, NAME
from titik_collector.config.settings_tables import KEYS, SettingsOf, SettingsTable
from titik_collector.config.site_tables import Router, no_such_site
from titik_collector.files.locks import locked
from titik_collector.files.replace import Owner, replace_file

_HEADER = re.compile(r"\s*\[")
_REVOKED = re.compile(r"\s*(?:revoked|\"revoked\"|'revoked')\s*=")
# To its last bracket: an address or a comment may have one too.
_LIST = r"""\[(?:#[^\n]*|"[^"\n]*"|'[^'\n]*'|[^]"'#])*\]"""
_TAGS = re.compile(rf"^([ \t]*)(?:tags|\"tags\"|'tags')\s*=\s*{_LIST}", re.MULTILINE)
_ROUTER = re.compile(r"\s*\[\[\s*(?:router|\"router\"|'router')\s*\]\]")
_NOTE = re.compile(r"#[^\r\n]*")  # between names, numbers and flags, which have no #
_SETTINGS = re.compile(r"\s*\[\[\s*(?:settings|\"settings\"|'settings')\s*\]\]")


@contextmanager
def editing(file: Path) -> Iterator[Config]:
    """The configuration, which no other command changes before the end of the block."""
    with locked(Path(os.path.realpath(file)).parent):
        yield configuration.load(file)


def check_new(config: Config, router: Router) -> None:
    """ConfigError if the router could not be added."""
    name, site = router.name, router.site
    try:
        NAME.read(name, config.file.parent)
    except ValueError as error:
        raise ConfigError(config.file, "router", str(error), f"allowed: {NAME.allowed}") from error
    if not name[0].isalnum():
        raise ConfigError(config.file, "router", f'"{name}" begins with -', BEGINS)
    for one in config.router:
        if one.name == name:
            raise ConfigError(
                config.file,
                "router",
                f'"{name}" is there already, at {one.site}',
                "see: titik router list",
            )
    sites = [one.name for one in config.site]
    if site not in sites:
        raise ConfigError(config.file, "router", f'no site "{site}"', no_such_site(site, sites))
    configuration.check(replace(config, router=(*config.router, router)))


def add(config: Config, router: Router) -> None:
    """Append the router's table to the file."""
    check_new(config, router)
    add_many(config, [router])


def add_many(
    config: Config,
    routers: Sequence[Router],
    into: Path | None = None,
    *,
    tagged: Sequence[Router] = (),
    is_trial: bool = False,
) -> None:
    """Append a table for each; they are new, and their sites exist.

    `into`: leave the file as it is, and write what it would be there. `tagged`: routers that the
    file has, with the tags that they get. `is_trial`: write nothing, but raise what it would.
    """
    text = _tag(_text(config.file), config, tagged)
    text += "" if text.endswith("\n") else "\n"
    for one in routers:
        text += f'\n[[router]]\nname = "{one.name}"\nsite = "{one.site}"\n'
        text += "" if one.since is None else f"since = {one.since.isoformat()}\n"
        # JSON's lists of names are TOML's too.
        text += f"tags = {json.dumps(list(one.tags))}\n" if one.tags else ""
    become = {one.name: one for one in tagged}
    kept = [become.get(one.name, one) for one in config.router]
    meant = replace(config, router=(*kept, *routers))
    configuration.check(meant)
    if is_trial:
        _check_written(config.file, text, meant)
    else:
        _write(config.file, text, meant, into)


def find(config: Config, name: str) -> Router:
    """The router of that name; ConfigError if it is not there."""
    for one in config.router:
        if one.name == name:
            return one
    wrong = f'there is no router "{name}"'
    raise ConfigError(config.file, "router", wrong, "see: titik router list")


def remove(config: Config, name: str) -> None:
    """Take the router's table out of the file, and its settings; ConfigError if it is not there."""
    number = config.router.index(find(config, name))
    without, text = _without_settings(config, SettingsOf("router", name))
    lines = text.splitlines(keepends=True)
    first, last = _block(lines, number, _headers(lines))
    meant = replace(without, router=tuple(one for one in config.router if one.name != name))
    _write(config.file, "".join(lines[:first] + lines[last:]), meant)


def put_settings(config: Config, table: SettingsTable, *, is_trial: bool = False) -> Config:
    """Have this table in place of the one for the same routers; without a key it is taken out.

    What the file is then. `is_trial`: write nothing, but raise what it would.
    """
    before = {one.of: number for number, one in enumerate(config.settings)}
    keys = {key: value for key in KEYS if (value := getattr(table, key)) is not None}
    if not keys:
        meant, text = _without_settings(config, table.of)
    elif table.of in before:
        meant, text = _other_settings(config, before[table.of], table)
    else:
        meant = replace(config, settings=(*config.settings, table))
        text = _text(config.file)
        text += "" if text.endswith("\n") else "\n"
        scope, name = table.of
        text += f"\n[[settings]]\n{scope} = {json.dumps(True if scope == 'all' else name)}\n"
        text += "".join(_written(key, value) for key, value in keys.items())
    configuration.check(meant)
    if is_trial:
        _check_written(config.file, text, meant, "settings")
    elif meant != config:
        _write(config.file, text, meant, table="settings")
    return meant


def _other_settings(config: Config, number: int, table: SettingsTable) -> tuple[Config, str]:
    was = config.settings[number]
    lines = _text(config.file).splitlines(keepends=True)
    first, last = _block(lines, number, _headers(lines, _SETTINGS))
    block = "".join(lines[first:last]).rstrip() + "\n"
    for key in KEYS:
        value = getattr(table, key)
        if value == getattr(was, key):
            continue
        line = rf"^[ \t]*[\"']?{key}[\"']?[ \t]*=[ \t]*(?:{_LIST}|[^\s#]+)"
        found = re.search(line if value is not None else rf"{line}[^\n]*\n", block, re.M)
        if getattr(was, key) is None or found is None:
            block += _written(key, value)
            continue
        kept = "" if value is None else _notes(found[0]) + _written(key, value).rstrip()
        block = block[: found.start()] + kept + block[found.end() :]
    tables = list(config.settings)
    tables[number] = table
    return replace(config, settings=tuple(tables)), "".join([*lines[:first], block, *lines[last:]])


def _without_settings(config: Config, of: SettingsOf) -> tuple[Config, str]:
    text = _text(config.file)
    number = next((n for n, one in enumerate(config.settings) if one.of == of), None)
    if number is None:
        return config, text
    lines = text.splitlines(keepends=True)
    first, last = _block(lines, number, _headers(lines, _SETTINGS))
    kept = tuple(one for one in config.settings if one.of != of)
    return replace(config, settings=kept), "".join(lines[:first] + lines[last:])


def _notes(before: str) -> str:
    """What was noted between these lines, which others take the place of."""
    return "".join(f"{one}\n" for one in _NOTE.findall(before))


def _written(key: str, value: object) -> str:
    """JSON's texts, numbers, flags and lists of them are TOML's too."""
    return f"{key} = {json.dumps(value)}\n"


def revoke(config: Config, name: str, at: datetime | None) -> None:
    """Write down since when the router has no access; None: it has."""
    number = next((n for n, one in enumerate(config.router) if one.name == name), None)
    if number is None or config.router[number].revoked == at:
        return
    lines = _text(config.file).splitlines(keepends=True)
    first, last = _block(lines, number, _headers(lines))
    block = [one for one in lines[first:last] if not _REVOKED.match(one)]
    if at is not None and block:
        block[-1] = block[-1].rstrip("\r\n") + "\n"
        block.append(f"revoked = {at.isoformat()}\n")
    routers = list(config.router)
    routers[number] = replace(routers[number], revoked=at)
    text = "".join([*lines[:first], *block, *lines[last:]])
    _write(config.file, text, replace(config, router=tuple(routers)))


def _headers(lines: list[str], of: re.Pattern[str] = _ROUTER) -> list[int]:
    """Where the routers' tables begin, or others."""
    return [at for at, line in enumerate(lines) if of.match(line)]


def _block(lines: list[str], number: int, headers: Sequence[int]) -> tuple[int, int]:
    """The lines of the n-th router's table, without the comments that lead to the next one."""
    if number >= len(headers):
        return 0, 0
    first = headers[number]
    end = next((at for at in range(first + 1, len(lines)) if _HEADER.match(lines[at])), len(lines))
    while end > first + 1 and re.match(r"\s*(#|$)", lines[end - 1]):
        end -= 1
    if first > 0 and not lines[first - 1].strip():
        first -= 1  # the empty line that set it off
    return first, end


def _tag(text: str, config: Config, tagged: Sequence[Router]) -> str:
    """The text in which these routers have other tags."""
    tags = {one.name: one.tags for one in tagged}
    lines = text.splitlines(keepends=True)
    headers = _headers(lines)
    # From the last on, so that the numbers of the lines above stay right.
    for number, one in reversed([*enumerate(config.router)]):
        if one.name not in tags:
            continue
        written = f"tags = {json.dumps(list(tags[one.name]))}"
        first, last = _block(lines, number, headers)
        block = "".join(lines[first:last])
        if found := _TAGS.search(block):
            kept = found[1] + _notes(found[0]) + written
            block = block[: found.start()] + kept + block[found.end() :]
        else:
            block = f"{block.rstrip()}\n{written}\n"
        lines[first:last] = [block]
    return "".join(lines)


def _text(file: Path) -> str:
    with file.open(encoding="utf-8", newline="") as opened:
        return opened.read()


def _write(
    file: Path, text: str, meant: Config, into: Path | None = None, table: str = "router"
) -> None:
    _check_written(file, text, meant, table)
    there = Path(os.path.realpath(file))  # a link stays a link
    stat = there.stat()
    replace_file(into or there, text, Owner(stat.st_uid, stat.st_gid, stat.st_mode & 0o777))


def _check_written(file: Path, text: str, meant: Config, table: str = "router") -> None:
    """ConfigError unless the text says exactly what is meant."""
    try:
        right = configuration.parse(text.encode(), file) == meant
    except ConfigError:
        right = False
    if not right:
        raise ConfigError(
            file, table, f"is not written as [[{table}]] tables", "edit the file by hand"
        )
