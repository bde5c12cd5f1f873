"""What a router takes on disk, by kind and day, and how fast the old is removed."""

import tempfile
import time
from pathlib import Path

from bench.city import DAY_MS, T0, City
from bench.results import Length, Result
from titik_collector.store import retention
from titik_collector.store.retention import Days
from titik_collector.store.sqlite import SqliteDatabase, open_writer
from titik_wire.instant import HOUR_MS

COMMAND = "python -m bench.run --only size"
PER_SITE = 4
# Each with the tables that it is in, or a condition on the rollups.
SAMPLES, MESSAGES = "figures of samples", "samples as received"
MINUTES, LONGER = "minutes", "hours and days"
TABLES = {SAMPLES: "sample", MESSAGES: "body"}


def run(length: Length) -> list[Result]:
    """Every figure."""
    routers = {"quick": (20,), "usual": (1000,), "full": (1000, 10_000)}[length]
    return [*_kinds(length == "quick"), *(_removing(one) for one in routers)]


def _kinds(quick: bool) -> list[Result]:
    """Of a city that has been removing for a while what it adds."""
    days, keep = (2, Days(1, 1, 1)) if quick else (5, Days(1, 2, 2))
    with tempfile.TemporaryDirectory() as folder:
        city = City(Path(folder), PER_SITE, PER_SITE)
        city.keep = keep
        city.live(T0 + days * DAY_MS, 5 * 60_000)
        samples = city.db.execute("SELECT count(*) FROM sample")[0][0]
        messages = city.db.execute("SELECT count(*) FROM body")[0][0]
        rollups = city.db.execute("SELECT count(*) FROM rollup")[0][0]
        bytes_of: dict[str, int] = dict(
            city.db.execute(
                "SELECT tbl_name, sum(pgsize) FROM dbstat"
                " JOIN sqlite_schema USING (name) GROUP BY tbl_name"
            )
        )
        city.db.close()
    note = f"{PER_SITE} routers with two BSSs at one site, {days} days"
    row = bytes_of["rollup"] / rollups
    found = {
        SAMPLES: ("bytes/router and day", 2880 * bytes_of["sample"] / samples),
        MESSAGES: ("bytes/router and day", 2880 * bytes_of["body"] / messages),
        MINUTES: ("bytes/router, site or city and day", 1440 * row),
        LONGER: ("bytes/router, site or city and day", 25 * row),
    }
    return [
        Result(name, unit, (value,), None, COMMAND, note) for name, (unit, value) in found.items()
    ]


def _removing(routers: int) -> Result:
    """An hour of minutes of each, then another, each step a commit to the disk."""
    keep = Days(1, 1, 2)
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        db = open_writer(Path(folder) / "db")
        _fill(db, routers, 4)
        for hour in (1, 2, 3):
            before, began, steps = _minutes(db), time.monotonic(), 0
            more = True
            while more:
                with db.transaction():
                    now_ms = T0 + keep.minutes * DAY_MS + hour * HOUR_MS
                    more = retention.prune(db, now_ms, keep)
                steps += 1
            runs.append((before - _minutes(db)) / (time.monotonic() - began))
        db.close()
    subjects = routers + routers // PER_SITE + 1
    return Result(
        f"minutes removed, {routers:,} routers at {PER_SITE} a site",
        "rows/s",
        tuple(runs),
        f">= {subjects // 60 + 1}",
        COMMAND,
        f"{subjects / 60:.0f} come in a second; the collector removes 500 at most in one",
    )


def _minutes(db: SqliteDatabase) -> int:
    return int(db.execute("SELECT count(*) FROM rollup")[0][0])


def _fill(db: SqliteDatabase, routers: int, hours: int) -> None:
    """Minutes of everybody, and a file that is larger than what is kept of it in memory."""
    names = [row[1] for row in db.execute("PRAGMA table_info(rollup)")]
    known = {
        "scope": ":scope", "scope_id": ":id", "length": "'1m'", "revision": "1", "routers": "1",
        "start_ms": f"{T0} + i * 60000", "end_ms": f"{T0} + i * 60000 + 60000",
    }  # fmt: skip
    cells = [
        known.get(name, "NULL" if "visitors" in name else "1000000 + i * 17") for name in names
    ]
    insert = (
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :minutes - 1)"
        f" INSERT INTO rollup SELECT {', '.join(cells)} FROM n"
    )
    sites = range(1, routers // PER_SITE + 1)
    with db.transaction():
        for number in range(1, routers + 1):
            db.execute("INSERT INTO router VALUES (?, ?, 1, 0)", (number, f"bench-{number}"))
        for number in sites:
            db.execute(
                "INSERT INTO site (id, name, title, registered) VALUES (?, ?, 'S', 1)",
                (number, f"site-{number}"),
            )
        everybody = [("router", number) for number in range(1, routers + 1)]
        everybody += [*(("site", number) for number in sites), ("city", 0)]
        for scope, number in everybody:
            db.execute(insert, {"scope": scope, "id": number, "minutes": hours * 60})
