"""`titik events`: outages with cause, routers added or removed, samples lost."""

from pathlib import Path

import click

from titik_collector.commands import options, show
from titik_collector.config import model
from titik_collector.queries import events
from titik_collector.screens import event_screen
from titik_collector.timeline import server_clock


@click.command(name="events")
@options.CONFIG
@options.since(model.LIST_SINCE)
@click.option("--why", is_flag=True, help="Also the evidence for each cause.")
@options.UTC
def events_command(file: Path, since: str, why: bool, utc: bool) -> None:
    """Outages with cause, routers added or removed, samples lost.

    Causes are probable causes. A time in which the server could not hear is an event of its own.
    """
    with options.opened(file) as (settings, db):
        now_ms, zone = server_clock.shown_ms(db), settings.city.timezone
        start_ms = options.read_time(settings, "--since", since, now_ms)
        options.check_order(since, start_ms, "now", now_ms)
        found = events.gather(db, start_ms, now_ms)
    show(event_screen.render(found, None if utc else zone, now_ms, why))
