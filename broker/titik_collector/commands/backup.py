"""`titik backup` and `titik restore`: a city on another machine.

Rule: what is no command of `titik backup` is the file to write, as it was before it had any.
"""

import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click

from titik_collector import backup, backup_check
from titik_collector.backup import BackupError, SavedCity
from titik_collector.backups import kept, sealing, seals
from titik_collector.backups.kept import PART, WHOLE
from titik_collector.backups.seals import Seals
from titik_collector.broker_setup.broker_folder import NAME_IT, BrokerFolder
from titik_collector.commands import options, plainly
from titik_collector.commands.backup_verify import verify_command
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.limits import MAX_BACKUPS
from titik_collector.store import opening
from titik_collector.units import systemd_units
from titik_collector.wording import when

_CONFIG = options.config("target")

# By whether the broker and the store are in it.
_CONTENTS = {
    (True, True): "configuration, broker and store, with every key of the city: keep it secret",
    (True, False): "configuration and broker, with every key of the city: keep it secret",
    (False, True): "configuration and store, without any key",
    (False, False): "configuration alone",
}


_ACKS = (
    "samples acknowledged after the backup come back from routers that still keep them; the rest is"
    " lost, and the collector counts what the broker's acks still cover: titik db check"
)
_ENDED = (
    "samples acknowledged after the backup come back from routers that still keep them; the rest is"
    " lost. `titik db check` counts it, but for agents that ended in that time and keep nothing"
)
_AGAIN = (
    "has access again; take it away again: titik router revoke NAME, titik engineer remove NAME,"
    " titik web user remove NAME"
)


class _Backup(click.Group):
    """Writes a backup, unless a command says otherwise."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """With the command that is meant where none is typed."""
        is_typed = bool(args) and args[0] in {*self.commands, *ctx.help_option_names}
        return super().parse_args(ctx, args if is_typed else ["write", *args])


@click.group("backup", cls=_Backup, subcommand_metavar="[FILE] | COMMAND [ARGS]...")
def backup_command() -> None:
    """Write all of the city into FILE, while it runs; or look into a backup.

    `titik backup write --help` has the options of the first.
    """


@backup_command.command("write")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--keep",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="FILE is a folder: write a file with the time in its name, and keep the newest N. One that"
    " lacks something is named -part, and the newest N of these stay too.",
)
@_CONFIG
def write_command(file: Path | None, keep: int | None, target: Path) -> None:
    """Write all of the city into FILE, while it runs.

    Configuration, authority, users and store; a warning lists what is left out. Without FILE it is
    one more in `folder` under [backup], as the nightly ones are.
    """
    with plainly():
        city = model.load(target)
        if file is None:
            file, keep = _folder(city), keep or MAX_BACKUPS
        _check_kind(file, keep)
        folder = file
        if keep is not None:
            now_s = time.time()
            kept.drop_left(folder, now_s)
            file = folder / kept.name(now_s)
        made = _make(city, file, keep is not None)
        holds, left_out = made.saved
        if keep is not None:
            # Of its own kind: an older whole one has what this one may lack.
            kept.drop_oldest(folder, bool(left_out), keep)
        elsewhere = _key_elsewhere(city.broker.directory)
    click.echo(
        f"{made.name}: {_large(made.size)}; it holds"
        f" {_CONTENTS[backup.BROKER in holds, backup.STORE in holds]}"
    )
    for sealed in made.sealed:
        click.echo(f"sealed: {sealed}: {_large(sealed.stat().st_size)}")
    if backup.DESK in holds:
        click.echo("it holds the users of the page, with hashed passwords: keep it secret")
    if city.web.streets is not None:
        click.echo(f"no backup holds the streets: keep a copy of {city.web.streets}")
    if backup.BROKER not in holds:
        without = f"left out: the broker with every key of the city, because {target} names none"
        click.echo(f"warning: {without}; {NAME_IT}", err=True)
    if elsewhere is not None:
        click.echo(
            f"warning: left out: {elsewhere}, because it is not there; keep that safe too", err=True
        )
    if backup.STORE not in holds:
        where = f"left out: the store, because there is none at {opening.name(city.store)}"
        click.echo(f"warning: {where}; titik collect begins it", err=True)
    for one in left_out:
        click.echo(f"warning: left out: {one}", err=True)
    if keep is not None and left_out:
        click.echo("warning: it takes the place of no backup that holds all", err=True)
    for one in made.problems:
        click.echo(f"wrong before it was sealed: {one}", err=True)
    sys.exit(1 if left_out or made.problems else 0)


class _SavedFiles(NamedTuple):
    """A backup that was written."""

    name: Path  # what stands for it
    saved: SavedCity
    size: int  # of all its files
    sealed: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()


def _make(city: Config, file: Path, is_kept: bool) -> _SavedFiles:
    """`is_kept`: it has the name of a folder's backup, which says whether something is left out."""
    if city.backup.recipient is not None:
        return _make_sealed(city, file, is_kept, city.backup.recipient)
    if not is_kept:
        return _SavedFiles(file, backup.backup(city, file), file.stat().st_size)
    part = file.with_name(file.name + PART + WHOLE)
    saved = backup.backup(city, part)
    made = part if saved.left_out else part.rename(file.with_name(file.name + WHOLE))
    return _SavedFiles(made, saved, made.stat().st_size)


