"""`titik backup` and `titik restore`: a city on another machine.

Rule: what is no command of `titik backup` is the file to write, as it was before it had any.
"""

import sys
import time
from pathlib import Path

import click

from titik_collector import backup
from titik_collector.backups import kept
from titik_collector.backups.kept import PART, WHOLE
from titik_collector.broker_setup.broker_folder import NAME_IT, BrokerFolder
from titik_collector.commands import options, plainly
from titik_collector.commands.backup_verify import verify_command
from titik_collector.config import model
from titik_collector.store import opening

_CONFIG = options.config("target")

# By whether the broker and the store are in it.
_CONTENTS = {
    (True, True): "configuration, broker and store, with every key of the city: keep it secret",
    (True, False): "configuration and broker, with every key of the city: keep it secret",
    (False, True): "configuration and store, without any key",
    (False, False): "configuration alone",
}


_ACKS = (
    "samples acknowledged after the backup are lost; the collector counts those that the broker's"
    " acks still cover: titik db check"
)
_ENDED = (
    "samples acknowledged after the backup are lost; `titik db check` counts those of agents that"
    " still run, and knows nothing of agents that ended in that time"
)


class _Backup(click.Group):
    """Writes a backup, unless a command says otherwise."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """With the command that is meant where none is typed."""
        is_typed = bool(args) and args[0] in {*self.commands, *ctx.help_option_names}
        return super().parse_args(ctx, args if is_typed else ["write", *args])


@click.group("backup", cls=_Backup, subcommand_metavar="FILE | COMMAND [ARGS]...")
def backup_command() -> None:
    """Write all of the city into FILE, while it runs; or look into a backup.

    `titik backup write --help` has the options of the first.
    """


@backup_command.command("write")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--keep",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="FILE is a folder: write a file with the time in its name, and keep the newest N. One that"
    " lacks something is named -part, and the newest N of these stay too.",
)
@_CONFIG
def write_command(file: Path, keep: int | None, target: Path) -> None:
    """Write all of the city into FILE, while it runs.

    Configuration, authority, users and store; a warning lists what is left out.
    """
    with plainly():
        city = model.load(target)
        _check_kind(file, keep)
        if keep is not None:
            folder, file = file, file / (kept.name(time.time()) + PART)
        holds, left_out = backup.backup(city, file)
        if keep is not None:
            if not left_out:
                file = file.rename(folder / (file.name.removesuffix(PART) + WHOLE))
            # Of its own kind: an older whole one has what this one may lack.
            kept.drop_oldest(folder, PART if left_out else WHOLE, keep)
        elsewhere = _key_elsewhere(city.broker.directory)
        size = file.stat().st_size
    large = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
    click.echo(
        f"{file}: {large}; it holds {_CONTENTS[backup.BROKER in holds, backup.STORE in holds]}"
    )
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
    sys.exit(1 if left_out else 0)


backup_command.add_command(verify_command)


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
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
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
def restore_command(file: Path, only_store: bool, force: bool, target: Path) -> None:
    """Put a backup on an empty machine.

    Routers come back by themselves.
    """
    if only_store:
        with plainly():
            there = model.load(target)
            notes = backup.restore_store(file, there)
        click.echo(
            f"restored {opening.name(there.store)}; start it: titik collect --config {target}"
        )
        for line in notes:
            click.echo(line)
        click.echo(_ACKS)
        return
    with plainly():
        city, made, no_store, has_store, notes = backup.restore(file, target, force)
    store = f"store {opening.name(city.store)}"
    if no_store is not None:
        store = f"no store, because {no_store}"
    click.echo(f"restored {city.city.title}: {len(city.router)} routers, {store}")
    if no_store is None:
        click.echo(_ENDED)
    for line in notes:
        click.echo(line)
    is_left = no_store is not None and has_store
    if is_left:
        click.echo(f"first the store: titik restore --only-store {file} --config {target}")
    if made is not None:
        click.echo(f"in one terminal: titik broker run {made.path}")
        click.echo(f"in another:      titik collect --config {target}")
        if made.settings.host is not None:
            click.echo(f"then let {made.settings.host} point to this machine")
    sys.exit(1 if is_left else 0)
