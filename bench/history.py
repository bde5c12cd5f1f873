"""How long the page waits for the past: a year of a thousand routers, as columns, days and heat.

Rule: the pages of the store are in memory, so that an idle machine takes as long as its processor.
"""

import gzip
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.city import DAY_MS, T0, ZONE
from bench.results import Length, Result
from titik_collector.config import model
from titik_collector.figures.figures import with_means
from titik_collector.figures.scope import CITY_ID, Scope
from titik_collector.figures.table import ADDITIVE, Figures
from titik_collector.figures.windows import Calendar, Span
from titik_collector.queries import columnar, day_strip, heat_map
from titik_collector.queries.columnar import Columns
from titik_collector.queries.history import Subject
from titik_collector.store import rollups
from titik_collector.store.database import Database
from titik_collector.store.rollups import RollupRow, WindowKey
from titik_collector.store.sqlite import open_writer
from titik_collector.web.api import history_api
from titik_collector.web.api.shapes import encoded
from titik_collector.web.asked_past import AskedTime
from titik_collector.web.pages import history_page
from titik_wire.instant import HOUR_MS

COMMAND = "python -m bench.run --only history"
DRAWN = ("clients_mean", "wifi_down_bps", "wifi_up_bps")  # what a chart shows
CHARTED = ("clients_mean", "clients_min", "clients_max")  # and coverage, and the hours online
WEEK_MS = 7 * DAY_MS
CALENDAR = Calendar(ZONE)
MEASURE = history_page.MEASURES["clients"]
CONFIG = model.parse(
    f'[city]\nname = "bench"\ntitle = "Bench"\ntimezone = "{ZONE}"\n[store]\npath = "db"'.encode(),
    Path("/bench.toml"),
)


def run(length: Length) -> list[Result]:
    """Every question of the page to the past."""
    routers, days = (20, 40) if length == "quick" else (1000, 365)
    times = 3 if length == "quick" else 11
    with tempfile.TemporaryDirectory() as folder:
        db = open_writer(Path(folder) / "db")
        db.execute("PRAGMA synchronous = OFF")
        fill(db, routers, days)
        found = [
            Result(
                f"{what}, {routers:,} routers for {days} days",
                "ms of CPU",
                tuple(_timed(question) for _ in range(times)),
                "<= 100",
                COMMAND,
            )
            for what, question in _questions(db, routers, days)
        ]
        found.append(_weight(db, routers, days))
        db.close()
    return found


def _questions(db: Database, routers: int, days: int) -> list[tuple[str, Callable[[], object]]]:
    city = Subject("city", CITY_ID, "bench", "Bench")
    one, *others = [Subject("router", n, f"bench-{n}", "") for n in range(routers - 5, routers + 1)]
    now_ms = T0 + days * DAY_MS
    year, month = Span(T0, now_ms), Span(now_ms - 31 * DAY_MS, now_ms)
    hours = columnar.read(db, city, "1h", year, CALENDAR, now_ms, ())

    def charted() -> Columns:
        return _charted(db, city, year, now_ms)

    return [
        (
            "hours of a router as columns",
            lambda: columnar.read(db, one, "1h", year, CALENDAR, now_ms, DRAWN),
        ),
        (
            "hours of the city as columns",
            lambda: columnar.read(db, city, "1h", year, CALENDAR, now_ms, DRAWN),
        ),
        (
            "a month of hours of six routers",
            lambda: columnar.compare(db, [one, *others], "1h", month, CALENDAR, now_ms, DRAWN[:1]),
        ),
        (
            "the heat map of a router",
            lambda: heat_map.read(db, one, DRAWN[0], year, CALENDAR, ZONE, now_ms),
        ),
        ("90 days of a router at a glance", lambda: day_strip.read(db, one, CALENDAR, now_ms)),
        ("90 days of the city at a glance", lambda: day_strip.read(db, city, CALENDAR, now_ms)),
        (
            "how much of its hours the city was online",
            lambda: day_strip.online(db, hours, now_ms),
        ),
        ("hours of the city as a chart fetches them", charted),
        (
            "all that the history page of the city asks for",
            lambda: history_page.view(
                db, CONFIG, ["city"], AskedTime(year, None, now_ms), MEASURE, now_ms
            ),
        ),
    ]


