"""`titik maintenance`: planned work, during which no message is sent and no outage counts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

from titik_collector.alerts.alert import AlertSubject
from titik_collector.commands import options
from titik_collector.commands.desk_entering import end_of, entering, length_of
from titik_collector.commands.web_user import OpenDesk
from titik_collector.config import model
from titik_collector.desk import naming, planned_work
from titik_collector.desk.checks import GROUPS
from titik_collector.desk.planned_work import DAYS, Entry
from titik_collector.limits import MAX_MAINTENANCE
from titik_collector.store import desk_maintenance
from titik_collector.store.desk_maintenance import MaintenanceRow
from titik_collector.wording import when

Command = TypeVar("Command", bound=Callable[..., Any])
_NAME = click.argument("name", metavar="SITE|ROUTER|city")


def _about(command: Command) -> Command:
    reason = click.option(
        "--reason",
        default=model.NOTHING,
        help="For whoever reads it later; afterwards it is needed.",
    )
    public = click.option(
        "--public", "is_public", is_flag=True, help="The reason is for people without a login too."
    )
    return reason(public(options.CONFIG(command)))


@click.group()
def maintenance() -> None:
    """Planned work: no message is sent, and no outage counts."""


@maintenance.command()
@_NAME
@click.option("--for", "length", metavar="LENGTH", default=model.WORK, help="90m, 2h or 1d.")
@click.option(
    "--from",
    "begin",
    metavar="TIME",
    default=model.UNTIL,
    help="When it began: 3h is three hours ago. It is then marked as entered afterwards.",
)
@_about
def start(name: str, length: str, begin: str, reason: str, is_public: bool, file: Path) -> None:
    """Begin maintenance now, or enter what began before."""
    with entering(file) as desk:
        from_ms = options.read_time(desk.config, "--from", begin, desk.actor.now_ms)
        row = _plan(desk, Entry(_subject(desk, name), reason, is_public), from_ms, length)
    click.echo(_line(row, desk.config.city.timezone))


@maintenance.command()
@_NAME
@click.option(
    "--from",
    "begin",
    metavar="TIME",
    required=True,
    help="When it begins: 2h is in two hours. Or 08:00, or a date or time.",
)
@click.option("--for", "length", metavar="LENGTH", required=True, help="90m, 2h or 1d.")
@_about
def plan(name: str, begin: str, length: str, reason: str, is_public: bool, file: Path) -> None:
    """Plan maintenance that begins later."""
    with entering(file) as desk:
        from_ms = end_of("--from", begin, desk.config.city.timezone, desk.actor.now_ms)
        row = _plan(desk, Entry(_subject(desk, name), reason, is_public), from_ms, length)
    click.echo(_line(row, desk.config.city.timezone))


@maintenance.command()
@_NAME
@click.option("--days", required=True, help=f"Some of {','.join(DAYS)}.")
@click.option("--at", "clock", metavar="HH:MM", required=True, help="Of the city's clock.")
@click.option("--for", "length", metavar="LENGTH", required=True, help="90m or 2h.")
@click.option(
    "--until", "last", metavar="DATE", help="The last day; without it, until it is ended."
)
@_about
def weekly(
    name: str,
    days: str,
    clock: str,
    length: str,
    last: str | None,
    reason: str,
    is_public: bool,
    file: Path,
) -> None:
    """Plan the same hours of each week."""
    with entering(file) as desk:
        week = planned_work.weekly_of(days, clock, length_of("--for", length))
        entry = Entry(_subject(desk, name), reason, is_public)
        zone = desk.config.city.timezone
        until_ms = None if last is None else planned_work.end_of(week, last, zone)
        row = planned_work.repeat(desk.db, entry, week, desk.actor, until_ms)
    click.echo(_line(row, desk.config.city.timezone))


@maintenance.command()
@click.argument("number", type=click.IntRange(1))
@click.option("--withdraw", is_flag=True, help="It was entered wrongly: it counts for no time.")
@options.CONFIG
def end(number: int, withdraw: bool, file: Path) -> None:
    """End maintenance before its time; what has not begun is withdrawn."""
    with entering(file) as desk:
        row = planned_work.end(desk.db, number, desk.actor, withdraw)
    click.echo(_line(row, desk.config.city.timezone))


@maintenance.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what is over.")
@options.CONFIG
def list_(everything: bool, file: Path) -> None:
    """Maintenance that goes on or is planned: what, when, by which user, why."""
    with entering(file) as desk:
        found = desk_maintenance.newest(desk.db, MAX_MAINTENANCE)[::-1]
        if not everything:
            found = desk_maintenance.not_over(desk.db, desk.actor.now_ms)
    for row in found:
        click.echo(_line(row, desk.config.city.timezone))


def _subject(desk: OpenDesk, name: str) -> AlertSubject:
    group, colon, value = name.partition(":")
    if colon and group in GROUPS:
        wanted = value.casefold()
        its = [
            one.name
            for one in desk.config.site
            if wanted == ((one.provider if group == "provider" else one.district) or "").casefold()
        ]
        if its:
            raise click.UsageError(
                f"{name}: maintenance is of a router, a place or the city; give each place its own:"
                f" {' '.join(its)}; or keep their messages back: titik silence add {name!r}"
            )
    return naming.place(desk.config, name)


def _plan(desk: OpenDesk, entry: Entry, from_ms: int, length: str) -> MaintenanceRow:
    to_ms = from_ms + length_of("--for", length)
    return planned_work.plan(desk.db, entry, from_ms, to_ms, desk.actor)


def _line(row: MaintenanceRow, zone: ZoneInfo) -> str:
    if row.end_ms is not None and row.end_ms <= row.from_ms:
        times = "withdrawn"
    elif row.weekly is None or row.end_ms is not None:
        times = f"{when.show(row.from_ms, zone)} to {when.show(row.end_ms or 0, zone)}"
    else:
        times = f"since {when.show(row.from_ms, zone)}"
    if row.weekly is not None:
        hour, minute = divmod(row.weekly.minute, 60)
        week = f"{','.join(row.weekly.days)} {hour:02}:{minute:02}"
        times = f"{week} for {when.length(row.weekly.length_ms)}, {times}"
    marks = ["public"] if row.is_public else []
    marks += ["entered afterwards"] if row.is_retroactive else []
    parts = [str(row.number), "/".join(row.subject), times, row.actor, row.reason, *marks]
    return "  ".join(one for one in parts if one)
