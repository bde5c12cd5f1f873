"""`titik ack` and `titik remark`: somebody handles an incident, or writes something about it."""

from pathlib import Path

import click

from titik_collector.commands import options
from titik_collector.commands.desk_entering import entering, find_incident
from titik_collector.config import model
from titik_collector.desk import acks, remarks

_INCIDENT = click.argument("incident", type=click.IntRange(1))


@click.command("ack")
@_INCIDENT
@click.option("--note", default=model.NOTHING, help="What you do about it; others read it.")
@options.CONFIG
def ack_command(incident: int, note: str, file: Path) -> None:
    """Acknowledge an incident: nobody else is asked to handle it.

    It counts until the incident is resolved, or for a day.
    """
    with entering(file) as desk:
        acks.check_open(find_incident(desk.config, incident))
        acks.acknowledge(desk.db, incident, note, desk.actor)
    click.echo(f"incident {incident} is acknowledged by {desk.actor.name}")


@click.command("remark")
@_INCIDENT
@click.argument("text")
@options.CONFIG
def remark_command(incident: int, text: str, file: Path) -> None:
    """Write something about an incident, for those who read it later."""
    with entering(file) as desk:
        find_incident(desk.config, incident)
        remarks.add(desk.db, incident, text, desk.actor)
    click.echo(f"incident {incident} has a remark by {desk.actor.name}")
