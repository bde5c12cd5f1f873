"""The report of the last month, as the page posts it for whoever sends it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.collector import past_rows
from tests.collector.past_rows import ms
from tests.collector.test_city_reports import APRIL, BEGIN, CITY, NOW
from tests.collector.test_city_reports import db as db
from titik_collector.accounts.audit import Actor
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.limits import MAX_ATTACHED
from titik_collector.notify.report_watch import ReportWatch
from titik_collector.reports import freezing, posted_report, posting_reports, printing
from titik_collector.reports.period import Period
from titik_collector.reports.printing import NoPdf
from titik_collector.store import desk_opening, desk_posted_reports
from titik_collector.store.database import Database
from titik_collector.store.desk_posted_reports import PostedKey
from titik_wire.instant import DAY_MS, HOUR_MS

FIRST = APRIL + 8 * HOUR_MS  # of Berlin, when the summary of a day comes
TABLES = """
[[receiver]]
name = "it"
type = "folder"
folder = "mail"
reports = true
[[receiver]]
name = "head"
type = "folder"
folder = "mail"
language = "en"
reports = true
[[receiver]]
name = "other"
type = "folder"
folder = "mail"
"""


def settings_of(folder: Path, tables: str = TABLES, zone: str = "Europe/Berlin") -> Config:
    """The city of `db`, with receivers."""
    file = folder / "titik.toml"
    file.write_text(
        f'[city]\nname = "kupang"\ntitle = "Kota Kupang"\ntimezone = "{zone}"\n'
        f'[store]\npath = "other.db"\n[broker]\nport = 1\n{tables}'
    )
    return model.load(file)


@pytest.fixture(autouse=True)
def city_day(db: Database) -> None:
    """From then on something of the city is known."""
    past_rows.put(db, past_rows.SUBJECTS[-1], "1d", BEGIN, covered_ms=1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Database]:
    """Beside an empty store."""
    with desk_opening.opened(settings_of(tmp_path).store) as found:
        yield found


def update(
    db: Database,
    desk: Database,
    settings: Config,
    now_ms: int,
    pdf: Callable[[str], bytes] = lambda page: page.encode()[:20],
) -> int:
    """How many reports were made."""
    return len(posting_reports.update(db, desk, settings, now_ms, lambda _: (), pdf))


def keys(desk: Database) -> list[PostedKey]:
    """What is posted."""
    return [key for key, _ in desk_posted_reports.keys(desk)]


@pytest.mark.parametrize(
    ("zone", "at", "revision", "expected"),
    [
        ("Asia/Makassar", "2026-11-30T23:59", 0, None),
        ("Asia/Makassar", "2026-12-01T00:00", 0, ("2026-11", 0)),  # 08:00 there
        ("Asia/Makassar", "2026-12-07T15:59", 0, ("2026-11", 0)),
        ("Asia/Makassar", "2026-12-07T16:00", 0, None),
        ("Asia/Makassar", "2026-12-07T16:00", 1, ("2026-11", 1)),
        ("Asia/Makassar", "2026-12-14T15:59", 2, ("2026-11", 2)),
        ("Asia/Makassar", "2026-12-14T16:00", 2, None),
        ("Asia/Jayapura", "2026-12-31T22:59", 0, None),
        ("Asia/Jayapura", "2026-12-31T23:00", 0, ("2026-12", 0)),
        ("Europe/Berlin", "2026-04-01T05:59", 0, None),
        ("Europe/Berlin", "2026-04-01T06:00", 0, ("2026-03", 0)),
    ],
)
def test_a_month_is_posted_from_the_morning_of_the_first_on(
    tmp_path: Path, zone: str, at: str, revision: int, expected: tuple[str, int] | None
) -> None:
    """By the clock of the city: provisional until the 8th, final a week longer."""
    found = posting_reports.due(settings_of(tmp_path, "", zone), ms(at), lambda _: revision)
    assert expected == (None if found is None else (found.month.name, found.revision))


def test_a_report_is_posted_once_in_each_language_of_its_receivers(
    tmp_path: Path, db: Database, desk: Database
) -> None:
    """On the 8th the final one takes its place, and a week later nothing is left."""
    settings = settings_of(tmp_path)
    watch = ReportWatch(settings.page_store)
    assert (0, ()) == (update(db, desk, settings, FIRST - 1), watch.look())
    assert (2, 0) == (update(db, desk, settings, FIRST), update(db, desk, settings, FIRST + 1))
    assert ["en", "id"] == [one.language for one in watch.look()]
    assert [None, None] == [one.report.revision for one in watch.look()]
    assert [b"<!doctype html>\n<htm"] * 2 == [one.pdf for one in watch.look()]
    eighth = APRIL + 7 * DAY_MS
    freezing.freeze(db, desk, CITY, Period(2026, 3), Actor("ani", None, eighth), lambda _: ())
    assert 2 == update(db, desk, settings, eighth)
    assert [PostedKey("2026-03", 1, "en"), PostedKey("2026-03", 1, "id")] == keys(desk)
    assert [1, 1] == [one.report.revision for one in watch.look()]
    assert 0 == update(db, desk, settings, eighth + 7 * DAY_MS)
    assert ([], ()) == (keys(desk), watch.look())


def test_who_sends_may_read_what_is_posted(tmp_path: Path, db: Database, desk: Database) -> None:
    """By the group of the store's folder; nobody else may, and the desk stays closed."""
    settings = settings_of(tmp_path)
    update(db, desk, settings, FIRST)
    assert settings.store.path is not None
    found = posted_report.file_of(settings.store.path).stat()
    assert (0o640, tmp_path.stat().st_gid) == (found.st_mode & 0o777, found.st_gid)


