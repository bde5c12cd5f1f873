"""What the commands share that change the desk: who does it, which incident, and when it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from titik_collector.alerts.alert import Incident
from titik_collector.commands.web_user import OpenDesk, open_desk
from titik_collector.config.model import Config
from titik_collector.desk import posting
from titik_collector.store import incident_rows, opening
from titik_collector.wording import when


@contextmanager
def entering(file: Path) -> Iterator[OpenDesk]:
    """The desk; the collector sees what was entered when the block ends."""
    with open_desk(file) as desk:
        yield desk
        posting.post(desk.db, desk.config.page_store)


def find_incident(config: Config, number: int) -> Incident:
    """As the store has it."""
    with opening.reading(config.page_store, config.file) as db:
        found = incident_rows.one(db, number)
    if found is None:
        raise click.BadParameter(
            f"{number}: there is no such incident; titik alerts lists them",
            param_hint="INCIDENT",
        )
    return found


def end_of(option: str, text: str, zone: ZoneInfo, now_ms: int) -> int:
    """Milliseconds since 1970 of a time that comes."""
    try:
        return when.parse_ahead(text, zone, now_ms)
    except when.BadTime as error:
        raise click.BadParameter(str(error), param_hint=option) from error


def length_of(option: str, text: str) -> int:
    """Milliseconds."""
    try:
        return when.parse_length(text)
    except when.BadTime as error:
        raise click.BadParameter(str(error), param_hint=option) from error
