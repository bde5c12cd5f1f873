"""`titik history | export | events`: what engineers ask for at the prompt."""

import contextlib
import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TextIO, TypeVar

import click
from rich.console import Console
from rich.progress import Progress

from titik_collector.commands import plainly, show
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.figures.windows import Calendar, Span, Window
from titik_collector.queries import events, export, history
from titik_collector.screens import history_screen
from titik_collector.store.database import Database, reading
from titik_collector.timeline import server_clock
from titik_collector.wording import when

MAX_ROWS = 11_000  # windows of a history: a week of minutes, a year of hours

Command = TypeVar("Command", bound=Callable[..., Any])

CONFIG = click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    default=model.DEFAULT_FILE,
    show_default=True,
    help="The server's configuration.",
)
UTC = click.option("--utc", is_flag=True, help="ISO 8601 in UTC instead of the city's time.")
WINDOW = click.option(
    "--window", type=click.Choice(("1m", "1h", "1d")), default="1h", show_default=True
)
UNTIL = click.option("--until", default="now", show_default=True, help="As --since.")


def since(default: str) -> Callable[[Command], Command]:
    """The option of that name."""
    return click.option(
        "--since",
        default=default,
        show_default=True,
        help="90m, 24h, 7d, 1y, or a date or time of the city.",
    )


@click.command(name="history")
@CONFIG
@click.argument("name", metavar="SITE|ROUTER|city")
@WINDOW
@since("24h")
@UNTIL
@UTC
def history_command(
    file: Path, name: str, window: Window, since: str, until: str, utc: bool
) -> None:
    """The past of a site, a router or the city, window by window.

    A gap is one row without numbers.
    """
    with _opened(file) as (settings, db):
        now_ms = server_clock.shown_ms(db)
        span = _span(settings, since, until, now_ms)
        if (rows := history.count(window, span)) > MAX_ROWS:
            raise click.BadParameter(
                f"{rows} windows of {window}, at most {MAX_ROWS} are shown;"
                " use a longer --window, a later --since, or `titik export`",
                param_hint="--window",
            )
        zone = settings.city.timezone
        subject = _subject(settings, db, name)
        pending = history.pending(db, subject, now_ms)
        points = history.read(db, subject, window, span, Calendar(zone))
    show(history_screen.render(subject, window, points, None if utc else zone, now_ms, pending))


@click.command(name="export")
@CONFIG
@click.argument("names", nargs=-1, metavar="[SITE|ROUTER|city]...")
@WINDOW
@since("7d")
@UNTIL
@click.option(
    "--format", "kind", type=click.Choice(("csv", "jsonl")), default="csv", show_default=True
)
@click.option("--output", type=click.Path(path_type=Path), help="A file; - is stdout.")
@UTC
def export_command(
    file: Path,
    names: tuple[str, ...],
    window: Window,
    since: str,
    until: str,
    kind: Literal["csv", "jsonl"],
    output: Path | None,
    utc: bool,
) -> None:
    """Rollups of these, or of everything, for other programs.

    Of the windows that begin from --since on and before --until. A router that is called as a site
    is: router/NAME.
    """
    with _opened(file) as (settings, db):
        span = _span(settings, since, until, server_clock.shown_ms(db))
        zone = settings.city.timezone
        subjects = [_subject(settings, db, name) for name in names]
        subjects = subjects or history.subjects(db, settings.city.name)
        parts, empty = export.chunks(window, span), True
        with _file(output) as out, _progress(len(subjects) * len(parts)) as advance:
            writer = (export.Csv if kind == "csv" else export.Jsonl)(out)
            for subject in subjects:
                for part in parts:
                    shown = None if utc else zone
                    rows = list(export.records(db, subject, window, part, Calendar(zone), shown))
                    writer.write(rows)
                    empty = empty and not rows
                    advance()
    if empty:
        click.echo(_nothing(window, span, Calendar(zone), since), err=True)


@click.command(name="events")
@CONFIG
@since("7d")
@click.option("--why", is_flag=True, help="Also what each cause is concluded from.")
@UTC
def events_command(file: Path, since: str, why: bool, utc: bool) -> None:
    """Outages with cause, routers added or removed, samples lost.

    Causes are probable causes. A time in which the server could not hear is an event of its own.
    """
    with _opened(file) as (settings, db):
        now_ms, zone = server_clock.shown_ms(db), settings.city.timezone
        start_ms = _time(settings, "--since", since, now_ms)
        _check_order(since, start_ms, "now", now_ms)
        found = events.gather(db, start_ms, now_ms)
    show(events.render(found, None if utc else zone, now_ms, why))


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[tuple[Config, Database]]:
    with plainly():
        settings = model.load(file)
        with reading(settings.store.path) as db:
            yield settings, db


def _span(settings: Config, since: str, until: str, now_ms: int) -> Span:
    start_ms = _time(settings, "--since", since, now_ms)
    end_ms = min(_time(settings, "--until", until, now_ms), now_ms)
    _check_order(since, start_ms, f"--until ({until})" if end_ms < now_ms else "now", end_ms)
    return Span(start_ms, end_ms)


def _nothing(window: Window, span: Span, calendar: Calendar, since: str) -> str:
    """Why an export is empty."""
    if any(one.start_ms >= span.start_ms for one in history.spans(window, span, calendar)):
        return "nothing is known of this time; a minute is, 40 s after it ended if a collector runs"
    return (
        f"no window of {window} begins in this time; use a --since earlier than {since}, or a"
        " shorter --window"
    )


def _time(settings: Config, option: str, text: str, now_ms: int) -> int:
    try:
        return when.parse(text, settings.city.timezone, now_ms)
    except when.BadTime as error:
        raise click.BadParameter(str(error), param_hint=option) from error


def _check_order(since: str, start_ms: int, end: str, end_ms: int) -> None:
    if start_ms >= end_ms:
        raise click.BadParameter(
            f"{since!r} does not lie before {end}; use an earlier time, such as 24h",
            param_hint="--since",
        )


def _subject(settings: Config, db: Database, name: str) -> history.Subject:
    try:
        return history.find(db, name, settings.city.name, settings.city.title)
    except history.UnknownName as error:
        raise click.BadParameter(str(error), param_hint="SITE|ROUTER|city") from error


@contextlib.contextmanager
def _file(path: Path | None) -> Iterator[TextIO]:
    """The file appears whole or not at all."""
    if path is None or path == Path("-"):
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:  # whoever reads has seen enough; the rest goes nowhere, in silence
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
