"""Adds, revokes and removes routers in the configuration file, while no other command edits it.

Rule: an edit is a few whole lines; comments, order and spelling of the rest stay.
Rule: the edited text is read again before it is written, and must say exactly what was meant.
Rule: from reading the file to the end of what follows from it, no other command edits it.
"""

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
from titik_collector.config.site_tables import Router, no_such_site
from titik_collector.files.locks import locked
from titik_collector.files.replace import Owner, replace_file

_HEADER = re.compile(r"\s*\[")
_REVOKED = re.compile(r"\s*(?:revoked|\"revoked\"|'revoked')\s*=")
_ROUTER = re.compile(r"\s*\[\[\s*(?:router|\"router\"|'router')\s*\]\]")


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


def add_many(config: Config, routers: Sequence[Router], into: Path | None = None) -> None:
    """Append a table for each; they are new, and their sites exist.

    `into`: leave the file as it is, and write what it would be there.
    """
    text = _text(config.file)
    text += "" if text.endswith("\n") else "\n"
    for one in routers:
        text += f'\n[[router]]\nname = "{one.name}"\nsite = "{one.site}"\n'
        text += "" if one.since is None else f"since = {one.since.isoformat()}\n"
    _write(config.file, text, replace(config, router=(*config.router, *routers)), into)


def find(config: Config, name: str) -> Router:
    """The router of that name; ConfigError if it is not there."""
    for one in config.router:
        if one.name == name:
            return one
    wrong = f'there is no router "{name}"'
    raise ConfigError(config.file, "router", wrong, "see: titik router list")


def remove(config: Config, name: str) -> None:
    """Take the router's table out of the file; ConfigError if it is not there."""
    lines = _text(config.file).splitlines(keepends=True)
    first, last = _block(lines, config.router.index(find(config, name)))
    meant = replace(config, router=tuple(one for one in config.router if one.name != name))
    _write(config.file, "".join(lines[:first] + lines[last:]), meant)


def revoke(config: Config, name: str, at: datetime | None) -> None:
    """Write down since when the router has no access; None: it has."""
    number = next((n for n, one in enumerate(config.router) if one.name == name), None)
    if number is None or config.router[number].revoked == at:
        return
    lines = _text(config.file).splitlines(keepends=True)
    first, last = _block(lines, number)
    block = [one for one in lines[first:last] if not _REVOKED.match(one)]
    if at is not None and block:
        block[-1] = block[-1].rstrip("\r\n") + "\n"
        block.append(f"revoked = {at.isoformat()}\n")
    routers = list(config.router)
    routers[number] = replace(routers[number], revoked=at)
    text = "".join([*lines[:first], *block, *lines[last:]])
    _write(config.file, text, replace(config, router=tuple(routers)))


def _block(lines: list[str], number: int) -> tuple[int, int]:
    """The lines of the n-th router's table, without the comments that lead to the next one."""
    headers = [at for at, line in enumerate(lines) if _ROUTER.match(line)]
    if number >= len(headers):
        return 0, 0
    first = headers[number]
    end = next((at for at in range(first + 1, len(lines)) if _HEADER.match(lines[at])), len(lines))
    while end > first + 1 and re.match(r"\s*(#|$)", lines[end - 1]):
        end -= 1
    if first > 0 and not lines[first - 1].strip():
        first -= 1  # the empty line that set it off
    return first, end


def _text(file: Path) -> str:
    with file.open(encoding="utf-8", newline="") as opened:
        return opened.read()


def _write(file: Path, text: str, meant: Config, into: Path | None = None) -> None:
    try:
        right = configuration.parse(text.encode(), file) == meant
    except ConfigError:
        right = False
    if not right:
        raise ConfigError(
            file, "router", "is not written as [[router]] tables", "edit the file by hand"
        )
    there = Path(os.path.realpath(file))  # a link stays a link
    stat = there.stat()
    replace_file(into or there, text, Owner(stat.st_uid, stat.st_gid, stat.st_mode & 0o777))
