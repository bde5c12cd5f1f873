"""Reports, as the store has their months."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector import past_rows
from tests.collector.build import opened
from tests.collector.past_rows import BERLIN, SUBJECTS, ms
from tests.collector.test_day_strip import away
from titik_collector.alerts.alert import AlertSubject
from titik_collector.figures.figures import with_means
from titik_collector.figures.table import Figures
from titik_collector.figures.windows import Calendar, Span
from titik_collector.languages.language import language
from titik_collector.queries.history import Subject
from titik_collector.reports import city_reports, gathering
from titik_collector.reports.city_reports import AskedReport, UnknownSubject
from titik_collector.reports.gathering import CityName
from titik_collector.reports.period import BadPeriod
from titik_collector.reports.report import Report
from titik_collector.reports.report_words import ReportWords
from titik_collector.store import report_sums, rollups, site_fact_rows
from titik_collector.store.database import Database
from titik_collector.store.desk_maintenance import MaintenanceRow
from titik_collector.store.rollups import RollupRow, WindowKey
from titik_collector.store.site_fact_rows import ALWAYS_MS, DatedFact
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS

CITY = CityName("kupang", "Kota Kupang", BERLIN)
# February and March of Berlin.
BEGIN, MARCH, APRIL = ms("2026-01-31T23:00"), ms("2026-02-28T23:00"), ms("2026-03-31T22:00")
NOW = APRIL + 3 * DAY_MS
SITES = {1: (Subject("site", 1, "s1", "Site 1"), 2), 2: (Subject("site", 2, "s2", "Site 2"), 1)}
OF_CITY = SUBJECTS[-1]
WORDS = ReportWords(language("en"), BERLIN)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """Two months of two places: 4 and 2 devices in February, 8 and 2 in March, 90 in one hour."""
    with opened(tmp_path / "db", past_rows.ROUTERS) as found:
        past_rows.place(found, BEGIN)
        rows = []
        for day in Calendar(BERLIN).days(BEGIN, APRIL):
            length_ms = day.end_ms - day.start_ms
            for number, (site, routers) in SITES.items():
                mean = (4 if day.start_ms < MARCH else 8) if number == 1 else 2
                rows.append(_row(site, "1d", day, routers, mean, visits=10 * number))
            for router in SUBJECTS[:3]:
                rows.append(_row(router, "1d", day, 1, 1, reach=length_ms // HOUR_MS))
        first = Span(BEGIN, BEGIN + HOUR_MS)
        rows += [_row(router, "1h", first, 1, 1, reach=1) for router in SUBJECTS[:3]]
        busy = Span(MARCH + 5 * DAY_MS, MARCH + 5 * DAY_MS + HOUR_MS)
        rows += [_row(OF_CITY, "1h", busy, 3, 90), _row(SITES[2][0], "1h", busy, 1, 70)]
        with found.transaction():
            rollups.put(found, rows)
        site_fact_rows.add(
            found,
            [
                DatedFact(1, "provider", ALWAYS_MS, "Telkom"),
                DatedFact(2, "provider", ALWAYS_MS, "telkom"),
                DatedFact(2, "provider", MARCH + 10 * DAY_MS, "Biznet"),
                DatedFact(2, "circuit", ALWAYS_MS, "0123"),
                DatedFact(1, "district", ALWAYS_MS, "Oebobo"),
            ],
        )
        yield found


def _row(
    subject: Subject,
    window: str,
    span: Span,
    routers: int,
    clients: float,
    visits: int | None = None,
    reach: int = 0,
) -> tuple[WindowKey, RollupRow]:
    length_ms = (span.end_ms - span.start_ms) * routers
    figures = Figures(
        routers=routers, covered_ms=length_ms, observed_ms=length_ms,
        client_ms=int(clients * length_ms), wifi_known_ms=length_ms // 2,
        wifi_down_bytes=3_000_000, wifi_up_bytes=1_000_000, visitors_min=visits,
        visitors_max=None if visits is None else visits + 1, reach_rounds=reach,
        reach_answered=reach,
    )  # fmt: skip
    if subject.scope != "router":
        figures = figures._replace(clients_mean=float(clients))
    else:
        figures = with_means(figures)
    key = WindowKey(subject.scope, subject.id, window, span.start_ms)  # type: ignore[arg-type]
    return key, RollupRow(span.end_ms, 1, figures)


def read(
    db: Database, period: str = "2026-03", kind: str = "city", name: str = "", now_ms: int = NOW
) -> Report:
    """Without maintenance."""
    asked = AskedReport(period, kind, name)  # type: ignore[arg-type]
    return city_reports.compute(db, CITY, asked, now_ms, lambda _: ())


def test_a_month_of_the_city_is_the_sum_of_its_places(db: Database) -> None:
    """Devices, traffic and visits, with the busiest hour and day, and the month before."""
    found = read(db)
    use = found.headline.use
    assert (10.0, 1.0) == (use.clients, use.coverage)
    assert (31 * 2 * 3_000_000, 31 * 2 * 1_000_000, 0.5) == (
        use.down_bytes, use.up_bytes, use.traffic_coverage,
    )  # fmt: skip
    assert (31 * 30, 31 * 32) == (use.visits_min, use.visits_max)
    assert found.peak_hour is not None
    assert (MARCH + 5 * DAY_MS, 90.0) == (found.peak_hour.span.start_ms, found.peak_hour.clients)
    assert found.busiest_day is not None
    assert 10.0 == found.busiest_day.clients
    assert found.before is not None
    assert (6.0, 28 * 30) == (found.before.use.clients, found.before.use.visits_min)
    assert [31, 31] == [len(found.parts), sum(one.clients == 10.0 for one in found.parts)]
    assert (True, False) == (found.is_over, found.is_simulated)
    # March lacks an hour in Berlin.
    assert 2 * (31 * DAY_MS - HOUR_MS) == found.headline.availability.available_ms


def test_an_interruption_over_a_change_of_provider_is_one(db: Database) -> None:
    """Each provider has its own part in its report, and the city has both lines."""
    change = MARCH + 10 * DAY_MS
    away(db, 3, change - HOUR_MS, change + 2 * HOUR_MS)
    away(db, 3, change + 5 * DAY_MS, change + 5 * DAY_MS + HOUR_MS)
    city = read(db)
    assert (2, 3) == (city.headline.interruptions, len(city.interruptions))
    assert {"s1": 0, "s2": 2} == {
        one.subject.name: one.headline.interruptions for one in city.places
    }
    assert [1, 2] == [
        read(db, kind="provider", name=name).headline.interruptions for name in ("Telkom", "Biznet")
    ]


def test_traffic_that_passed_the_counters_by_is_marked(db: Database) -> None:
    """As the share of the time of the places, in the whole, the parts and the lines."""
    use = read(db).headline.use
    assert (0.0, "") == (use.flow_offload, WORDS.too_low(use))
    day = next(Calendar(BERLIN).days(MARCH, APRIL))
    key, row = _row(SITES[1][0], "1d", day, 2, 8)
    half = row.figures._replace(flow_offload_ms=row.figures.covered_ms // 2)
    with db.transaction():
        rollups.put(db, [(key, row._replace(figures=half))])
    found = read(db)
    assert [0.25, 0.0] == [one.flow_offload for one in found.parts[:2]]
    (first,) = [one.headline.use for one in found.places if one.subject.name == "s1"]
    assert first.flow_offload == pytest.approx(2 * (found.headline.use.flow_offload or 0))
    (line,) = [one for one in city_reports.summary(found, WORDS) if "traffic" in one]
    assert "\N{GREATER-THAN OR EQUAL TO}" in line
    assert line.endswith("(may be too low: flow offload is on)")


def test_a_provider_has_the_minutes_in_which_it_was_the_place_s(db: Database) -> None:
    """And the interruptions of these, with the number of the line."""
    cut = MARCH + 3 * DAY_MS
    away(db, 3, cut, cut + 90 * MINUTE_MS, "unknown")
    away(db, 3, MARCH + 20 * DAY_MS, MARCH + 20 * DAY_MS + 30 * MINUTE_MS)
    city = read(db)
    telkom, biznet = (
        read(db, kind="provider", name="TELKOM"),
        read(db, kind="provider", name="Biznet"),
    )
    assert [("Telkom", 2), ("Biznet", 1)] == [
        (one.subject.name, one.headline.places) for one in (telkom, biznet)
    ]
    assert [90, 30] == [one.headline.availability.lost_ms // MINUTE_MS for one in (telkom, biznet)]
    (only,) = telkom.interruptions
    assert ("s2", "telkom", "0123", "unknown", "unknown", Span(cut, cut + 90 * MINUTE_MS)) == (
        only.site, only.provider, only.circuit, only.cause, only.party, only.span,
    )  # fmt: skip
    assert [("Biznet", 30), ("Telkom", 90)] == [
        (one.subject.title, one.headline.availability.lost_ms // MINUTE_MS)
        for one in city.providers
    ]
    assert ["s2", "s1"] == [one.subject.name for one in city.places]
    assert [("Oebobo", 8.0)] == [
        (one.subject.title, one.headline.use.clients) for one in city.districts
    ]
    place = read(db, kind="site", name="s2")
    assert (2, 70.0) == (len(place.interruptions), place.peak_hour and place.peak_hour.clients)
    assert ((), (), ()) == (place.places, place.providers, place.districts)


def test_places_of_a_part_add_up_to_the_whole(db: Database) -> None:
    """The providers' lines together are the city's, minute for minute."""
    away(db, 3, MARCH + 9 * DAY_MS + 20 * HOUR_MS, MARCH + 10 * DAY_MS + 5 * HOUR_MS)
    city = read(db)
    for lines in (city.providers, city.places):
        assert city.headline.availability.span_ms == sum(
            one.headline.availability.span_ms for one in lines
        )
        assert city.headline.availability.lost_ms == sum(
            one.headline.availability.lost_ms for one in lines
        )


def test_planned_work_is_excluded_and_listed(db: Database) -> None:
    """Also what was entered afterwards, which is marked."""
    at = MARCH + DAY_MS
    away(db, 3, at, at + HOUR_MS)
    row = MaintenanceRow(
        1, AlertSubject("site", "s2"), at, at + 2 * HOUR_MS, None, "ani", at, "mast",
        is_retroactive=True,
    )  # fmt: skip
    work = city_reports.planned([row], BERLIN)
    found = city_reports.compute(db, CITY, AskedReport("2026-03"), NOW, work)
    assert 2 * HOUR_MS == found.headline.availability.excluded_ms
    assert 0 == found.headline.availability.lost_ms
    assert [("s2", "mast", True)] == [
        (one.name, one.reason, one.is_retroactive) for one in found.planned
    ]


def test_work_on_a_router_is_listed_where_it_was(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all that is planned, what is not of these places takes the room of none."""
    monkeypatch.setattr(gathering, "MAX_REPORTED", 1)
    at = MARCH + DAY_MS
    rows = [
        MaintenanceRow(
            number, AlertSubject("router", name), at, at + HOUR_MS, None, "ani", at, "mast",
        )
        for number, name in enumerate(("tirosa-3", "tirosa-1", "tirosa-2"), 1)
    ]  # fmt: skip
    work = city_reports.planned(rows, BERLIN)
    found = [
        city_reports.compute(db, CITY, AskedReport("2026-03", kind, name), NOW, work)  # type: ignore[arg-type]
        for kind, name in (("site", "s1"), ("site", "s2"), ("district", "Oebobo"), ("city", ""))
    ]
    assert [("tirosa-1", 1), ("tirosa-3", 0), ("tirosa-1", 1), ("tirosa-3", 2)] == [
        (report.planned[0].name, report.planned_left_out) for report in found
    ]


