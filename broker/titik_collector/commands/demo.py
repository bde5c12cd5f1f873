"""`titik demo`: the whole main path on one machine."""

import sys
from pathlib import Path

import click

from titik_collector.commands import plainly
from titik_collector.config import model


@click.command()
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(min=0),
    help="Stop after so many seconds; else on Ctrl-C.",
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=model.DEMO,
    help="Where broker, database and logs lie.",
)
@click.option(
    "--example",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=model.EXAMPLE,
    help="The city to begin with.",
)
@click.option(
    "--no-past", is_flag=True, help=f"Leave out the {model.DEMO_PAST_DAYS} simulated days before."
)
def demo(seconds: float | None, directory: Path, example: Path, no_past: bool) -> None:
    """Broker, collector, this machine's agent and ten hotspots, live."""
    # Imported here: only this command and `simulate` need the agent's code.
    from titik_collector.simulation import demo as stage

    with plainly():
        days = 0 if no_past else model.DEMO_PAST_DAYS
        sys.exit(stage.run(directory.resolve(), example, seconds, days))
