"""`titik drill`: what a lost machine costs, played on this one."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import click

from titik_collector.commands import plainly
from titik_collector.config import model
from titik_collector.limits import MAX_DRILL_ROUTERS

MIN_S = 0.1  # between samples, and of the window of first waits; below it is no router


@click.command("drill")
@click.option(
    "--from",
    "source",
    type=click.Choice(["backup", "litestream"]),
    default=model.DRILL_SOURCE,
    help="What the second machine takes the store from; the keys come from the backup.",
)
@click.option(
    "--routers",
    type=click.IntRange(1, MAX_DRILL_ROUTERS),
    default=model.DRILL_ROUTERS,
    help="How many.",
)
@click.option(
    "--for",
    "before_s",
    type=click.FloatRange(min=0),
    default=model.DRILL_BEFORE_S,
    help="Seconds between the backup and the loss.",
)
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(MIN_S, 3600),
    default=model.DRILL_INTERVAL_S,
    help="Seconds between samples.",
)
@click.option(
    "--first-wait",
    "first_wait_s",
    type=click.FloatRange(MIN_S, 3600),
    default=model.FIRST_WAIT_S,
    help="Longest first wait of a router (s); an agent's own gives a city's true time.",
)
@click.option(
    "--power-cut",
    is_flag=True,
    help="Routers are not informed that the machine is gone: they notice it up to 45 s later.",
)
@click.option(
    "--forgetting",
    "forgets",
    is_flag=True,
    help="Routers keep nothing that was acknowledged, as agents of earlier versions.",
)
@click.option(
    "--logs",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Leave what broker, collector and routers logged here.",
)
def drill_command(
    source: Literal["backup", "litestream"],
    routers: int,
    before_s: float,
    interval_s: float,
    first_wait_s: float,
    power_cut: bool,
    forgets: bool,
    logs: Path | None,
) -> None:
    """Play the loss of the city's machine: another one takes over, and what is lost is counted.

    As root, in network namespaces of this machine, which has mosquitto. It touches no city. The
    second machine types the commands of docs/standby.md.

    Exit status 1: samples were lost or counted twice, or a step could not be taken.
    """
    # Imported here: only this command, the demo and `simulate` need the agent's code.
    from titik_collector.simulation import drill as stage

    drill = stage.Drill(source, routers, before_s, interval_s, first_wait_s, power_cut, forgets)
    with plainly(), _ended_early():
        found = stage.run(drill, click.echo, logs)
    for line in stage.lines(drill, found):
        click.echo(line)
    sys.exit(0 if found.is_good else 1)


@contextlib.contextmanager
def _ended_early() -> Iterator[None]:
    """Ctrl-C and SIGTERM let what was begun be removed, and whoever ends it reads that."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        click.echo(
            "ended early, so nothing was counted. Its machines, their processes and its folder are"
            " gone; no city was touched. Again: titik drill",
            err=True,
        )
        sys.exit(1)
    finally:
        signal.signal(signal.SIGTERM, before)
