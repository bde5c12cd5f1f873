"""`titik router`: which routers the city has."""

from pathlib import Path

import click

from titik_collector import config, registry_file
from titik_collector.broker_dir import BrokerDir, BrokerError
from titik_collector.commands import plainly
from titik_collector.config import Config

_CONFIG = click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    default=config.DEFAULT_FILE,
    show_default=True,
    help="The server's configuration.",
)


@click.group()
def router() -> None:
    """The routers that the configuration file registers."""


@router.command()
@click.argument("name")
@click.option("--site", required=True, help="The site that it stands at.")
@_CONFIG
def add(name: str, site: str, file: Path) -> None:
    """Register a router; a running collector takes it within seconds."""
    with plainly():
        city = config.load(file)
        registry_file.check_new(city, name, site)
        made = _broker(city)
        if made is not None and name in made.reserved():
            raise BrokerError(f"{name}: is another user of the broker; name the router otherwise")
        secret = None if made is None else made.add_user(name)
        registry_file.add(city, name, site)
    click.echo(f"{name} is registered at {site} in {file}")
    if made is None or secret is None:
        click.echo("its password: broker.directory is not set, so make its user at your broker")
        return
    running = "the running broker knows it" if made.pid() else "the broker is not running"
    click.echo(f"its password is in {secret}; {running}")
    click.echo(f"on the router: broker.port = {made.ports.router}, and that file as password_file")


@router.command("list")
@_CONFIG
def list_(file: Path) -> None:
    """Name, site and broker password of every router."""
    with plainly():
        city = config.load(file)
        made = _broker(city)
    rows = [
        (one.name, one.site, "" if one.since is None else str(one.since), _password(made, one.name))
        for one in sorted(city.router, key=lambda one: (one.site, one.name))
    ]
    header = ("router", "site", "since", "password")
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(4)]
    for row in [header, *rows]:
        click.echo(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


@router.command()
@click.argument("name")
@_CONFIG
def remove(name: str, file: Path) -> None:
    """Take a router out; its history stays, its connection is cut."""
    with plainly():
        city = config.load(file)
        made = _broker(city)
        registry_file.remove(city, name)
        known = made is not None and name not in made.reserved() and made.remove_user(name)
    click.echo(f"{name} is no longer registered in {file}; its history stays")
    if known:
        click.echo("its user at the broker is removed")


def _broker(city: Config) -> BrokerDir | None:
    return None if city.broker.directory is None else BrokerDir.open(city.broker.directory)


def _password(made: BrokerDir | None, name: str) -> str:
    if made is None:
        return "-"
    file = made.password_file(name)
    return str(file) if file.exists() else f"missing; titik broker init {made.path} --config FILE"
