"""What is final stays as it was."""

import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.test_city_reports import APRIL, CITY, MARCH, NOW
from tests.collector.test_city_reports import db as db
from tests.collector.test_day_strip import away
from tests.reports.made import made
from tests.until import until
from titik_collector.accounts.audit import Actor
from titik_collector.config.store_table import Store
from titik_collector.reports import freezing
from titik_collector.reports.hourly import EVERY_S, FIRST_S, Hourly
from titik_collector.reports.period import Period
from titik_collector.store import desk_audit, desk_opening, desk_reports
from titik_collector.store.database import Database, StoreError
from titik_collector.store.desk_reports import FrozenReport
from titik_wire.instant import DAY_MS, HOUR_MS


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Database]:
    """Beside an empty store."""
    with desk_opening.opened(Store(path=tmp_path / "other.db")) as found:
        yield found


@pytest.mark.parametrize(
    ("now_ms", "frozen", "expected"),
    [
        (APRIL + 6 * DAY_MS, (), ["2026-01", "2026-02"]),
        (APRIL + 7 * DAY_MS, (), ["2026-01", "2026-02", "2026-03"]),
        (APRIL + 7 * DAY_MS, ("2026-01", "2026-02"), ["2026-03"]),
        (MARCH - 22 * DAY_MS, (), ["2025-11", "2025-12", "2025"]),
        (MARCH - 19 * DAY_MS, ("2025-11", "2025-12"), ["2025", "2026-01"]),
    ],
)
def test_a_month_is_frozen_from_the_eighth_on(
    now_ms: int, frozen: tuple[str, ...], expected: list[str]
) -> None:
    """And a year with its December; three months at most are made up for."""
    assert expected == [one.name for one in freezing.due(CITY, now_ms, frozenset(frozen))]


def test_what_is_final_does_not_change_any_more(db: Database, desk: Database) -> None:
    """Whatever becomes known later; only who freezes it again gets another revision."""
    period, work = Period(2026, 3), lambda _: ()
    assert 6 == freezing.freeze(db, desk, CITY, period, Actor("ani", None, NOW), work)
    first = freezing.read(desk, "2026-03", "city", "")
    assert first is not None
    assert (1, NOW, 0) == (first.revision, first.frozen_ms, first.headline.interruptions)
    away(db, 3, MARCH + DAY_MS, MARCH + DAY_MS + HOUR_MS)
    assert first == freezing.read(desk, "2026-03", "city", "")
    freezing.freeze(db, desk, CITY, period, Actor("ani", None, NOW + 5), work)
    second = freezing.read(desk, "2026-03", "provider", "TELKOM")
    assert second is not None
    assert (2, NOW + 5, 1) == (second.revision, second.frozen_ms, second.headline.interruptions)
    assert freezing.read(desk, "2026-02", "city", "") is None
    assert ["2026-03 revision 1", "2026-03 revision 2"] == [
        one.subject for one in desk_audit.newest(desk, 9) if one.action == "report frozen"
    ]
    assert freezing.read(desk, "2026-03", "site", "nowhere") is None


def test_what_was_stopped_halfway_is_not_final(db: Database, desk: Database) -> None:
    """The newest revision that has the city counts."""
    freezing.freeze(db, desk, CITY, Period(2026, 3), Actor("ani", None, NOW), lambda _: ())
    row = desk_reports.newest(desk, "2026-03", "site", "s1")
    assert row is not None
    with desk.transaction():
        desk_reports.add(desk, row._replace(revision=2))
    assert freezing.read(desk, "2026-03", "site", "s1") is None
    assert freezing.read(desk, "2026-03", "site", "s2") is not None


def test_half_a_freeze_leaves_nothing_to_the_next(db: Database, desk: Database) -> None:
    """What an earlier version left when it was killed is of another time."""
    with desk.transaction():
        half = FrozenReport("2026-03", "site", "s1", 1, 5, freezing.encode(made(revision=1)))
        desk_reports.add(desk, half)
        desk_reports.add(desk, half._replace(name="gone"))
    freezing.freeze(db, desk, CITY, Period(2026, 3), Actor("ani", None, NOW), lambda _: ())
    found = freezing.read(desk, "2026-03", "site", "s1")
    assert found is not None
    assert NOW == found.frozen_ms
    assert freezing.read(desk, "2026-03", "site", "gone") is None


def test_a_freeze_that_fails_stores_no_report(db: Database, desk: Database) -> None:
    """Not even those that were written before."""
    desk.execute(
        "CREATE TRIGGER fails BEFORE INSERT ON frozen_report WHEN NEW.kind = 'city'"
        " BEGIN SELECT RAISE(ABORT, 'killed'); END"
    )
    with pytest.raises(StoreError, match="killed"):
        freezing.freeze(db, desk, CITY, Period(2026, 3), Actor("ani", None, NOW), lambda _: ())
    assert [(0,)] == desk.execute("SELECT count(*) FROM frozen_report")


def test_a_report_is_read_as_it_was_written() -> None:
    """With all that is in it."""
    report = made(revision=1, frozen_ms=3)
    assert report == freezing.decode(freezing.encode(report))


def test_a_report_of_before_flow_offload_was_known_is_read() -> None:
    """Its figures end sooner."""
    report = made(revision=1, frozen_ms=3)
    stored = zlib.decompress(freezing.encode(report))
    older = stored.replace(b"1200,1250,null]", b"1200,1250]")
    assert len(older) < len(stored)
    assert report == freezing.decode(zlib.compress(older))


def hourly_of(status: int, runs: Path, now: list[float]) -> Hourly:
    """A command that notes each of its runs."""
    code = f"import sys; open({str(runs)!r}, 'a').write('x'); sys.exit({status})"
    return Hourly([sys.executable, "-c", code], lambda: now[0])


def ends(hourly: Hourly) -> None:
    """It runs, until it has ended and that was seen."""

    def is_over() -> bool:
        hourly.look()
        return hourly._running is None

    assert until(is_over, True)


@pytest.mark.parametrize("status", [0, 1])
def test_a_command_is_started_once_an_hour(
    status: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A minute after the start, whether it fails or not; each failure is logged."""
    runs, now = tmp_path / "runs", [0.0]
    hourly = hourly_of(status, runs, now)
    ends(hourly)
    assert not runs.exists()
    for later_s, expected in ((FIRST_S + 1, "x"), (EVERY_S / 2, "x"), (EVERY_S / 2, "xx")):
        now[0] += later_s
        hourly.look()
        ends(hourly)
        assert expected == runs.read_text()
    assert 2 * status == caplog.text.count("an hourly command failed")
