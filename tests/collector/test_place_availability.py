"""The availability of places, as the store has them."""

from pathlib import Path

import pytest

from tests.collector import past_rows
from tests.collector.build import opened
from tests.collector.past_rows import BERLIN, SUBJECTS, ms
from tests.collector.test_day_strip import away, deaf
from titik_collector.alerts.alert import AlertSubject
from titik_collector.alerts.desk_facts import Maintenance
from titik_collector.figures.windows import Calendar, Span
from titik_collector.queries import availability, place_availability
from titik_collector.queries.availability import Availability, LostTime
from titik_collector.queries.place_availability import PlaceService
from titik_collector.store import revocations, site_fact_rows
from titik_collector.store.database import Database
from titik_collector.store.site_fact_rows import ALWAYS_MS, DatedFact
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS

# Three days of Berlin, the first one begins with a midnight.
START = ms("2026-03-02T23:00")
WHOLE = Span(START, START + 3 * DAY_MS)
LAST = SUBJECTS[2]  # alone at the second site


def heard(db: Database, routers: int = 3, rounds: int = 24) -> None:
    """Every minute of these is known, day by day and hour by hour."""
    for subject in SUBJECTS[:routers]:
        for day in Calendar(BERLIN).days(*WHOLE):
            known = {"covered_ms": DAY_MS, "observed_ms": DAY_MS}
            past_rows.put(
                db, subject, "1d", *day, **known, reach_rounds=rounds, reach_answered=rounds
            )
            for hour in range(24):
                put_hour(db, subject.id, day.start_ms + hour * HOUR_MS, HOUR_MS, rounds // 24)


def put_hour(
    db: Database, router: int, start_ms: int, covered_ms: int, rounds: int, answered: int = -1
) -> None:
    """One hour."""
    answered = rounds if answered < 0 else answered
    past_rows.put(
        db, SUBJECTS[router - 1], "1h", start_ms, covered_ms=covered_ms, observed_ms=covered_ms,
        reach_rounds=rounds, reach_answered=answered,
    )  # fmt: skip


def read(db: Database, *maintenance: Maintenance) -> list[PlaceService]:
    """All places in the three days."""
    return place_availability.read(db, WHOLE, BERLIN, maintenance)


def lost(*found: tuple[str, int]) -> tuple[LostTime, ...]:
    """In minutes."""
    return tuple(LostTime(cause, minutes * MINUTE_MS) for cause, minutes in found)


def planned(scope: str, name: str, from_ms: int, to_ms: int) -> Maintenance:
    """Maintenance."""
    subject = AlertSubject(scope, name)  # type: ignore[arg-type]
    return Maintenance(1, subject, from_ms, to_ms, "ani", "a new mast")


def test_a_place_is_out_while_all_of_its_routers_are(tmp_path: Path) -> None:
    """And what shows the cause stands beside it."""
    cut = START + 5 * HOUR_MS
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, START)
        heard(db)
        away(db, 1, cut, cut + 60 * MINUTE_MS)
        away(db, 2, cut + 20 * MINUTE_MS, cut + 50 * MINUTE_MS)
        db.execute("UPDATE outage SET evidence = 'half of the city went' WHERE router_id = 2")
        away(db, 3, cut, cut + 30 * MINUTE_MS, "uplink lost")
        deaf(db, cut + 45 * MINUTE_MS, cut + 55 * MINUTE_MS)
        first, second = read(db)
    whole = 3 * 24 * 60
    # The samples of the second and of the third came later: their internet answered.
    assert Availability((whole - 25) * MINUTE_MS, lost(("power cut", 25))) == first.availability
    assert Availability(whole * MINUTE_MS) == second.availability
    (only,) = first.interruptions
    assert (cut + 20 * MINUTE_MS, cut + 45 * MINUTE_MS) == only.interruption.span
    assert ("half of the city went", 2) == (only.evidence, only.routers)