def _charted(db: Database, subject: Subject, span: Span, now_ms: int) -> Columns:
    """As the API answers a chart of devices."""
    found = columnar.read(db, subject, "1h", span, CALENDAR, now_ms, CHARTED)
    shares = day_strip.each_online(db, found, now_ms)
    return replace(found, figures={**found.figures, history_api.ONLINE: shares})


def _weight(db: Database, router: int, days: int) -> Result:
    """What a chart of devices fetches. Figures of chance: those of the store here are all equal."""
    chance = random.Random(16)
    now_ms = T0 + days * DAY_MS
    year, subject = Span(T0, now_ms), Subject("router", router, f"bench-{router}", "")
    found = _charted(db, subject, year, now_ms)
    figures = {
        name: tuple([_by_chance(name, chance) for _ in found.edges]) for name in found.figures
    }
    body = encoded(history_api._past(replace(found, figures=figures), CONFIG, ()))
    name = f"hours of {days} days of a router as a chart fetches them, compressed"
    return Result(name, "kB", (len(gzip.compress(body, 6)) / 1024,), "<= 70", COMMAND)


def _by_chance(name: str, chance: random.Random) -> float:
    """As figures are rounded; a router is missing for a part of one hour in twenty."""
    if "ratio" in name:
        return 1.0 if chance.random() > 0.05 else round(chance.random(), 3)
    return round(chance.uniform(0, 60), 3) if "mean" in name else chance.randrange(60)


def _timed(question: Callable[[], object]) -> float:
    question()  # brings the pages into memory
    began = time.process_time()
    question()
    return (time.process_time() - began) * 1000


def fill(db: Database, routers: int, days: int) -> None:
    """Hours and days of every router and of the city, and an outage a week of each router."""
    with db.transaction():
        db.execute("INSERT INTO site (id, name, title, registered) VALUES (1, 'site', 'Site', 1)")
        _fill_subject(db, "city", CITY_ID, days)
    for router in range(1, routers + 1):
        with db.transaction():
            db.execute("INSERT INTO router VALUES (?, ?, 1, 0)", (router, f"bench-{router}"))
            # At a time of their own, all through the year; those that are asked for came first.
            joined_ms = T0 + (routers - router) * (days * DAY_MS // routers)
            db.execute("INSERT INTO membership VALUES (?, ?, 1)", (router, joined_ms))
            _fill_subject(db, "router", router, days)
            db.executemany(
                "INSERT INTO outage (router_id, from_ms, to_ms, cause) VALUES (?, ?, ?, ?)",
                [
                    (router, at_ms, at_ms + HOUR_MS // 3, "power cut")
                    for at_ms in range(T0 + router * 1000, T0 + days * DAY_MS, WEEK_MS)
                ],
            )


def _fill_subject(db: Database, scope: Scope, number: int, days: int) -> None:
    """Its first window as a row, and the others as copies of it, which the engine makes."""
    for window, spans in (
        ("1h", list(CALENDAR.hours(T0, T0 + DAY_MS))),
        ("1d", list(CALENDAR.days(T0, T0 + 1))),
    ):
        rows = [
            (WindowKey(scope, number, "1h" if window == "1h" else "1d", start_ms), _row(span))
            for span in spans
            for start_ms in [span.start_ms]
        ]
        rollups.put(db, rows)
        names = ["end_ms", "revision", *Figures._fields]
        cells = [f"start_ms + i * {DAY_MS}", f"end_ms + i * {DAY_MS}", *names[1:]]
        db.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            f" INSERT INTO rollup (scope, scope_id, length, start_ms, {', '.join(names)})"
            f" SELECT scope, scope_id, length, {', '.join(cells)} FROM rollup, n"
            " WHERE scope = ? AND scope_id = ? AND length = ?",
            (days - 1, scope, number, window),
        )


def _row(span: Span) -> RollupRow:
    length_ms = span.end_ms - span.start_ms
    sums = dict.fromkeys(ADDITIVE, length_ms // 2)
    return RollupRow(span.end_ms, 1, with_means(Figures(**sums)))
