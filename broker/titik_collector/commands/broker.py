"""`titik broker`: a private mosquitto, written and run."""

import ipaddress
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from titik_collector.broker_setup import broker_init, broker_run, twins
from titik_collector.broker_setup.broker_folder import BrokerError, BrokerFolder
from titik_collector.commands import broker_authority, broker_twin, plainly
from titik_collector.config import edit, model
from titik_collector.config.model import Config
from titik_collector.own_state import systemd
from titik_mqtt.endpoint import LOOPBACK, PORT
from titik_wire import topics

_PORT = click.IntRange(1, 65535)
_AT_FIRST = f"; at first {LOOPBACK}, with --host 0.0.0.0"
_DIRECTORY = click.Path(readable=False, path_type=Path)  # what is wrong with it is worded by us


@click.group()
def broker() -> None:
    """A private mosquitto for the city's reports."""


broker.add_command(broker_authority.authority)
broker.add_command(broker_twin.twin)


@broker.command()
@click.argument("directory", type=_DIRECTORY)
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take the routers, the collector's user and its id from this file.",
)
@click.option(
    "--host", metavar="NAME", help="TLS, with this name in the certificate; a DNS name can move."
)
@click.option("--listen", metavar="ADDRESS", help=f"Where routers connect{_AT_FIRST}.")
@click.option("--engineer-listen", metavar="ADDRESS", help=f"Where engineers connect{_AT_FIRST}.")
@click.option(
    "--port", "router_port", type=_PORT, help=f"For routers; {PORT} or the next that is free."
)
@click.option("--engineer-port", type=_PORT, help="For engineers.")
@click.option("--collector-port", type=_PORT, help=f"For the collector, always on {LOOPBACK}.")
@click.option(
    "--collector-listen", metavar="ADDRESS", help="With --host: where other collectors connect."
)
@click.option("--away-port", type=_PORT, help="For collectors on other machines.")
@click.option("--engineer", "engineers", multiple=True, metavar="NAME", help="One more engineer.")
@click.option(
    "--insecure", is_flag=True, help="Without --host: listen also where others can read passwords."
)
@click.option("--force", is_flag=True, help="New passwords for everybody and an empty broker.")
def init(directory: Path, file: Path | None, **asked: Any) -> None:
    """Write a complete configuration.

    Again: change it, keeping passwords and data.
    """
    with plainly(), nullcontext() if file is None else edit.editing(file) as city:
        if city is not None:
            asked |= {"collector": city.broker.username, "collector_id": city.collector.id}
            asked["routers"] = tuple(one.name for one in city.router)
        made, notes = broker_init.init(directory, broker_init.Request(file=file, **asked))
    notes += [] if city is None else _unfound(made, city)
    for line in [*notes, *_summary(made)]:
        click.echo(line)
    broker_twin.follow(made)


_OR_THE_CITY_S = click.argument("directory", type=_DIRECTORY, required=False)


@broker.command()
@_OR_THE_CITY_S
def run(directory: Path | None) -> None:
    """Run mosquitto on the directory, in the foreground."""
    with plainly():
        made = _opened(directory)
        program = broker_run.find_mosquitto()
        broker_run.check(made)
        for line in broker_run.prepare(made):
            click.echo(line, err=True)
        click.echo(f"broker starts {_listeners(made)}", err=True)
        broker_run.run(made, program, lambda line: click.echo(line, err=True))


@broker.command()
@_OR_THE_CITY_S
@click.option("--due", is_flag=True, help="Only what has to be, as the timer does every week.")
def renew(directory: Path | None, due: bool) -> None:
    """Renew the revocation list, and with --host the certificate."""
    with plainly():
        made = _opened(directory)
        made.check_first()
        done = made.authority.renew(made.settings.host or "", only_due=due)
        for line in done or ["nothing is due"]:
            click.echo(line)
        if done and made.reload():
            click.echo("the running broker has read it")
    broker_twin.follow(made)