def test_hours_are_read_where_no_outage_explains_a_day(tmp_path: Path) -> None:
    """So it is known when the internet was gone, and whether the place was open then."""
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, START)
        heard(db)
        past_rows.put(
            db, LAST, "1d", START, START + DAY_MS, covered_ms=DAY_MS - 2 * HOUR_MS,
            observed_ms=DAY_MS - 2 * HOUR_MS, reach_rounds=24, reach_answered=23,
        )  # fmt: skip
        put_hour(db, 3, START + 9 * HOUR_MS, HOUR_MS, 2, 1)
        put_hour(db, 3, START + 22 * HOUR_MS, 0, 0)
        put_hour(db, 3, START + 12 * HOUR_MS, 0, 0)
        _, always = read(db)
        site_fact_rows.add(db, [DatedFact(2, "hours", ALWAYS_MS, "08:00-18:00")])
        _, by_day = read(db)
    assert (
        Availability((3 * 24 * 60 - 150) * MINUTE_MS, lost(("no internet", 30)), 120 * MINUTE_MS)
        == always.availability
    )
    assert (
        Availability((3 * 10 * 60 - 90) * MINUTE_MS, lost(("no internet", 30)), 60 * MINUTE_MS)
        == by_day.availability
    )
    (only,) = by_day.interruptions
    assert Span(START + 9 * HOUR_MS, START + 10 * HOUR_MS) == only.interruption.span
    assert 30 * MINUTE_MS == only.interruption.lost_ms


def test_maintenance_is_excluded_and_what_it_hides_is_known(tmp_path: Path) -> None:
    """Of a router, a site or the city; a place is excluded where all of its routers are."""
    at = START + 6 * HOUR_MS
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, START)
        heard(db)
        for router in (1, 2, 3):
            away(db, router, at, at + 60 * MINUTE_MS)
        of_one = planned("router", "tirosa-1", at, at + 60 * MINUTE_MS)
        found = [
            read(db, *some)[0]
            for some in (
                [of_one],
                [of_one, planned("router", "tirosa-2", at, at + 40 * MINUTE_MS)],
                [planned("site", "s1", at, at + 40 * MINUTE_MS)],
                [planned("site", "s2", at, at + 40 * MINUTE_MS)],
                [planned("city", "kupang", at - HOUR_MS, at + 40 * MINUTE_MS)],
            )
        ]
    whole = 3 * 24 * 60
    assert [(60, 0), (20, 40), (20, 40), (60, 0), (20, 100)] == [
        (one.availability.lost_ms // MINUTE_MS, one.availability.excluded_ms // MINUTE_MS)
        for one in found
    ]
    assert {whole * MINUTE_MS} == {one.availability.span_ms for one in found}
    expected = Availability((whole - 60) * MINUTE_MS, lost(("power cut", 60)))
    assert [expected] * 5 == [one.regardless for one in found]


def test_what_failed_in_maintenance_is_not_counted_beside_it(tmp_path: Path) -> None:
    """Its rounds failed in two hours that it cuts; the rest of both was good."""
    at = START + 10 * HOUR_MS + 30 * MINUTE_MS
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, START)
        heard(db, rounds=96)
        past_rows.put(
            db, LAST, "1d", START, START + DAY_MS, covered_ms=DAY_MS, observed_ms=DAY_MS,
            reach_rounds=96, reach_answered=92,
        )  # fmt: skip
        for hour in (10, 11):
            put_hour(db, 3, START + hour * HOUR_MS, HOUR_MS, 4, 2)
        away(db, 3, at, at + HOUR_MS, "uplink lost")
        _, second = read(db, planned("site", "s2", at, at + HOUR_MS))
    assert Availability(71 * HOUR_MS, (), 0, HOUR_MS) == second.availability
    assert () == second.interruptions
    assert Availability(71 * HOUR_MS, lost(("uplink lost", 60))) == second.regardless


