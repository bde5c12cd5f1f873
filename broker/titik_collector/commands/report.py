"""`titik report`: a month or a year as PDF, CSV or HTML, or in a few lines."""

from pathlib import Path

import click

from titik_collector.commands import options, plainly
from titik_collector.files.replace import Owner, replace_file, replacing
from titik_collector.languages.codes import CODES
from titik_collector.reports import city_reports, csv_tables
from titik_collector.reports.city_reports import AskedReport
from titik_collector.reports.report import ReportKind
from titik_collector.reports.report_words import ReportWords
from titik_collector.timeline import server_clock

READABLE = Owner(-1, -1, 0o644)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(name="report")
@click.argument("period", metavar="2026-11|2026")
@click.option("--pdf", type=_FILE, metavar="FILE", help="Write it as PDF; needs titik[report].")
@click.option("--csv", type=_FILE, metavar="FILE", help="Write its places, one line each.")
@click.option(
    "--interruptions", type=_FILE, metavar="FILE", help="Write each interruption, as CSV."
)
@click.option("--html", type=_FILE, metavar="FILE", help="Write it as one page of HTML.")
@click.option("--provider", metavar="NAME", help="Only the places of this internet provider.")
@click.option("--district", metavar="NAME", help="Only the places of this district.")
@click.option("--site", metavar="NAME", help="Only this place.")
@click.option("--language", type=click.Choice(CODES), help="Else the page's.")
@options.CONFIG
def report_command(
    period: str,
    pdf: Path | None,
    csv: Path | None,
    interruptions: Path | None,
    html: Path | None,
    provider: str | None,
    district: str | None,
    site: str | None,
    language: str | None,
    file: Path,
) -> None:
    """How a month or a year was: availability, devices, traffic, interruptions.

    A frozen month is read as it was frozen; another one is computed now, and is provisional.
    """
    from titik_collector.languages.language import language as language_of
    from titik_collector.reports import printing

    with options.opened(file) as (settings, db):
        asked = _asked(period, provider, district, site)
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