def test_a_month_that_goes_on_ends_with_the_last_hour(db: Database) -> None:
    """And one that has not begun is none."""
    now_ms = MARCH + 10 * DAY_MS + HOUR_MS + 5 * MINUTE_MS
    found = read(db, now_ms=now_ms)
    assert (MARCH + 10 * DAY_MS + HOUR_MS, False) == (found.span.end_ms, found.is_over)
    with pytest.raises(BadPeriod, match="2026-04 has not begun; the newest is 2026-03"):
        read(db, "2026-04", now_ms=now_ms)


def test_a_year_has_months(db: Database) -> None:
    """Those without data too."""
    found = read(db, "2026")
    assert [None, 6.0, 10.0] == [one.clients for one in found.parts[:3]]
    assert (4, False) == (len(found.parts), found.is_over)
    assert found.before is None


def test_a_name_that_nobody_knows_is_answered_with_those_like_it(db: Database) -> None:
    """Of that time."""
    with pytest.raises(UnknownSubject, match="did you mean Telkom"):
        read(db, kind="provider", name="Telkon")
    assert "Biznet" not in {one.subject.title for one in read(db, "2026-02").providers}


def test_months_with_data_are_listed(db: Database) -> None:
    """The newest first."""
    past_rows.put(db, OF_CITY, "1d", MARCH - 9 * DAY_MS, covered_ms=5)
    found = city_reports.known_periods(db, CITY, NOW)
    assert ["2026-04", "2026-03", "2026-02"] == [one.name for one in found]


def test_sums_are_of_the_windows_that_are_known(db: Database) -> None:
    """An hour of one place has no sum of the other; no place has no sum at all."""
    whole = Span(MARCH, APRIL)
    hours = report_sums.by_window(db, "site", [1, 2], "1h", whole)
    assert [(1, 70.0)] == [(one.places, one.clients) for one in hours]
    assert [] == report_sums.by_window(db, "site", [], "1d", whole)
    assert {} == report_sums.by_place(db, [], "1d", whole)