@pytest.mark.parametrize(
    ("failed", "minutes", "lost_s"),
    [
        (range(20, 40), 60, 0),  # all of it while somebody worked
        (range(20), 60, 19 * 60 + 30),
        (range(40), 60, 19 * 60 + 30),
        (range(20, 40), 59, 800),  # minutes are not kept for ever: evenly
    ],
)
def test_rounds_that_failed_lie_on_their_side_of_maintenance(
    tmp_path: Path, failed: range, minutes: int, lost_s: int
) -> None:
    """The router was connected all the time, so no outage shows when it was."""
    hour = START + 10 * HOUR_MS
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, START)
        heard(db, rounds=24 * 60)
        past_rows.put(
            db, LAST, "1d", START, START + DAY_MS, covered_ms=DAY_MS, observed_ms=DAY_MS,
            reach_rounds=24 * 60, reach_answered=24 * 60 - len(failed),
        )  # fmt: skip
        put_hour(db, 3, hour, HOUR_MS, 60, 60 - len(failed))
        for minute in range(minutes):
            past_rows.put(
                db, LAST, "1m", hour + minute * MINUTE_MS, covered_ms=MINUTE_MS,
                observed_ms=MINUTE_MS, reach_rounds=1, reach_answered=int(minute not in failed),
            )  # fmt: skip
        from_ms, to_ms = hour + 19 * MINUTE_MS + 30_000, hour + 40 * MINUTE_MS
        _, second = read(db, planned("site", "s2", from_ms, to_ms))
    assert lost_s * 1000 == pytest.approx(second.availability.lost_ms, abs=45_000)
    assert to_ms - from_ms == second.availability.excluded_ms
    assert 0 == second.availability.unknown_ms
    assert len(failed) * MINUTE_MS == pytest.approx(second.regardless.lost_ms, abs=45_000)


def test_a_site_that_changed_its_provider_has_a_part_with_each(tmp_path: Path) -> None:
    """The first value of a fact counts for the time before it, too."""
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, START)
        heard(db)
        site_fact_rows.add(
            db,
            [
                DatedFact(2, "provider", ALWAYS_MS, "Telkom"),
                DatedFact(2, "provider", START + DAY_MS, "Biznet"),
                DatedFact(2, "provider", WHOLE.end_ms, "Moratel"),
            ],
        )
        found = [one for one in read(db) if one.site.name == "s2"]
    assert [("Telkom", 1), ("Biznet", 2)] == [
        (one.facts.provider, one.availability.available_ms // DAY_MS) for one in found
    ]


def test_an_interruption_is_cut_where_the_provider_changed_and_nowhere_else(
    tmp_path: Path,
) -> None:
    """Each provider has its own part of it; a new contact does not matter."""
    cut = START + DAY_MS
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, START)
        heard(db)
        away(db, 3, cut - HOUR_MS, cut + 2 * HOUR_MS)
        site_fact_rows.add(
            db,
            [
                DatedFact(2, "provider", ALWAYS_MS, "Telkom"),
                DatedFact(2, "provider", cut, "Biznet"),
                DatedFact(2, "contact", ALWAYS_MS, "Ani"),
                DatedFact(2, "contact", cut + HOUR_MS, "Budi"),
            ],
        )
        found = [one for one in read(db) if one.site.name == "s2"]
    assert [
        ("Telkom", Span(START, cut), [(Span(cut - HOUR_MS, cut), HOUR_MS)]),
        ("Biznet", Span(cut, WHOLE.end_ms), [(Span(cut, cut + 2 * HOUR_MS), 2 * HOUR_MS)]),
    ] == [
        (
            place.facts.provider,
            place.span,
            [(one.interruption.span, one.interruption.lost_ms) for one in place.interruptions],
        )
        for place in found
    ]


def test_time_before_the_first_report_and_without_access_is_no_time_of_a_place(
    tmp_path: Path,
) -> None:
    """A site without any router that ever reported has none at all."""
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, START + DAY_MS)
        heard(db, routers=2)
        revocations.begin(db, 1, START + DAY_MS + HOUR_MS)
        revocations.begin(db, 2, START + 2 * DAY_MS)
        revocations.end(db, 2, START + 2 * DAY_MS + HOUR_MS)
        found = read(db)
    assert [("s1", 47 * HOUR_MS)] == [(one.site.name, one.availability.span_ms) for one in found]


@pytest.mark.parametrize("cause", ["", "agent crash"])
def test_a_night_without_samples_is_not_known(tmp_path: Path, cause: str) -> None:
    """It is neither on the air nor away."""
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, START)
        heard(db)
        past_rows.put(db, LAST, "1d", START + DAY_MS, START + 2 * DAY_MS)
        if cause:
            away(db, 3, START + DAY_MS, START + 2 * DAY_MS, cause)
        _, second = read(db)
    assert Availability(2 * DAY_MS, (), DAY_MS) == second.availability
    assert second.availability.least == pytest.approx(2 / 3)
    assert second.availability.most == pytest.approx(1)
    assert availability.NOTHING == availability.together([])
