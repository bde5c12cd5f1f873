"""`titik silence`: no message about some alerts for a while."""

from pathlib import Path

import click

from titik_collector.commands import options
from titik_collector.commands.desk_entering import end_of, entering
from titik_collector.desk import naming, silences
from titik_collector.limits import MAX_SILENCE_DAYS, MAX_SILENCES
from titik_collector.store import desk_silences
from titik_collector.wording import when


@click.group()
def silence() -> None:
    """No message about some alerts for a while; they are shown all the same."""


@silence.command()
@click.argument("alerts", metavar="ALERTS")
@click.option(
    "--for",
    "until",
    metavar="TIME",
    required=True,
    help=f"2h, 3d or 08:00, or a date or time; at most {MAX_SILENCE_DAYS} days.",
)
@click.option("--reason", required=True, help="For whoever finds it later.")
@options.CONFIG
def add(alerts: str, until: str, reason: str, file: Path) -> None:
    """Send no message about ALERTS from now on.

    ALERTS is a router, a place or `city`; or scope[/name][/kind], such as
    site/taman-tirosa/crowded, group/provider:Telkom or server.
    """
    with entering(file) as desk:
        found, now_ms = naming.alerts(desk.config, alerts), desk.actor.now_ms
        zone = desk.config.city.timezone
        until_ms = end_of("--for", until, zone, now_ms)
        number = silences.silence(desk.db, found.subject, found.kind, until_ms, reason, desk.actor)
    of = silences.text(found.subject, found.kind)
    click.echo(f"silence {number}: {of} until {when.show(until_ms, zone)}")


@silence.command()
@click.argument("number", type=click.IntRange(1))
@options.CONFIG
def end(number: int, file: Path) -> None:
    """End a silence before its time; what still fails is reported."""
    with entering(file) as desk:
        silences.end(desk.db, number, desk.actor)
    click.echo(f"silence {number} is over")


@silence.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@options.CONFIG
def list_(everything: bool, file: Path) -> None:
    """Silences that count: what, until when, by which user, why."""
    with entering(file) as desk:
        zone, now_ms = desk.config.city.timezone, desk.actor.now_ms
        found = desk_silences.newest(desk.db, MAX_SILENCES)[::-1]
        if not everything:
            found = desk_silences.not_over(desk.db, now_ms)
    for row in found:
        one = row.silence
        over = "  over" if row.end_ms <= now_ms else ""
        of = silences.text(one.subject, one.kind)
        until = when.show(row.end_ms, zone)
        click.echo(f"{one.number}  {of}  until {until}  {one.actor}  {one.reason}{over}")
