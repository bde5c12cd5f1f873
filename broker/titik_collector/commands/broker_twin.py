"""`titik broker twin`: the city's other brokers, which are kept as this one is."""

import shlex
import sys
from pathlib import Path

import click

from titik_collector.broker_setup import parcel, twin_take, twins
from titik_collector.broker_setup.broker_folder import BrokerFolder
from titik_collector.commands import plainly
from titik_collector.config import model

_PATH = click.Path(readable=False, path_type=Path)
_DIRECTORY = click.argument("directory", type=_PATH)
_TWIN = click.argument("twin", metavar="ssh://root@HOST/DIR")


@click.group()
def twin() -> None:
    """A second broker behind the same name, with what this one has."""


@twin.command()
@_DIRECTORY
@_TWIN
def add(directory: Path, twin: str) -> None:
    """Keep another broker's folder as this one; a PATH is on this machine."""
    with plainly():
        made = BrokerFolder.open(directory)
        is_new = twins.add(made, twin)
        line = twins.authorized(made, twin) if twins.is_remote(twin) else None
    click.echo(f"{twin} is {'now' if is_new else 'already'} a twin of {directory}")
    if line is not None:
        click.echo("there, with Titik and mosquitto installed, put this line into")
        click.echo("/root/.ssh/authorized_keys; who has the key can do nothing else:")
        click.echo(line)
    click.echo(f"then: titik broker twin send {directory}")
    here = model.DEFAULT_FILE
    known = here.resolve() if here.exists() else model.installed_file() or here
    file = shlex.quote(str(known))
    click.echo(f"and once it runs there, a timer: titik broker init {directory} --config {file}")


@twin.command()
@_DIRECTORY
@_TWIN
def remove(directory: Path, twin: str) -> None:
    """Keep it no longer; what it has stays there."""
    with plainly():
        made = BrokerFolder.open(directory)
        made.check_first()
        twins.remove(made, twin)
    click.echo(f"{twin} is no twin any more; its folder has the city's passwords: delete it there")


@twin.command()
@_DIRECTORY
def send(directory: Path) -> None:
    """Bring every twin to what this broker has; exit status 1 if one is not alike then."""
    with plainly():
        made = BrokerFolder.open(directory)
        made.check_first()
    follow(made, is_changed=False)
    for one in made.settings.twins or ():
        click.echo(f"{one} is alike")


@twin.command()
@_DIRECTORY
def take(directory: Path) -> None:
    """What the first broker types here, by ssh: read what it sends, answer with what is here."""
    with plainly():
        answer = twin_take.take(directory, parcel.unpacked(sys.stdin.buffer))
    click.echo(answer.text())


def follow(made: BrokerFolder, is_changed: bool = True) -> None:
    """After a change; the command fails where a twin lacks it, with all that was done printed."""
    with plainly():
        for line in twins.follow(made, is_changed):
            click.echo(line)