@broker.command()
@_OR_THE_CITY_S
def check(directory: Path | None) -> None:
    """Whether mosquitto runs, and keys and certificates are in order.

    Exit status 1 if it does not run, if they do not belong together, or if one ends within 60
    days. So it is where a router needs a visit for one. A broker without --host has none.
    """
    with plainly():
        made = _opened(directory)
        runs = made.pid() is not None
        start = f"does not run on {made.path}; start it: {systemd.start_broker(made.path)}"
        click.echo(f"mosquitto {f'runs on {made.path}' if runs else start}")
        click.echo(_listeners(made))
        warnings = list(_warnings(made))
    for line in warnings:
        click.echo(f"warning: {line}")
    if warnings or not runs:
        raise SystemExit(1)


def _opened(directory: Path | None) -> BrokerFolder:
    """The one that is named, else the one that titik.toml in this folder names."""
    if directory is not None:
        return BrokerFolder.open(directory)
    if not model.DEFAULT_FILE.exists():
        installed = model.installed_file()
        beside = "" if installed is None else f", or type it in {installed.parent}"
        raise BrokerError(
            f"there is no {model.DEFAULT_FILE} here; name the broker's folder{beside}"
        )
    return BrokerFolder.of(model.load(model.DEFAULT_FILE), "its keys")


def _warnings(made: BrokerFolder) -> Iterator[str]:
    """Shows keys and certificates; what is not in order with them."""
    if made.settings.host is None:
        click.echo("without TLS: no certificates, and passwords that never end")
        return
    yield from twins.look(made)
    authority, init = made.authority, f"titik broker init {made.path}"
    for one in authority.expiries():
        click.echo(f"{one.until:%Y-%m-%d}  {one.what}{', renews itself' * one.renewed}")
    if made.is_twin:
        click.echo("a twin: routers are added and revoked at the city's first broker")
    elif not authority.can_sign:  # some keep it elsewhere
        key = made.path / "ca" / "ca.key"
        click.echo(
            f"warning: without {key} no router can be added or revoked; bring it here for that,"
            " or if it is lost: titik broker authority switch"
        )
    yield from authority.warnings()
    logins = None if made.is_twin else broker_authority.reported(made)
    if logins is not None and (beyond := made.succession.standing(logins).beyond_reach):
        yield broker_authority.beyond_reach(beyond)
    if known := made.routers():
        yield f"{broker_init.listed(known)} may log in by password: {init} ends it"
    if strange := broker_init.unknown(made):
        names = broker_init.listed(strange)
        yield f"the broker does not know {names}, who has a certificate: {init}"


def _unfound(made: BrokerFolder, city: Config) -> list[str]:
    """The line that the city's file lacks, if it does not lead here."""
    path, named = made.path.resolve(), city.broker.directory
    if named is not None and named.resolve() == path:
        return []
    base = city.file.resolve().parent
    line = path.relative_to(base) if path.is_relative_to(base) else path
    return [
        "warning: titik router, engineer, collect and backup do not find this broker:"
        f' {city.file} names {named or "none"}; set directory = "{line}" under [broker] there'
    ]


def _summary(made: BrokerFolder) -> list[str]:
    engineer = made.settings.engineers[0]
    lines = [f"broker {made.path}: {_listeners(made)}"]
    for address in {made.settings.listen, made.settings.engineer_listen}:
        if made.settings.host is None and not ipaddress.ip_address(address).is_loopback:
            lines.append(f"warning: on {address} passwords and reports travel unencrypted")
    if made.settings.host is not None:
        return [
            *lines,
            f"start it: titik broker run {made.path}",
            "next:     titik router add NAME --site SITE (--all: those of the file);"
            " titik engineer add NAME",
        ]
    if made.ports.router != PORT:  # what an agent takes by itself
        lines.append(f"agents:   [broker] of agent.toml needs the line: port = {made.ports.router}")
    return [
        *lines,
        f"start it: titik broker run {made.path}",
        f"watch:    {made.watch(engineer)} -t '{topics.ALL_NOW}'",
    ]


def _listeners(made: BrokerFolder) -> str:
    settings, ports = made.settings, made.ports
    return (
        f"routers={settings.listen}:{ports.router}"
        f" engineers={settings.engineer_listen}:{ports.engineer}"
        f" collector={LOOPBACK}:{ports.collector}"
    ) + ("" if ports.away is None else f" away={settings.collector_listen}:{ports.away}")
