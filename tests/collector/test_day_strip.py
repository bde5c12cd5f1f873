"""Ninety days at a glance: what the strip says is what each minute says."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cases import few
from tests.collector import past_rows
from tests.collector.build import opened
from tests.collector.past_rows import BERLIN, SUBJECTS, ms
from titik_collector.figures import stretches
from titik_collector.figures.windows import Calendar, Span
from titik_collector.queries import columnar, day_strip
from titik_collector.queries.day_strip import DayCause, StripDay
from titik_collector.queries.history import Subject
from titik_collector.store.database import Database
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS

CALENDAR = Calendar(BERLIN)
CITY = SUBJECTS[-1]
NOW_MS = ms("2026-10-27T09:00")
BEGAN_MS = ms("2026-10-22T22:00")  # a midnight
TEN = 10 * MINUTE_MS


def away(db: Database, router: int, from_ms: int, to_ms: int | None, cause: str = "") -> None:
    """An outage."""
    db.execute(
        "INSERT INTO outage (router_id, from_ms, to_ms, cause) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (router, from_ms, to_ms, cause or "power cut"),
    )


def deaf(db: Database, from_ms: int, to_ms: int) -> None:
    """The server could not hear."""
    db.execute(
        "INSERT INTO server_outage VALUES (?, ?, 'broker', 'it was away') ON CONFLICT DO NOTHING",
        (from_ms, to_ms),
    )


def heard(db: Database, *routers: int) -> None:
    """Samples of every day of these, and of their sites and the city."""
    of = [SUBJECTS[n - 1] for n in routers] + list(SUBJECTS[3:])
    for subject in of:
        for day in CALENDAR.days(BEGAN_MS, NOW_MS):
            past_rows.put(db, subject, "1d", *day, covered_ms=(day.end_ms - day.start_ms) // 2)
        past_rows.put(db, subject, "1h", BEGAN_MS, covered_ms=5)


def slow(db: Database, subject: Subject, day: Span) -> tuple[int, int]:
    """How many tens of minutes of its routers are known, and in how many they are away."""
    routers = db.execute("SELECT router_id, from_ms, site_id FROM membership ORDER BY from_ms")
    outages = db.execute("SELECT router_id, from_ms, to_ms FROM outage WHERE cause != 'server'")
    deaf_spans = db.execute("SELECT from_ms, to_ms FROM server_outage")
    known = gone = 0
    for at_ms in range(day.start_ms, day.end_ms, TEN):
        if at_ms < BEGAN_MS or any(one <= at_ms < two for one, two in deaf_spans):
            continue
        site_of = {router: site for router, from_ms, site in routers if from_ms <= at_ms}
        for router, site in site_of.items():
            its = {"router": router, "site": site, "city": site and 0}[subject.scope]
            if site is None or its != subject.id:
                continue
            known += 1
            gone += any(
                router == one and from_ms <= at_ms and (to_ms is None or at_ms < to_ms)
                for one, from_ms, to_ms in outages
            )
    return known, gone


@pytest.mark.parametrize("seed", few(1, range(10)))
def test_the_share_online_is_what_a_count_gives(tmp_path: Path, seed: int) -> None:
    """With moves, outages over midnight, one that goes on, and a server that could not hear."""
    rand = random.Random(seed)
    span_ms = NOW_MS - BEGAN_MS

    def moment() -> int:
        return BEGAN_MS + rand.randrange(span_ms) // TEN * TEN

    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, BEGAN_MS - DAY_MS)
        heard(db, 1, 2, 3)
        db.execute("INSERT INTO membership VALUES (3, ?, ?)", (moment(), rand.choice((1, None))))
        for router in (1, 2, 3):
            ends = sorted({moment() for _ in range(rand.choice((2, 8)))})
            for from_ms, to_ms in zip(ends[::2], ends[1::2], strict=False):
                away(db, router, from_ms, to_ms)
        away(db, 1, NOW_MS - TEN, None)
        for _ in range(3):
            from_ms = moment()
            deaf(db, from_ms, from_ms + rand.choice((1, 30)) * TEN)
        for subject in SUBJECTS:
            days = day_strip.read(db, subject, CALENDAR, NOW_MS, 6)
            whole = Span(days[0].span.start_ms, NOW_MS)
            found = columnar.read(db, subject, "1d", whole, CALENDAR, NOW_MS, ())
            counts = [slow(db, subject, day.span) for day in days if day.coverage or day.causes]
            known, gone = (sum(one) for one in zip(*counts, strict=True)) if counts else (0, 0)
            online = day_strip.online(db, found, NOW_MS)
            expected = 1 - gone / known if known else None
            assert expected == (online and pytest.approx(online.share))
            each = day_strip.each_online(db, found, NOW_MS)
            assert each == tuple(day.online and pytest.approx(day.online, abs=1e-4) for day in days)
            for day in days:
                known, gone = slow(db, subject, day.span)
                if day.coverage or day.causes:
                    expected = 1 - gone / known if known else None
                    assert expected == (day.online and pytest.approx(day.online))
                else:
                    assert day.online is None


def test_routers_that_came_one_by_one_cost_no_more_than_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is computed grows with windows and routers, and not with one times the other."""
    parts: list[Span] = []
    within = stretches.within

    def counted(span: Span, others: Sequence[Span]) -> int:
        parts.append(span)
        return within(span, others)

    monkeypatch.setattr(stretches, "within", counted)
    whole = Span(NOW_MS - 5 * DAY_MS, NOW_MS)
    with opened(tmp_path / "db", ()) as db:
        past_rows.put(db, CITY, "1h", whole.start_ms, covered_ms=5)
        db.execute("INSERT INTO site (id, name, title, registered) VALUES (1, 's1', 'One', 1)")
        for router in range(1, 31):
            joined_ms = whole.start_ms + router * HOUR_MS + router
            db.execute("INSERT INTO router VALUES (?, ?, 1, 0)", (router, f"r-{router}"))
            db.execute("INSERT INTO membership VALUES (?, ?, 1)", (router, joined_ms))
            away(db, router, joined_ms, None)
        found = columnar.read(db, CITY, "1h", whole, CALENDAR, NOW_MS, ())
        assert day_strip.KnownShare(0, 30) == day_strip.online(db, found, NOW_MS)
    assert len(parts) <= 2 * (len(found.edges) + 30)


