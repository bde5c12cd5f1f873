"""`titik backup verify`: would the newest backup bring the city back?"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from titik_collector import backup_check
from titik_collector.backup_check import FoundBackup, FoundStore, Unverifiable
from titik_collector.backups import kept, seals, verified
from titik_collector.backups.verified import Verified
from titik_collector.commands import options, plainly
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.wording import when

WHOLE, BROKEN, UNKNOWN = 0, 1, 2  # exit statuses


@click.command("verify")
@click.argument("which", required=False, metavar="[FILE|FOLDER]", type=click.Path(path_type=Path))
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="FOLDER",
    help="Unpack it there instead of beside the backup.",
)
@options.IDENTITY
@options.config("target")
def verify_command(
    which: Path | None, scratch: Path | None, identity: Path | None, target: Path
) -> None:
    """Would the newest backup of a folder, or FILE, bring the city back?

    It is unpacked beside the backup, opened and read, and then removed. Without a name it is the
    newest of `folder` under [backup].

    A sealed one is FILE.json. Without --identity it stays sealed: its files are compared with their
    hashes, and with what was found when it was made.

    Exit status 0: it would. 1: it would not. 2: it could not be looked into, so that is not known.
    """
    with _unknown_if_refused():
        folder, file = _chosen(which, target)
        now_ms = round(time.time() * 1000)
        with backup_check.scratch(scratch or file.parent) as room:
            found = _looked_into(file, identity, room)
        problem = found.problems[0] if found.problems else None
        if folder is not None:
            verified.write(folder, Verified(at_ms=now_ms, backup=file.name, problem=problem))
    for line in _lines(file, found, now_ms):
        click.echo(line)
    for one in found.problems:
        click.echo(f"wrong: {one}")
    if problem is not None:
        click.echo(f"{file}: would not bring the city back as it was; take another: titik backup")
        sys.exit(BROKEN)
    if found.was_opened:
        click.echo(f"{file}: is whole")
    else:
        click.echo(
            f"{file}: its files are as they were written, and its store was whole before it was"
            " sealed; it was not opened now: --identity FILE"
        )


@contextmanager
def _unknown_if_refused() -> Iterator[None]:
    """What the machine refuses says nothing of the backup."""
    try:
        with plainly():
            yield
    except click.ClickException as error:
        if isinstance(error.__cause__, OSError | Unverifiable):
            error.show()
            sys.exit(UNKNOWN)
        raise


def _looked_into(file: Path, identity: Path | None, room: Path) -> FoundBackup:
    if file.name.endswith(seals.SEALS):
        return backup_check.check_sealed(file, identity, room)
    return backup_check.check(file, room)


def _chosen(which: Path | None, target: Path) -> tuple[Path | None, Path]:
    """The folder whose newest is looked into, None if a file was named; and the file."""
    if which is not None and which.is_file():
        return None, which
    folder = which or model.load(target).backups
    if folder is None:
        raise click.UsageError(
            f"name a backup or the folder of backups; or set folder under [backup] of {target}"
        )
    file = kept.newest(folder)
    if file is None:
        raise click.ClickException(
            f"{folder}: there is no whole backup; take one: titik backup --keep 14 {folder}"
        )
    return folder, file


def _lines(file: Path, found: FoundBackup, now_ms: int) -> list[str]:
    """What it has, in plain words."""
    if found.city is None:
        return []
    zone = found.city.city.timezone
    made_ms = round(file.stat().st_mtime * 1000)
    age = when.length(max(0, now_ms - made_ms))
    return [
        f"made {when.show_named(made_ms, zone)}, {age} ago",
        _city(found.city),
        _keys(found),
        *_store(found.store, found.city),
    ]


def _city(city: Config) -> str:
    return f"city: {city.city.title}, {len(city.router)} routers at {len(city.site)} sites"


def _keys(found: FoundBackup) -> str:
    if not found.has_broker:
        return "keys: none; the broker is not in it"
    if found.routers is None:
        return "keys: the broker's passwords; it has no certificates"
    if found.problems:
        return f"keys: certificates of routers: {found.routers}"
    return (
        f"keys: the authority, the broker and the certificates belong together; routers:"
        f" {found.routers}"
    )


def _store(store: FoundStore | None, city: Config) -> list[str]:
    if store is None:
        return ["store: none"]
    totals = store.totals
    newest = "no sample"
    if store.newest_ms is not None:
        newest = f"newest sample {when.show_named(store.newest_ms, city.city.timezone)}"
    return [
        f"store: schema {store.schema}, {newest}",
        f"samples taken {totals.taken} = stored {totals.stored} + refused {totals.refused} + lost"
        f" {totals.lost} + in spool {totals.in_spool}",
    ]