def _make_sealed(city: Config, file: Path, is_kept: bool, recipient: str) -> _SavedFiles:
    base = file if is_kept else file.with_name(file.name.removesuffix(WHOLE))
    part = base.with_name(base.name + PART) if is_kept else base
    listed = backup.sealed_file(part, seals.SEALS)
    listed.unlink(missing_ok=True)  # of an older one of that name, whose files are replaced
    saved, files, looked = backup.backup_sealed(
        city, part, recipient, lambda copy: backup_check.look_at_city(city, copy)
    )
    if is_kept and not saved.left_out:
        files = tuple([one.rename(_renamed(one)) for one in files])
        listed = backup.sealed_file(base, seals.SEALS)
    found = tuple([seals.of_file(one) for one in files])
    problem = looked.problems[0] if looked.problems else None
    seals.write(
        listed,
        Seals(recipient=recipient, files=found, newest_ms=looked.newest_ms, problem=problem),
    )
    return _SavedFiles(listed, saved, sum(one.size for one in found), files, looked.problems)


def _renamed(file: Path) -> Path:
    return file.with_name(file.name.replace(PART, "", 1))


def _large(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


@backup_command.command("key")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def key_command(file: Path) -> None:
    """Write a new secret key of age into FILE, and print the public key for titik.toml.

    Do it on another machine than the city's, and keep the file there: without it no sealed backup
    can be opened, and with it each can.
    """
    with plainly():
        public = sealing.make_identity(file)
    click.echo(
        f"{file}: opens what is sealed to this key; keep it off the city's server, and twice"
    )
    click.echo("in titik.toml of the city:")
    click.echo("[backup]")
    click.echo(f'recipient = "{public}"')


backup_command.add_command(verify_command)


def _folder(city: Config) -> Path:
    """UsageError where the file names none."""
    if city.backups is None:
        raise click.UsageError(f"name a FILE to write; or set folder under [backup] of {city.file}")
    return city.backups


def _check_kind(file: Path, keep: int | None) -> None:
    """BadParameter: a folder is given where a file is meant, or the other way round."""
    if keep is None and file.is_dir():
        raise click.BadParameter(f"{file} is a folder; add --keep 14", param_hint="FILE")
    if keep is not None and file.is_file():
        raise click.BadParameter(f"{file} is a file; leave out --keep", param_hint="FILE")


def _key_elsewhere(directory: Path | None) -> Path | None:
    """Where the authority's key would be, if the operator keeps it in another place."""
    if directory is None or (made := BrokerFolder.open(directory)).settings.host is None:
        return None
    return None if made.authority.can_sign else directory / "ca" / "ca.key"


@click.command("restore")
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@options.IDENTITY
@click.option(
    "--only-store",
    is_flag=True,
    help="Put back the store alone, where the rest of the city is as it was.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Write into the folders that the backup names, outside of its own too.",
)
@_CONFIG
def restore_command(
    files: tuple[Path, ...], identity: Path | None, only_store: bool, force: bool, target: Path
) -> None:
    """Put a backup on an empty machine. A sealed one is two files: name both.

    Routers come back by themselves.
    """
    if len(files) > 2:
        raise click.UsageError("a backup is one file, or two: its keys and its store")
    if only_store:
        with plainly(), _opened(files, identity, target) as (rest, apart):
            there = model.load(target)
            notes = backup.restore_store(apart or rest, there, rest)
        click.echo(
            f"restored {opening.name(there.store)}; start it: titik collect --config {target}"
        )
        for line in notes:
            click.echo(line)
        click.echo(_ACKS)
        return
    with plainly(), _opened(files, identity, target) as (file, apart):
        city, made, no_store, has_store, notes, taken_ms = backup.restore(
            file, target, force, apart
        )
    store = f"store {opening.name(city.store)}"
    if no_store is not None:
        store = f"no store, because {no_store}"
    click.echo(f"restored {city.city.title}: {len(city.router)} routers, {store}")
    if no_store is None:
        click.echo(_ENDED)
    if made is not None:
        zone = city.city.timezone
        taken = "" if taken_ms is None else f", {when.show_named(taken_ms, zone)}"
        click.echo(f"who was revoked or removed after the backup{taken}, {_AGAIN}")
    for line in notes:
        click.echo(line)
    is_left = no_store is not None and has_store
    if is_left:
        again = shlex.join(map(str, [*files, *(["--identity", identity] if identity else [])]))
        click.echo(f"first the store: titik restore --only-store {again} --config {target}")
    if made is not None:
        if not systemd_units.are_to_come(notes):
            click.echo(f"in one terminal: titik broker run {made.path}")
            click.echo(f"in another:      titik collect --config {target}")
        if made.settings.host is not None:
            click.echo(f"then let {made.settings.host} point to this machine")
    sys.exit(1 if is_left else 0)


@contextmanager
def _opened(
    files: tuple[Path, ...], identity: Path | None, target: Path
) -> Iterator[tuple[Path, Path | None]]:
    """The file with the city, and the one with the store where that is apart; sealed ones opened.

    They are opened beside the city, and gone afterwards.
    """
    beside = next(one for one in target.absolute().parents if one.is_dir())
    with ExitStack() as left:
        found = [*files]
        if any(sealing.is_sealed(one) for one in files):
            folder = Path(left.enter_context(TemporaryDirectory(prefix=".titik-", dir=beside)))
            for number, one in enumerate(files):
                if sealing.is_sealed(one):
                    found[number] = folder / f"{number}.tar.gz"
                    sealing.unseal(one, found[number], identity)
        if len(found) == 2 and backup.is_store(found[0]):
            found.reverse()
        if len(found) == 2 and not backup.is_store(found[1]):
            raise BackupError(f"{files[1]}: is no store of a backup; name the keys and the store")
        yield found[0], found[1] if len(found) == 2 else None