def only(days: list[StripDay]) -> StripDay:
    """The day before the last one."""
    return days[-2]


def test_a_day_names_its_causes_and_its_longest_outages(tmp_path: Path) -> None:
    """What took longest comes first; a restart of the agent is a cause as every other."""
    noon_ms = ms("2026-10-26T11:00")
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, BEGAN_MS)
        heard(db, 1, 2)
        for n in range(7):
            from_ms = noon_ms + n * 2 * TEN
            away(db, 1, from_ms, from_ms + (n + 1) * MINUTE_MS, "agent restart")
        away(db, 2, noon_ms, noon_ms + HOUR_MS)
        away(db, 3, noon_ms, noon_ms + 9 * HOUR_MS)  # at the other site
        away(db, 1, noon_ms - TEN, noon_ms, "server")
        day = only(day_strip.read(db, SUBJECTS[3], CALENDAR, NOW_MS, 3))
    restarts = DayCause("agent restart", 7, 28 * MINUTE_MS)
    assert (DayCause("power cut", 1, HOUR_MS), restarts) == day.causes
    assert ["tirosa-2", *["tirosa-1"] * 4] == [one.router for one in day.longest]
    assert noon_ms + 12 * TEN == day.longest[1].from_ms
    assert pytest.approx(1 - 88 / (2 * 24 * 60)) == day.online


def test_a_day_known_by_an_outage_alone_was_not_all_away(tmp_path: Path) -> None:
    """Three hours of it are an eighth of the day, and the rest is not known."""
    noon_ms = ms("2026-10-26T11:00")
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, BEGAN_MS)
        away(db, 1, noon_ms, noon_ms + 3 * HOUR_MS)
        day = only(day_strip.read(db, SUBJECTS[0], CALENDAR, NOW_MS, 3))
    assert day.is_known_by_outages
    assert 0.125 == day.away


def test_a_day_without_any_figure_is_a_gap(tmp_path: Path) -> None:
    """Neither online nor away; so is the time before a router was heard first."""
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, BEGAN_MS - 3 * DAY_MS)
        heard(db, 1)
        db.execute(
            "DELETE FROM rollup WHERE length = '1d' AND start_ms > ?", (NOW_MS - 2 * DAY_MS,)
        )
        days = day_strip.read(db, SUBJECTS[0], CALENDAR, NOW_MS, 8)
        never = day_strip.read(db, SUBJECTS[1], CALENDAR, NOW_MS, 8)
    assert [None] * 3 + [1.0] * 3 + [None] * 2 == [one.online for one in days]
    assert [True] * 3 + [False] * 3 + [True] * 2 == [one.is_gap for one in days]
    assert {True} == {one.is_gap for one in never}


def test_a_day_without_the_server_is_not_known(tmp_path: Path) -> None:
    """Though samples came later: what routers spooled covers it."""
    day = CALENDAR.day(NOW_MS - DAY_MS)
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, BEGAN_MS)
        heard(db, 1)
        deaf(db, day.start_ms - HOUR_MS, day.end_ms + HOUR_MS)
        found = only(day_strip.read(db, SUBJECTS[0], CALENDAR, NOW_MS, 3))
    assert (None, 0.5, DAY_MS) == (found.online, found.coverage, found.server_ms)


def test_days_are_those_of_the_city(tmp_path: Path) -> None:
    """One has 25 hours where the clock is put back; the last one ends now."""
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        days = day_strip.read(db, SUBJECTS[0], CALENDAR, NOW_MS, 90)
    assert 90 == len(days)
    assert ms("2026-10-26T23:00") == days[-1].span.start_ms
    assert NOW_MS == days[-1].span.end_ms
    assert {24, 25} == {(one.span.end_ms - one.span.start_ms) // HOUR_MS for one in days[:-1]}


def test_the_coverage_of_today_is_of_what_is_over(tmp_path: Path) -> None:
    """A row of the day is of the whole of it, and is computed every ten minutes."""
    today = CALENDAR.day(NOW_MS)
    with opened(tmp_path / "db", past_rows.ROUTERS) as db:
        past_rows.place(db, BEGAN_MS)
        heard(db, 1)
        covered_ms = NOW_MS - TEN - today.start_ms
        past_rows.put(db, SUBJECTS[0], "1d", *today, covered_ms=covered_ms // 2)
        days = day_strip.read(db, SUBJECTS[0], CALENDAR, NOW_MS + 30_000, 2)
    assert pytest.approx(0.5, abs=0.001) == days[-1].coverage
