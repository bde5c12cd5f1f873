"""`titik export`: rollups as CSV, JSON lines or InfluxDB's line protocol, for other programs."""

import contextlib
import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TextIO

import click
from rich.console import Console
from rich.progress import Progress

from titik_collector.commands import options
from titik_collector.config import model
from titik_collector.figures.windows import Calendar, Span, Window
from titik_collector.queries import export, history
from titik_collector.queries.line_protocol import Influx
from titik_collector.timeline import server_clock

_WRITERS: dict[str, type[export.Csv | export.Jsonl | Influx]] = {
    "csv": export.Csv,
    "jsonl": export.Jsonl,
    "influx": Influx,
}


@click.command(name="export")
@options.CONFIG
@click.argument("names", nargs=-1, metavar="[SITE|ROUTER|city]...")
@options.WINDOW
@options.since(model.LIST_SINCE)
@options.UNTIL
@click.option("--format", "kind", type=click.Choice(tuple(_WRITERS)), default=model.FORMAT)
@click.option("--output", type=click.Path(path_type=Path), help="A file; - is stdout.")
@options.UTC
def export_command(
    file: Path,
    names: tuple[str, ...],
    window: Window,
    since: str,
    until: str,
    kind: Literal["csv", "jsonl", "influx"],
    output: Path | None,
    utc: bool,
) -> None:
    """Write rollups of these, or of everything, for other programs.

    An export has the windows that begin from --since on and before --until. If a site and a router
    have the same name, write router/NAME for the router.
    """
    with options.opened(file) as (settings, db):
        span = options.read_span(settings, since, until, server_clock.shown_ms(db))
        zone = settings.city.timezone
        subjects = [options.find_subject(settings, db, name) for name in names]
        subjects = subjects or history.subjects(db, settings.city.name)
        parts, empty = export.chunks(window, span), True
        with _file(output) as out, _progress(len(subjects) * len(parts)) as advance:
            writer = _WRITERS[kind](out, export.names(db))
            for subject in subjects:
                for part in parts:
                    shown = None if utc else zone
                    rows = list(export.records(db, subject, window, part, Calendar(zone), shown))
                    writer.write(rows)
                    empty = empty and not rows
                    advance()
    if empty:
        click.echo(_nothing(window, span, Calendar(zone), since), err=True)


def _nothing(window: Window, span: Span, calendar: Calendar, since: str) -> str:
    """Why an export is empty."""
    if any(one.start_ms >= span.start_ms for one in history.spans(window, span, calendar)):
        return "nothing is known of this time; a collector computes a minute 40 s after its end"
    return (
        f"no window of {window} begins in this time; use a --since earlier than {since}, or a"
        " shorter --window"
    )


@contextlib.contextmanager
def _file(path: Path | None) -> Iterator[TextIO]:
    """The file appears whole or not at all."""
    if path is None or path == Path("-"):
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:  # the reader has seen enough; the rest goes nowhere, in silence
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(128 + signal.SIGPIPE)
        return
    if path.is_dir():
        raise click.BadParameter(f"{path} is a folder; give a file", param_hint="--output")
    if path.exists() and not path.is_file():  # a device or a pipe, in whose place no file belongs
        with open(path, "w", encoding="utf-8", newline="") as out:
            yield out
        return
    place = path.resolve()  # what a link leads to; the link stays
    part = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        with open(part, "x", encoding="utf-8", newline="") as out:
            yield out
        part.replace(place)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, nothing in a pipe."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("exporting", total=total)
        yield lambda: bar.advance(task)
