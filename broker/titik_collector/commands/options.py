"""Options that several commands share, and how their values are read.

Rule: a value that cannot be is a click.BadParameter, which names the option and the remedy.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from titik_collector.commands import plainly
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.figures.windows import Span
from titik_collector.queries import history
from titik_collector.store import opening
from titik_collector.store.database import Database
from titik_collector.wording import when

Command = TypeVar("Command", bound=Callable[..., Any])


def config(
    name: str = "file", about: str = "The server's configuration."
) -> Callable[[Command], Command]:
    """`--config FILE`, as the argument `name`."""
    return click.option(
        "--config",
        name,
        type=click.Path(path_type=Path),
        metavar="FILE",
        default=model.DEFAULT_FILE,
        help=about,
    )


def since(default: str) -> Callable[[Command], Command]:
    """`--since TIME`, with the default of the command."""
    return click.option(
        "--since",
        default=default,
        help="90m, 24h, 7d, 1y, or a date or time of the city.",
    )


COLUMNS = (
    "Of the table: clients, and those that were active in the last minute. down, up: bits a second"
    " to and from them. cover: the share of the last hour that samples cover. spool: samples that"
    " wait on the router. lost: samples gone for good. A · is not known, which is not zero."
)
CONFIG = config()
IDENTITY = click.option(
    "--identity",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="With the secret key of age that opens a sealed backup.",
)
UNTIL = click.option("--until", default=model.UNTIL, help="As --since.")
UTC = click.option("--utc", is_flag=True, help="ISO 8601 in UTC instead of the city's time.")
WINDOW = click.option("--window", type=click.Choice(("1m", "1h", "1d")), default=model.WINDOW)


@contextlib.contextmanager
def opened(file: Path) -> Iterator[tuple[Config, Database]]:
    """The configuration, and its store for reading."""
    with plainly():
        settings = model.load(file)
        with opening.reading(settings.store, settings.file) as db:
            yield settings, db


@contextlib.contextmanager
def opened_for_page(file: Path) -> Iterator[tuple[Config, Database]]:
    """The same, as the page's user opens it."""
    with plainly():
        settings = model.load(file)
        with opening.reading(settings.page_store, settings.file) as db:
            yield settings, db


def read_span(settings: Config, since: str, until: str, now_ms: int) -> Span:
    """From --since to --until, which never lies after now."""
    start_ms = read_time(settings, "--since", since, now_ms)
    end_ms = min(read_time(settings, "--until", until, now_ms), now_ms)
    check_order(since, start_ms, f"--until ({until})" if end_ms < now_ms else "now", end_ms)
    return Span(start_ms, end_ms)


def read_time(settings: Config, option: str, text: str, now_ms: int) -> int:
    """Milliseconds since 1970 of what `option` was given."""
    try:
        return when.parse(text, settings.city.timezone, now_ms)
    except when.BadTime as error:
        raise click.BadParameter(str(error), param_hint=option) from error


def check_order(since: str, start_ms: int, end: str, end_ms: int) -> None:
    """A span has a length."""
    if start_ms >= end_ms:
        raise click.BadParameter(
            f"{since!r} does not lie before {end}; use an earlier time, such as 24h",
            param_hint="--since",
        )


def find_subject(settings: Config, db: Database, name: str) -> history.Subject:
    """The site, router or city of that name."""
    try:
        return history.find(db, name, settings.city.name, settings.city.title)
    except history.UnknownName as error:
        raise click.BadParameter(str(error), param_hint="SITE|ROUTER|city") from error
