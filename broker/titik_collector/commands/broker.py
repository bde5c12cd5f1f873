"""`titik broker`: a private mosquitto, written and run."""

import ipaddress
from pathlib import Path

import click

from titik_collector import broker_init, broker_run, config
from titik_collector.broker_dir import BrokerDir
from titik_collector.commands import plainly

_PORT = click.IntRange(1, 65535)
_DIRECTORY = click.Path(
    readable=False, path_type=Path
)  # what is wrong with it is said in our own words


@click.group()
def broker() -> None:
    """A private mosquitto for the city's reports."""


@broker.command()
@click.argument("directory", type=_DIRECTORY)
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take the routers, the collector's user and its id from this file.",
)
@click.option("--listen", metavar="ADDRESS", help="Where routers connect; 127.0.0.1 at first.")
@click.option("--engineer-listen", metavar="ADDRESS", help="Where engineers connect.")
@click.option("--port", type=_PORT, help="For routers; 1883 or the next that is free.")
@click.option("--engineer-port", type=_PORT, help="For engineers.")
@click.option("--collector-port", type=_PORT, help="For the collector, always on 127.0.0.1.")
@click.option("--engineer", "engineers", multiple=True, metavar="NAME", help="One more engineer.")
@click.option("--force", is_flag=True, help="New passwords for everybody and an empty broker.")
def init(
    directory: Path,
    file: Path | None,
    listen: str | None,
    engineer_listen: str | None,
    port: int | None,
    engineer_port: int | None,
    collector_port: int | None,
    engineers: tuple[str, ...],
    force: bool,
) -> None:
    """Write a complete configuration; again: change it, keeping passwords and data."""
    with plainly():
        city = None if file is None else config.load(file)
        made, said = broker_init.init(
            directory,
            broker_init.Request(
                listen=listen,
                engineer_listen=engineer_listen,
                router_port=port,
                engineer_port=engineer_port,
                collector_port=collector_port,
                collector=None if city is None else city.broker.username,
                collector_id=None if city is None else city.collector.id,
                engineers=engineers,
                routers=() if city is None else tuple(one.name for one in city.router),
                force=force,
            ),
        )
    for line in [*said, *_summary(made)]:
        click.echo(line)


@broker.command()
@click.argument("directory", type=_DIRECTORY)
def run(directory: Path) -> None:
    """Run mosquitto on the directory, in the foreground."""
    with plainly():
        made = BrokerDir.open(directory)
        click.echo(f"broker starts {_listeners(made)}", err=True)
        broker_run.run(made, lambda line: click.echo(line, err=True))


def _summary(made: BrokerDir) -> list[str]:
    engineer = made.settings.engineers[0]
    lines = [f"broker {made.path}: {_listeners(made)}"]
    for address in {made.settings.listen, made.settings.engineer_listen}:
        if not ipaddress.ip_address(address).is_loopback:
            lines.append(f"warning: on {address} passwords and reports travel unencrypted")
    return [
        *lines,
        f"start it: titik broker run {made.path}",
        f"watch:    mosquitto_sub -h {made.engineer_host} -p {made.ports.engineer} -u {engineer}"
        f" -P \"$(cat {made.password_file(engineer)})\" -v -t 'titik/v1/now/#'",
    ]


def _listeners(made: BrokerDir) -> str:
    settings, ports = made.settings, made.ports
    return (
        f"routers={settings.listen}:{ports.router}"
        f" engineers={settings.engineer_listen}:{ports.engineer}"
        f" collector=127.0.0.1:{ports.collector}"
    )
