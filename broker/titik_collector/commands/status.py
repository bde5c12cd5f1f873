"""`titik status` and `titik top`: the city now."""

import sys
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from titik_collector.commands import options, plainly, show
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.config.schema import ConfigError
from titik_collector.queries import (
    backup_warnings,
    collectors,
    failing_receivers,
    server_warnings,
    site_groups,
    status,
    status_check,
    status_json,
    status_where,
)
from titik_collector.queries.history import nearest
from titik_collector.queries.server_warnings import Server
from titik_collector.queries.status import CityStatus, RouterStatus, SiteStatus
from titik_collector.queries.status_check import Limits
from titik_collector.screens import status_detail, status_screen, top_screen
from titik_collector.store import opening
from titik_collector.store.collecting import StoreCollectors
from titik_collector.store.database import Database, StoreError
from titik_collector.timeline import server_clock

COUNT = click.IntRange(0, 1_000_000)


@click.command(name="status", epilog=options.COLUMNS)
@options.CONFIG
@click.argument("name", required=False, metavar="[SITE|ROUTER|city]")
@click.option("--problems", "only_problems", is_flag=True, help="Only what is wrong.")
@click.option("--all", "everything", is_flag=True, help="Every router, however many there are.")
@click.option(
    "--where", metavar="KEY=VALUE", help="Only sites where it is so, such as provider=Telkom."
)
@click.option(
    "--by", type=click.Choice(status_where.KEYS), help="A line for each group, such as provider."
)
@click.option("--json", "as_json", is_flag=True, help="For programs; see docs/operating.md.")
@click.option("--check", "as_check", is_flag=True, help="One line and exit status for Nagios.")
@click.option(
    "--away", type=COUNT, default=model.AWAY, help="--check warns if so many routers are away."
)
@click.option(
    "--away-critical",
    type=COUNT,
    default=model.AWAY_CRITICAL,
    show_default=False,
    help="--check is critical if so many are away; 0: never.",
)
@click.option(
    "--lost",
    type=COUNT,
    default=model.LOST,
    help="--check warns if so many samples were lost in 24 h.",
)
@click.option(
    "--cert-days",
    type=COUNT,
    default=model.CERT_DAYS,
    help="--check warns if a certificate ends earlier.",
)
def status_command(
    file: Path,
    name: str | None,
    only_problems: bool,
    everything: bool,
    where: str | None,
    by: str | None,
    as_json: bool,
    as_check: bool,
    **limits: int,
) -> None:
    """Every site and router now, problems first.

    With a name all that is known of that site or router.

    Exit status 1 when the state of routers cannot be known, because no collector runs, or because
    it hears or stores nothing. With --check 0 is OK, 1 is a warning, 2 is critical, 3 is unknown.
    """
    if by is not None and (name or only_problems or as_json or as_check):
        raise click.UsageError("--by makes a table of groups: leave out the others, but --where")
    if as_check:
        _check(file, Limits(**limits))
    with plainly():
        settings = model.load(file)
        city, server, who = _gather(settings)
    city = city if where is None else _only(city, where)
    found = None if name is None else _find(city, name, settings.city.name)
    console = Console()
    if as_json:
        click.echo(status_json.text(status_json.document(city, server, found, who)))
    elif by is not None:
        show(status_screen.render_groups(city, site_groups.grouped(city.sites, by, city.at_ms)))
    elif found is not None:
        show(status_detail.render(city, found, settings.city.timezone))
    elif only_problems:
        show(status_screen.render_problems(city))
    else:
        height = console.height if console.is_terminal else None
        foot = None if who is None else collectors.line(who, settings.city.timezone)
        show(status_screen.render(city, height=height, everything=everything, collectors=foot))
    sys.exit(1 if server.fails else 0)


@click.command(epilog=options.COLUMNS)
@options.CONFIG
@click.option(
    "--every",
    type=click.FloatRange(0.5, 3600),
    default=model.SCREEN_S,
    help="Seconds between two screens.",
)
def top(file: Path, every: float) -> None:
    """The status screen, live. Arrows, Page Up and Page Down scroll; q ends it.

    Once where there is no terminal.
    """
    with plainly():
        settings = model.load(file)
        console = Console()
        if not (console.is_terminal and sys.stdin.isatty()):
            city, *_ = _gather(settings)
            console.print(status_screen.render(city))
            return
        top_screen.run(console, lambda: _gather(settings)[0], every)


def _only(city: CityStatus, where: str) -> CityStatus:
    try:
        return status_where.only(city, where)
    except status_where.BadWhere as error:
        raise click.BadParameter(str(error), param_hint="--where") from error


def _gather(settings: Config) -> tuple[CityStatus, Server, StoreCollectors | None]:
    """The city, the server and who collects.

    StoreError says what the server reports, if the store is gone.
    """
    now_ms = server_clock.shown_ms(None)
    try:
        with opening.reading(settings.store, settings.file) as db:
            now_ms = server_clock.shown_ms(db)
            server = _server(settings, now_ms, db)
            of, warned = settings.city, server.warnings
            city = status.gather(db, of.name, now_ms, warned, of.title, of.timezone)
            return city, server, collectors.look(settings, db)
    except StoreError as error:
        where = settings.store
        if where.path is not None and opening.is_held(where) is False:
            raise  # what to do with the store comes before a collector
        causes, rest = _causes(settings, error)
        raise StoreError("; ".join([*rest, *causes])) from error


def _server(settings: Config, now_ms: int, db: Database) -> Server:
    """With the receivers that nothing reaches, and what is amiss with backups."""
    found = server_warnings.look(settings, now_ms, db)
    unreached = failing_receivers.warned(settings, now_ms)
    backups = backup_warnings.warned(settings, now_ms, db)
    return replace(found, warnings=(*found.warnings, *unreached, *backups))


def _causes(settings: Config, error: StoreError) -> tuple[list[str], list[str]]:
    """What the server reports itself, and the error where that is not in it."""
    server = server_warnings.look(settings, server_clock.shown_ms(None), None)
    causes = [one.text for one in server.warnings if one.level == "critical"]
    reason = str(error).removeprefix(f"{opening.name(settings.store)}: ")
    return causes, [] if any(reason in one for one in causes) else [str(error)]


def _check(file: Path, limits: Limits) -> None:
    """Print the line and end; whatever goes wrong is UNKNOWN, or CRITICAL if the server says so."""
    try:
        settings = model.load(file)
        with opening.reading(settings.store, settings.file) as db:
            now_ms = server_clock.shown_ms(db)
            server = _server(settings, now_ms, db)
            city = status.gather(db, settings.city.name, now_ms, server.warnings)
            code, line = status_check.check(city, server, limits)
    except StoreError as error:
        code, line = status_check.blind(*_causes(settings, error))
    except (ConfigError, OSError) as error:
        code, line = status_check.UNKNOWN, status_check.line(status_check.UNKNOWN, str(error))
    click.echo(line)
    sys.exit(code)


def _find(city: CityStatus, name: str, whole: str) -> SiteStatus | RouterStatus | None:
    """By name, None the city; `router/NAME` is the router where a site has the same name."""
    for site in city.sites:
        if name in (site.name, f"site/{site.name}"):
            return site
    for router in city.routers():
        if name in (router.name, f"router/{router.name}"):
            return router
    if name in (model.SUBJECT, whole):
        return None
    known = [*(one.name for one in city.sites), *(one.name for one in city.routers())]
    raise click.BadParameter(
        f"{name!r} is neither a site nor a router{nearest(name, known)}", param_hint="SITE|ROUTER"
    )
