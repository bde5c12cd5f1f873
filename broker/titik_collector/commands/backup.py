"""`titik backup` and `titik restore`: a city on another machine."""

import sys
import time
from pathlib import Path

import click

from titik_collector import backup
from titik_collector.broker_setup.broker_folder import NAME_IT, BrokerFolder
from titik_collector.commands import options, plainly
from titik_collector.config import model
from titik_collector.store import opening

_CONFIG = options.config("target")
_NAME = "titik-%Y%m%dT%H%M%SZ"  # sorts by time
_WHOLE, _PART = ".tar.gz", "-part.tar.gz"  # _PART: something was left out

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


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--keep",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="FILE is a folder: write a file with the time in its name, and keep the newest N. One that"
    " lacks something is named -part, and the newest N of these stay too.",
)
@_CONFIG
def backup_command(file: Path, keep: int | None, target: Path) -> None:
    """Write all of the city into FILE, while it runs.

    Configuration, authority, users and store; a warning lists what is left out.
    """
    with plainly():
        city = model.load(target)
        _check_kind(file, keep)
        if keep is not None:
            folder, file = file, file / (time.strftime(_NAME, time.gmtime()) + _PART)
        holds, left_out = backup.backup(city, file)
        if keep is not None:
            if not left_out:
                file = file.rename(folder / (file.name.removesuffix(_PART) + _WHOLE))
            # Of its own kind: an older whole one has what this one may lack.
            _drop_oldest(folder, _PART if left_out else _WHOLE, keep)
        kept = _key_elsewhere(city.broker.directory)
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
    if kept is not None:
        click.echo(
            f"warning: left out: {kept}, because it is not there; keep that safe too", err=True
        )
    if backup.STORE not in holds:
        where = f"left out: the store, because there is none at {opening.name(city.store)}"
        click.echo(f"warning: {where}; titik collect begins it", err=True)
    for one in left_out:
        click.echo(f"warning: left out: {one}", err=True)
    if keep is not None and left_out:
        click.echo("warning: it takes the place of no backup that holds all", err=True)
    sys.exit(1 if left_out else 0)


def _check_kind(file: Path, keep: int | None) -> None:
    """BadParameter: a folder is given where a file is meant, or the other way round."""
    if keep is None and file.is_dir():
        raise click.BadParameter(f"{file} is a folder; add --keep 14", param_hint="FILE")
    if keep is not None and file.is_file():
        raise click.BadParameter(f"{file} is a file; leave out --keep", param_hint="FILE")


def _drop_oldest(folder: Path, kind: str, keep: int) -> None:
    """Of those that have such a name; nothing else in the folder is ours."""
    for old in sorted(folder.glob(f"titik-*T*Z{kind}"))[:-keep]:
        old.unlink()


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
