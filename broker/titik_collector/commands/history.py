"""`titik history`: the past of one site or router, or of the city, on the terminal."""

from pathlib import Path

import click

from titik_collector.commands import options, show
from titik_collector.config import model
from titik_collector.figures.windows import Calendar, Window
from titik_collector.limits import MAX_WINDOWS
from titik_collector.queries import history
from titik_collector.screens import history_screen
from titik_collector.store import simulated
from titik_collector.timeline import server_clock


@click.command(name="history")
@options.CONFIG
@click.argument("name", metavar="[SITE|ROUTER|city]", default=model.SUBJECT)
@options.WINDOW
@options.since(model.CURVE_SINCE)
@options.UNTIL
@options.UTC
def history_command(
    file: Path, name: str, window: Window, since: str, until: str, utc: bool
) -> None:
    """The past of a site, a router or the city, window by window.

    A gap is one row without numbers. `clients` and `active` are means of the window, `down` and
    `up` bits a second. A · is not known. *Not yet* is still to be computed, a minute 40 s after
    its end; until the first hour is over, use --window 1m.
    """
    with options.opened(file) as (settings, db):
        now_ms = server_clock.shown_ms(db)
        span = options.read_span(settings, since, until, now_ms)
        if (rows := history.count(window, span)) > MAX_WINDOWS:
            raise click.BadParameter(
                f"{rows} windows of {window}, at most {MAX_WINDOWS} are shown;"
                " use a longer --window, a later --since, or `titik export`",
                param_hint="--window",
            )
        zone = settings.city.timezone
        subject = options.find_subject(settings, db, name)
        pending = history.pending(db, subject, now_ms)
        points = history.read(db, subject, window, span, Calendar(zone))
        made_up = simulated.span(db)
    if not points:
        raise click.BadParameter(
            f"{name} was registered after {until}; use a later time", param_hint="--until"
        )
    shown = None if utc else zone
    show(history_screen.render(subject, window, points, shown, now_ms, pending, made_up))
