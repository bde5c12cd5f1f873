"""A year of hours, by day and hour of the clock."""

import random
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.cases import few
from tests.collector import past_rows
from tests.collector.build import opened
from tests.collector.past_rows import BERLIN, SUBJECTS, ms
from titik_collector.figures.windows import Calendar, Span
from titik_collector.queries import columnar, heat_map
from titik_collector.queries.heat_map import HeatMap
from titik_collector.store.database import Database
from titik_wire.instant import DAY_MS, HOUR_MS

Place = tuple[str, int]  # the date and the hour on the clock


def plain(db: Database, span: Span, zone: ZoneInfo, now_ms: int) -> dict[Place, float]:
    """The mean of the known windows that begin when a clock shows that date and hour."""
    found = columnar.read(db, SUBJECTS[0], "1h", span, Calendar(zone), now_ms)
    cells: dict[Place, list[tuple[float, int]]] = defaultdict(list)
    for edge, value in zip(found.edges, found.figures["clients_mean"], strict=True):
        moment = datetime.fromtimestamp(edge.start_ms / 1000, zone)
        if value is not None:
            length_ms = edge.end_ms - edge.start_ms
            cells[f"{moment:%Y-%m-%d}", moment.hour].append((value, length_ms))
    return {
        place: sum(value * ms for value, ms in each) / sum(ms for _, ms in each)
        for place, each in cells.items()
    }


def by_place(found: HeatMap, zone: ZoneInfo) -> dict[Place, float]:
    """The cells that have a value."""
    return {
        (f"{datetime.fromtimestamp(day.start_ms / 1000, zone):%Y-%m-%d}", hour): value
        for day, row in zip(found.days, found.values, strict=True)
        for hour, value in enumerate(row)
        if value is not None
    }


@pytest.mark.parametrize(
    "where_and_when",
    few(
        1,
        [
            ("Europe/Berlin", "2026-10-23T10:00"),
            ("Europe/Berlin", "2026-03-27T10:00"),
            ("Australia/Lord_Howe", "2026-04-02T10:00"),
            ("Asia/Kathmandu", "2026-11-02T10:00"),
            ("America/Sao_Paulo", "2018-11-02T10:00"),
            ("Asia/Makassar", "2026-11-02T10:00"),
        ],
    ),
)
def test_a_cell_is_of_the_hour_that_clocks_show(
    tmp_path: Path, where_and_when: tuple[str, str]
) -> None:
    """Whatever the zone does to its clocks."""
    name, day = where_and_when
    zone = ZoneInfo(name)
    whole = Span(ms(day), ms(day) + 5 * DAY_MS)
    now_ms = whole.end_ms + DAY_MS
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, 0)
        past_rows.fill(db, "1h", whole, zone, random.Random(1))
        found = heat_map.read(db, SUBJECTS[0], "clients_mean", whole, Calendar(zone), zone, now_ms)
        days = Span(found.days[0].start_ms, found.days[-1].end_ms)
        expected = plain(db, days, zone, now_ms)
    assert expected == pytest.approx(by_place(found, zone))
    assert {24} == {len(row) for row in (*found.values, *found.coverage)}


def test_an_hour_that_clocks_skip_is_named(tmp_path: Path) -> None:
    """Its cell is empty for another reason than a gap."""
    span = Span(ms("2026-03-28T00:00"), ms("2026-03-29T12:00"))
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        found = heat_map.read(
            db, SUBJECTS[0], "clients_mean", span, Calendar(BERLIN), BERLIN, span.end_ms
        )
    assert ((1, 2),) == found.skipped
    assert None is found.highest


def test_an_hour_that_clocks_show_twice_is_of_both(tmp_path: Path) -> None:
    """By their lengths."""
    twice_ms = ms("2026-10-25T00:00")
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, 0)
        for hour, clients in ((0, 10), (1, 20)):
            past_rows.put(
                db,
                SUBJECTS[0],
                "1h",
                twice_ms + hour * HOUR_MS,
                covered_ms=HOUR_MS,
                observed_ms=HOUR_MS,
                client_ms=clients * HOUR_MS,
            )
        found = heat_map.read(
            db,
            SUBJECTS[0],
            "clients_mean",
            Span(twice_ms, twice_ms + HOUR_MS),
            Calendar(BERLIN),
            BERLIN,
            twice_ms + 3 * DAY_MS,
        )
    assert 15.0 == found.values[0][2]
    assert 15.0 == found.highest
    assert [1.0, 0.0] == list(found.coverage[0][2:4])