def test_a_report_without_a_pdf_is_posted_all_the_same(
    tmp_path: Path, db: Database, desk: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Where none can be made, and where it is too large for a mail."""

    def none(_page: str) -> bytes:
        raise NoPdf("no WeasyPrint")

    settings = settings_of(tmp_path)
    assert 2 == update(db, desk, settings, FIRST, none)
    assert [None, None] == [one.pdf for one in ReportWatch(settings.page_store).look()]
    with desk.transaction():
        desk_posted_reports.remove(desk, PostedKey("2026-03", 0, "en"))
    assert 1 == update(db, desk, settings, FIRST, lambda _: b"x" * (MAX_ATTACHED + 1))
    assert 2 == caplog.text.count("without a PDF reason=no WeasyPrint")
    assert "too large for a mail" in caplog.text


def test_a_pdf_that_takes_too_much_memory_is_none() -> None:
    """So it ends alone, and not with the page."""
    with pytest.raises(NoPdf):
        printing.apart("<p>one</p>", memory=20 << 20)
    assert printing.apart("<p>one</p>").startswith(b"%PDF")


@pytest.mark.parametrize(("tables", "now_ms"), [("", NOW), (TABLES, ms("2026-01-20T12:00"))])
def test_nothing_is_posted_where_nobody_reads_it_or_nothing_is_known(
    tmp_path: Path, db: Database, desk: Database, tables: str, now_ms: int
) -> None:
    """A receiver gets reports only if it is configured so."""
    assert 0 == update(db, desk, settings_of(tmp_path, tables), now_ms)
    assert [] == keys(desk)


def test_a_posted_report_that_cannot_be_read_changes_nothing(
    tmp_path: Path, db: Database, desk: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """What was last known stays, and the problem is logged once."""
    settings = settings_of(tmp_path)
    update(db, desk, settings, FIRST)
    watch = ReportWatch(settings.page_store)
    known = watch.look()
    assert settings.store.path is not None
    posted_report.file_of(settings.store.path).write_text('{"version":2,"rows":[]}')
    assert known == watch.look() == watch.look()
    assert 1 == caplog.text.count("the posted report cannot be read")
