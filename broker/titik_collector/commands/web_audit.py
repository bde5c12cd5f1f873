"""`titik web audit`: who changed what."""

from datetime import datetime
from pathlib import Path

import click

from titik_collector.commands import options
from titik_collector.commands.web_user import open_desk
from titik_collector.config import model
from titik_collector.limits import MAX_AUDIT
from titik_collector.store import desk_audit


@click.command("audit")
@click.option("--last", type=click.IntRange(1, MAX_AUDIT), default=model.LAST_CHANGES, metavar="N")
@options.CONFIG
def audit_command(last: int, file: Path) -> None:
    """List the newest changes: who, from where, what."""
    with open_desk(file) as desk:
        zone = desk.config.city.timezone
        for row in desk_audit.newest(desk.db, last):
            at = datetime.fromtimestamp(row.at_ms / 1000, zone).isoformat(" ", "seconds")
            click.echo(
                f"{at}  {row.actor}  {row.address or 'command'}  {row.action}  {row.subject}"
            )
