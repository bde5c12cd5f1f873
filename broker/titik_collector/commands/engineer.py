"""`titik engineer`: who may read the broker's topics."""

from pathlib import Path

import click

from titik_collector.broker_setup import broker_init
from titik_collector.broker_setup.broker_folder import BrokerError, BrokerFolder
from titik_collector.commands import broker_twin, options, plainly
from titik_collector.config import edit, model
from titik_collector.enrolment import bundle, engineer_login
from titik_collector.files.replace import replace_file
from titik_wire import topics


@click.group()
def engineer() -> None:
    """Read-only users of the broker."""


@engineer.command()
@click.argument("name")
@options.CONFIG
def add(name: str, file: Path) -> None:
    """Make a reader, and print the command that reads.

    With TLS one file has everything that mosquitto_sub needs. For other tools the login is printed.
    """
    with plainly(), edit.editing(file) as city:
        made = BrokerFolder.of(city, "users")
        if name in {one.name for one in city.router}:
            raise BrokerError(f"{name}: is a router; name the engineer otherwise")
        for line in broker_init.end_router_passwords(made):
            click.echo(line)
        made, _ = broker_init.init(made.path, broker_init.Request(engineers=(name,)))
        host, password = made.settings.host, made.password(name)
        if host is None:
            click.echo(f"{name} may read; the password is in {made.password_file(name)}")
            click.echo(f"on this machine: {made.watch(name)} -t '{topics.ALL_NOW}'")
            return
        text = bundle.of_engineer(name, host, made.ports.engineer, made.authority.ca_pem, password)
        there = made.bundle_file(name)
        replace_file(there, text)
    click.echo(f"{name} may read; give them {there}, and they run: sh {there.name}")
    click.echo(f"for other tools, or Windows, give them {made.authority.ca_file} and this login:")
    for line in engineer_login.lines(name, host, made.ports.engineer, password):
        click.echo(line)
    broker_twin.follow(made)


@engineer.command("list")
@options.CONFIG
def list_(file: Path) -> None:
    """Every engineer's name."""
    with plainly():
        for name in sorted(BrokerFolder.of(model.load(file), "users").settings.engineers):
            click.echo(name)


@engineer.command()
@click.argument("name")
@options.CONFIG
def remove(name: str, file: Path) -> None:
    """Take a reader out; its tools are cut off."""
    with plainly(), edit.editing(file) as city:
        made = BrokerFolder.of(city, "users")
        made.check_first()
        broker_init.remove_engineer(made, name)
        made.bundle_file(name).unlink(missing_ok=True)
    click.echo(f"{name} may no longer read")
    broker_twin.follow(made)
