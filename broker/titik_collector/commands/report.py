"""`titik report`: a month or a year as PDF, CSV or HTML, or in a few lines."""

import getpass
from pathlib import Path

import click

from titik_collector.accounts.audit import Actor
from titik_collector.commands import options, plainly
from titik_collector.config.model import Config
from titik_collector.files.replace import Owner, replace_file, replacing
from titik_collector.languages.codes import CODES
from titik_collector.reports import city_reports, csv_tables, freezing, posting_reports
from titik_collector.reports import period as periods
from titik_collector.reports.city_reports import AskedReport
from titik_collector.reports.period import Period
from titik_collector.reports.report import Report, ReportKind
from titik_collector.reports.report_words import ReportWords
from titik_collector.store import desk_opening, desk_reports
from titik_collector.timeline import server_clock
from titik_collector.wording import when

READABLE = Owner(-1, -1, 0o644)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(name="report")
@click.argument("period", metavar="2026-11|2026", required=False)
@click.option("--pdf", type=_FILE, metavar="FILE", help="Write it as PDF; needs WeasyPrint.")
@click.option("--csv", type=_FILE, metavar="FILE", help="Write its places, one line each.")
@click.option(
    "--interruptions", type=_FILE, metavar="FILE", help="Write each interruption, as CSV."
)
@click.option("--html", type=_FILE, metavar="FILE", help="Write it as one page of HTML.")
@click.option("--provider", metavar="NAME", help="Only the places of this internet provider.")
@click.option("--district", metavar="NAME", help="Only the places of this district.")
@click.option("--site", metavar="NAME", help="Only this place.")
@click.option(
    "--freeze",
    is_flag=True,
    help="Make final what is over since the 8th, and post what is mailed; or that one, again.",
)
@click.option("--language", type=click.Choice(CODES), help="Else the page's.")
@options.CONFIG
def report_command(
    period: str | None,
    pdf: Path | None,
    csv: Path | None,
    interruptions: Path | None,
    html: Path | None,
    provider: str | None,
    district: str | None,
    site: str | None,
    freeze: bool,
    language: str | None,
    file: Path,
) -> None:
    """How a month or a year was: availability, devices, traffic, interruptions.

    A frozen month is read as it was frozen; another one is computed now, and is provisional.
    """
    from titik_collector.languages.language import language as language_of
    from titik_collector.reports import printing

    if freeze:
        return _freeze(period, file)
    if period is None:
        raise click.UsageError("which? give a month or a year, such as titik report 2026-11")
    with options.opened_for_page(file) as (settings, db):
        asked = _asked(period, provider, district, site)
        found = _frozen(settings, asked)
        if found is None:
            work = city_reports.planned_at_desk(settings)
            with db.snapshot():
                found = city_reports.one(db, settings, asked, server_clock.shown_ms(db), work)
        words = ReportWords(language_of(language or settings.web.language), settings.city.timezone)
        page = printing.html(found, words, settings.city.title)
    with plainly():
        if html is not None:
            replace_file(html, page, READABLE)
        if pdf is not None:
            with replacing(pdf, READABLE) as raw:
                raw.write(printing.pdf(page))
        if csv is not None:
            replace_file(csv, csv_tables.places(found), READABLE)
        if interruptions is not None:
            zone = settings.city.timezone
            replace_file(interruptions, csv_tables.interruptions(found, zone), READABLE)
        for line in city_reports.summary(found, words):
            click.echo(line)


def _frozen(settings: Config, asked: AskedReport) -> Report | None:
    if not desk_opening.exists(settings.page_store):
        return None
    with desk_opening.opened(settings.page_store) as desk:
        return freezing.read(desk, *asked)


def _freeze(name: str | None, file: Path) -> None:
    """What is due, or one again; what is to be mailed is posted."""
    with options.opened_for_page(file) as (settings, db):
        city, now_ms = city_reports.city_of(settings), server_clock.shown_ms(db)
        known = {one.name for one in city_reports.known_periods(db, city, now_ms)}
        wanted = [one for one in _due(settings, name, now_ms) if known & _months(one)]
        is_mailed = bool(posting_reports.languages(settings))
        if not (wanted or is_mailed or desk_opening.exists(settings.page_store)):
            return
        work = city_reports.planned_at_desk(settings)
        actor = Actor(getpass.getuser(), None, now_ms)
        with desk_opening.opened(settings.page_store) as desk:
            with db.snapshot():
                for one in wanted:
                    number = freezing.freeze(db, desk, city, one, actor, work)
                    click.echo(f"{one.name}: {number} reports are final")
            for line in posting_reports.update(db, desk, settings, now_ms, work):
                click.echo(line)


def _months(one: Period) -> set[str]:
    return {month.name for month in one.months}


def _due(settings: Config, name: str | None, now_ms: int) -> list[Period]:
    zone, city = settings.city.timezone, city_reports.city_of(settings)
    if name is not None:
        one = periods.parse(name)
        if one.frozen_ms(zone) > now_ms:
            day = when.show(one.frozen_ms(zone), zone)
            raise click.UsageError(f"{name} can be frozen from {day} on; late data come until then")
        return [one]
    if not desk_opening.exists(settings.page_store):
        return freezing.due(city, now_ms, frozenset())
    with desk_opening.opened(settings.page_store) as desk:
        return freezing.due(city, now_ms, desk_reports.frozen(desk))


def _asked(
    period: str, provider: str | None, district: str | None, site: str | None
) -> AskedReport:
    given: list[tuple[ReportKind, str]] = []
    if provider is not None:
        given.append(("provider", provider))
    if district is not None:
        given.append(("district", district))
    if site is not None:
        given.append(("site", site))
    if len(given) > 1:
        raise click.UsageError("give one of --provider, --district and --site")
    return AskedReport(period, *(given[0] if given else ("city", "")))
