"""A report as a PDF of A4 pages, tagged so that it can be read aloud, or as one page of HTML.

WeasyPrint draws it, from the extra `report`. It takes 70 MB, so it is loaded only where a PDF is
made; the page lets a process of its own do that.

Rule: what is drawn fetches nothing: no address, no file.
"""

import resource
import subprocess
import sys
from functools import cache
from importlib import import_module, resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from titik_collector.languages.language import Language, language
from titik_collector.limits import MAX_PDF_MEMORY
from titik_collector.queries import availability
from titik_collector.reports import charts
from titik_collector.reports.report import Report
from titik_collector.reports.report_words import ReportWords, traffic
from titik_collector.wording.mendable import Mendable

TAGGED = "pdf/ua-1"
APART_S = 900.0  # a thousand places on a slow machine
INSTALL = f'{sys.executable} -m pip install "weasyprint>=68"'
REMEDY = (
    f"a PDF needs WeasyPrint: {INSTALL}, and Debian's package libpangoft2-1.0-0"
    " with a font, such as fonts-dejavu-core"
)


class NoPdf(Mendable):
    """No PDF can be made here; says what is missing."""


def html(report: Report, words: ReportWords, city_title: str) -> str:
    """One page that stands alone."""
    template = environment(words.lang.code).get_template("report_print.html")
    return template.render(r=report, w=words, city_title=city_title, style=_styles())


def pdf(page: str) -> bytes:
    """Of such a page; NoPdf."""
    try:
        weasyprint = import_module("weasyprint")
    except (ImportError, OSError) as error:  # OSError: one of its libraries is missing
        raise NoPdf(f"{REMEDY} ({str(error).splitlines()[0]})") from error
    nothing = import_module("weasyprint.urls").URLFetcher(allowed_protocols=("none",))
    document = weasyprint.HTML(string=page, url_fetcher=nothing)
    found: bytes = document.write_pdf(pdf_variant=TAGGED)
    return found


def apart(page: str, limit_s: float = APART_S, memory: int = MAX_PDF_MEMORY) -> bytes:
    """By a process of its own, whose memory ends with it; NoPdf."""
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(
            command,
            input=page.encode(),
            capture_output=True,
            timeout=limit_s,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (memory, memory)),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoPdf(f"the process that makes PDFs does not end: {error}") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise NoPdf(lines[-1] if lines else f"the process that makes PDFs ended: {done.returncode}")
    return done.stdout


@cache
def _styles() -> str:
    folder = resources.files("titik_collector.reports") / "assets"
    names = ("report.css", "print.css")
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def drawing(lang: Language) -> dict[str, Any]:
    """What the template of a report calls, beside the words."""
    return {
        "time_parts": charts.parts,
        "devices_chart": lambda r: charts.bars(
            [one.span for one in r.parts],
            [one.clients for one in r.parts],
            [one.coverage for one in r.parts],
        ),
        "traffic_chart": lambda r: charts.bars(
            [one.span for one in r.parts],
            [traffic(one) for one in r.parts],
            [one.traffic_coverage for one in r.parts],
        ),
        "party_of": availability.party,
        "lang": lang,
    }


@cache
def environment(code: str) -> Environment:
    """The templates in one language."""
    made = Environment(
        loader=PackageLoader("titik_collector.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_translations(language(code).texts, newstyle=True)  # type: ignore[attr-defined]
    made.globals |= drawing(language(code))
    return made


def main() -> None:
    """HTML comes in, the PDF goes out: for the page, which is another process."""
    try:
        sys.stdout.buffer.write(pdf(sys.stdin.buffer.read().decode()))
    except NoPdf as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
