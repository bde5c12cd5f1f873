"""A history as columns says what the slow road says, window by window."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.cases import few
from tests.collector import past_rows
from tests.collector.build import opened
from tests.collector.past_rows import BERLIN, SUBJECTS, ms
from tests.collector.test_rollup import START, ZONE, at, city
from titik_collector.figures.windows import Calendar, Span, Window
from titik_collector.queries import columnar, history
from titik_collector.queries.columnar import FIELDS, Columns
from titik_collector.queries.history import WINDOW_MS, Subject
from titik_collector.rollups.worker import GRACE_MS
from titik_collector.store import membership
from titik_collector.store.database import Database
from titik_collector.store.rollups import ScopeId
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS


def plain(
    db: Database, subject: Subject, window: Window, span: Span, zone: ZoneInfo, now_ms: int
) -> dict[str, list[object]]:
    """By the message of each window that `titik history` draws."""
    calendar = Calendar(zone)
    points = {one.span: one.rollup() for one in history.read(db, subject, window, span, calendar)}
    columns: dict[str, list[object]] = {name: [] for name in FIELDS}
    begin_ms = membership.first_ms(db, ScopeId(subject.scope, subject.id)) or 0
    computed_ms = (now_ms - GRACE_MS) // MINUTE_MS * MINUTE_MS
    for edge in history.spans(window, span, calendar):
        rollup = points.get(edge)
        for name in FIELDS:
            columns[name].append(None if rollup is None else getattr(rollup, name))
        if rollup is None and begin_ms < edge.end_ms <= computed_ms:
            columns["coverage_ratio"][-1] = 0.0
        elif rollup is not None and not rollup.coverage_ratio and edge.end_ms > computed_ms:
            columns["coverage_ratio"][-1] = None
    return columns


def as_lists(found: Columns) -> dict[str, list[object]]:
    """In the order of the contract."""
    return {name: list(found.figures[name]) for name in FIELDS}


@pytest.mark.parametrize("seed", few(1, range(8)))
@pytest.mark.parametrize("window", ["1m", "1h", "1d"])
def test_columns_are_the_windows_of_the_slow_road(
    tmp_path: Path, seed: int, window: Window
) -> None:
    """Of routers, sites and the city, with gaps, over a night when the clock is set."""
    rand = random.Random(seed)
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, ms("2026-10-20T05:00"))
        first_ms = ms("2026-10-24T00:00") + rand.randrange(DAY_MS)
        whole = Span(first_ms, first_ms + (3 * HOUR_MS if window == "1m" else 5 * DAY_MS))
        past_rows.fill(db, window, whole, BERLIN, rand)
        span = Span(whole.start_ms - WINDOW_MS[window], whole.end_ms + rand.randrange(2 * HOUR_MS))
        now_ms = span.end_ms + rand.randrange(-HOUR_MS, HOUR_MS)
        for subject in SUBJECTS:
            found = columnar.read(db, subject, window, span, Calendar(BERLIN), now_ms)
            assert plain(db, subject, window, span, BERLIN, now_ms) == as_lists(found)


def test_a_router_s_samples_are_drawn_as_they_are_published(tmp_path: Path) -> None:
    """From real samples through rollups, minute by minute."""
    span = Span(START, START + HOUR_MS)
    with city(tmp_path / "db") as here:
        here.save(*(at(n) for n in range(1, 41)), *(at(n) for n in range(81, 121)))
        here.roll()
        subject = Subject("router", 1, "tirosa-1", "tirosa-1")
        found = columnar.read(here.db, subject, "1m", span, Calendar(ZONE), here.now_ms)
        expected = plain(here.db, subject, "1m", span, ZONE, here.now_ms)
    assert 0.0 == found.figures["coverage_ratio"][30]
    assert 3.0 == found.figures["clients_mean"][10]
    assert expected == as_lists(found)


def test_only_what_is_asked_for_is_there(tmp_path: Path) -> None:
    """And coverage always, because no figure is shown without it."""
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        found = columnar.read(
            db, SUBJECTS[0], "1h", Span(0, DAY_MS), Calendar(BERLIN), DAY_MS, ["clients_max"]
        )
    assert ["coverage_ratio", "clients_max"] == list(found.figures)
    assert found.is_empty


def test_a_window_that_is_still_to_be_computed_has_no_coverage_yet(tmp_path: Path) -> None:
    """That is not 0: the samples may be there."""
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, START - DAY_MS)
        now_ms = START + 3 * MINUTE_MS
        span = Span(START, now_ms + 2 * MINUTE_MS)
        found = columnar.read(db, SUBJECTS[0], "1m", span, Calendar(ZONE), now_ms)
    assert (0.0, 0.0, None, None, None) == found.figures["coverage_ratio"]


def test_compared_subjects_have_the_same_windows(tmp_path: Path) -> None:
    """Also one that was registered in the middle of the time, whose first ones are unknown."""
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, START)
        db.execute("UPDATE membership SET from_ms = ? WHERE router_id = 2", (START + 2 * HOUR_MS,))
        span = Span(START, START + 4 * HOUR_MS)
        first, second = columnar.compare(
            db, SUBJECTS[:2], "1h", span, Calendar(ZONE), span.end_ms + DAY_MS
        )
    assert first.edges == second.edges
    assert (0.0, 0.0, 0.0, 0.0) == first.figures["coverage_ratio"]
    assert (None, None, 0.0, 0.0) == second.figures["coverage_ratio"]


@pytest.mark.parametrize(
    ("length_ms", "oldest_ms", "window"),
    [
        (26 * HOUR_MS, START, "1m"),
        (26 * HOUR_MS, START + 2 * HOUR_MS, "1h"),
        (26 * HOUR_MS, None, "1h"),
        (27 * HOUR_MS, START, "1h"),
        (32 * DAY_MS, START, "1h"),
        (33 * DAY_MS, START, "1d"),
    ],
)
def test_the_window_fits_the_span(length_ms: int, oldest_ms: int | None, window: Window) -> None:
    """A day is drawn by minutes as far as they are kept, a month by hours, a year by days."""
    assert window == columnar.fitting(Span(START, START + length_ms), oldest_ms)


def test_the_nearest_windows_with_samples_are_found(tmp_path: Path) -> None:
    """Before a span and after it, so that a page can lead there."""
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        for hour in (1, 3, 9, 12):
            past_rows.put(db, SUBJECTS[0], "1h", START + hour * HOUR_MS, covered_ms=5)
        past_rows.put(db, SUBJECTS[0], "1h", START + 8 * HOUR_MS, covered_ms=0)
        span = Span(START + 4 * HOUR_MS, START + 8 * HOUR_MS)
        found = columnar.nearest(db, SUBJECTS[0], "1h", span)
        nothing = columnar.nearest(db, SUBJECTS[1], "1h", span)
    assert (START + 3 * HOUR_MS, START + 9 * HOUR_MS) == found
    assert (None, None) == nothing


def test_the_oldest_minute_that_is_kept_is_found(tmp_path: Path) -> None:
    """None where no minute has samples."""
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.put(db, SUBJECTS[0], "1m", START, covered_ms=5)
        past_rows.put(db, SUBJECTS[0], "1m", START + MINUTE_MS, covered_ms=5)
        found = [columnar.oldest_minute_ms(db, one) for one in SUBJECTS[:2]]
    assert [START, None] == found


def test_the_revision_is_the_highest_of_the_windows(tmp_path: Path) -> None:
    """So a copy of the answer is known to be old when a window was computed again."""
    found: Sequence[int]
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        subject = replace(SUBJECTS[0])
        past_rows.put(db, subject, "1h", START, covered_ms=5, revision=3)
        past_rows.put(db, subject, "1h", START + HOUR_MS, covered_ms=5, revision=2)
        found = [
            columnar.read(db, subject, "1h", span, Calendar(ZONE), START + DAY_MS).revision
            for span in (Span(START, START + 2 * HOUR_MS), Span(START - HOUR_MS, START))
        ]
    assert [3, 0] == found
