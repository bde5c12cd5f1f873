"""What a sample takes on disk, and how long a question takes."""

import tempfile
import time
from pathlib import Path

from bench.city import DAY_MS, T0, ZONE, City
from bench.results import Length, Result
from titik_collector.figures.windows import Calendar, Span
from titik_collector.queries import events, history
from titik_collector.store.sqlite import SqliteDatabase, open_writer

COMMAND = "python -m bench.run --only store"


def run(length: Length) -> list[Result]:
    """Every figure of the store."""
    quick = length == "quick"
    return [_size(quick), *_questions(quick)]


def _size(quick: bool) -> Result:
    routers, days = (1, 2) if quick else (3, 30)
    with tempfile.TemporaryDirectory() as folder:
        city = City(Path(folder), routers)
        city.live(T0 + days * DAY_MS, 5 * 60_000)
        samples = routers * days * 2880
        size = city.size()
        city.db.close()
    return Result(
        f"store, all in, after {days} days of one router a site",
        "bytes/sample",
        (size / samples,),
        "<= 250",
        COMMAND,
        f"{routers} routers at 30 s, {samples} samples; rollups of router, site and city included",
    )


def _questions(quick: bool) -> list[Result]:
    routers, hours = (20, 24 * 30) if quick else (1000, 24 * 365)
    with tempfile.TemporaryDirectory() as folder:
        db = open_writer(Path(folder) / "db")
        db.execute("PRAGMA synchronous = OFF")
        _fill(db, routers, hours)
        subject = history.find(db, f"bench-{routers // 2}", "kupang")
        end_ms = T0 + hours * 3_600_000
        spans = {
            ("1h", "a week"): Span(end_ms - 7 * DAY_MS, end_ms),
            ("1h", "a year"): Span(T0, end_ms),
            ("1d", "a year"): Span(T0, end_ms),
        }
        found = []
        for (window, text), span in spans.items():
            runs = []
            for _ in range(3 if quick else 11):
                began = time.perf_counter()
                history.read(db, subject, "1h" if window == "1h" else "1d", span, Calendar(ZONE))
                runs.append((time.perf_counter() - began) * 1000)
            found.append(
                Result(
                    f"history of a router, {text} of {window}, of {routers} routers' year",
                    "ms",
                    tuple(runs),
                    "<= 100",
                    COMMAND,
                )
            )
        runs = []
        for _ in range(3 if quick else 11):
            began = time.perf_counter()
            events.gather(db, end_ms - 30 * DAY_MS, end_ms)
            runs.append((time.perf_counter() - began) * 1000)
        found.append(Result("events of a month", "ms", tuple(runs), "<= 100", COMMAND))
        db.close()
    return found


def _fill(db: SqliteDatabase, routers: int, hours: int) -> None:
    """Hours and days of every router, and an outage a week of each."""
    days = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)"
    names = [row[1] for row in db.execute("PRAGMA table_info(rollup)")]
    values = {
        "scope": "'router'", "scope_id": ":router", "start_ms": "", "revision": "1", "routers": "1",
        "clients_mean": "12.5", "clients_min": "3", "clients_max": "31", "active_mean": "8.1",
    }  # fmt: skip
    for router in range(1, routers + 1):
        db.execute("INSERT INTO router VALUES (?, ?, 1, 0)", (router, f"bench-{router}"))
        with db.transaction():
            for window, length, count in (("1h", 3_600_000, hours), ("1d", DAY_MS, hours // 24)):
                start = T0 if window == "1h" else T0 + 16 * 3_600_000
                row = values | {
                    "length": f"'{window}'", "scope_id": str(router),
                    "start_ms": f"{start} + i * {length}",
                    "end_ms": f"{start} + (i + 1) * {length}",
                }  # fmt: skip
                cells = [
                    row.get(name, "NULL" if "peak" in name or "vis" in name else f"{length} - i")
                    for name in names
                ]
                db.execute(f"{days} INSERT INTO rollup SELECT {', '.join(cells)} FROM n", (count,))
            db.execute(
                f"{days} INSERT INTO outage (router_id, from_ms, to_ms, cause)"
                " SELECT ?, ? + i * 604800000, ? + i * 604800000 + 600000, 'power cut' FROM n",
                (hours // 168 or 1, router, T0 + router * 1000, T0 + router * 1000),
            )
