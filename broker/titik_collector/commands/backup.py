"""`titik backup` and `titik restore`: a city on another machine."""

from pathlib import Path

import click

from titik_collector import backup, config
from titik_collector.commands import plainly

_FILE = click.Path(dir_okay=False, path_type=Path)
_CONFIG = click.option(
    "--config",
    "target",
    type=click.Path(path_type=Path),
    metavar="FILE",
    default=config.DEFAULT_FILE,
    show_default=True,
    help="The server's configuration.",
)


@click.command("backup")
@click.argument("file", type=_FILE)
@_CONFIG
def backup_command(file: Path, target: Path) -> None:
    """Write all of the city into FILE, while it runs.

    Configuration, authority, users and store.
    """
    with plainly():
        size = backup.backup(config.load(target), file)
    large = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
    click.echo(f"{file}: {large}; it holds every key of the city, keep it so")


@click.command("restore")
@click.argument("file", type=_FILE)
@click.option(
    "--only-store",
    is_flag=True,
    help="Put back the store alone, where the rest of the city is as it was.",
)
@_CONFIG
def restore_command(file: Path, only_store: bool, target: Path) -> None:
    """Put a backup on an empty machine.

    Routers come back by themselves.
    """
    if only_store:
        with plainly():
            there = config.load(target)
            backup.restore_store(file, there)
        click.echo(f"restored {there.store.path}; start it: titik collect --config {target}")
        return
    with plainly():
        city, made = backup.restore(file, target)
    click.echo(f"restored {city.city.title}: {len(city.router)} routers, store {city.store.path}")
    if made is None:
        return
    click.echo(f"in one terminal: titik broker run {made.path}")
    click.echo(f"in another:      titik collect --config {target}")
    if made.settings.host is not None:
        click.echo(f"then let {made.settings.host} point to this machine")
