"""How long a city hears nobody while its store moves to PostgreSQL, and what the notes cost it.

Rule: the broker, the collector, the fleet and the server are processes, as a city has them; all
share this machine. The past of the store is made of rows, and no message of it is kept.
"""

import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from bench.fleet import made, simulate, stored, wait
from bench.live import IDLE_S, TEN, Life
from bench.results import Length, Result
from tests.postgres import Postgres
from tests.system.city import City, OnServer, Process, wall_ms
from titik_collector.config.store_table import Store
from titik_collector.figures.table import ADDITIVE, Figures
from titik_collector.store import noting, rollups
from titik_collector.store.database import Database
from titik_collector.store.rollups import RollupRow, WindowKey
from titik_collector.store.sqlite import open_writer
from titik_wire.instant import HOUR_MS, MINUTE_MS

COMMAND = "python -m bench.run --only moving"
START_S = 300.0
STEP_MS = 30_000
_NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"


class Size(NamedTuple):
    """A city, and how much of it is there."""

    routers: int
    hours: int


def run(length: Length) -> list[Result]:
    """Every figure of one move."""
    size = Size(50, 1) if length == "quick" else Size(1000, 1)
    return [*_moved(size), _slowed(10 if length == "quick" else 200, length == "quick")]


def _moved(size: Size) -> list[Result]:
    sites = [f"site-{number:04}" for number in range(-(-size.routers // 4))]
    with (
        Postgres(durable=True) as server,
        tempfile.TemporaryDirectory() as folder,
        made(Path(folder), size.routers, sites) as city,
    ):
        city.collect()
        assert city.collector is not None
        fleet = _simulated(city)
        wait(lambda: stored(city) >= size.routers, START_S)
        fleet.kill()
        city.collector.stop()
        with closing(open_writer(city.store)) as db:
            rows = _fill(db, size)
        city.collect()
        fleet = _simulated(city)
        before = stored(city)
        wait(lambda: stored(city) >= before + size.routers, START_S)
        there = Store(path=None, url=server.url, schema="titik")
        moved = city.file.with_name("new.toml")
        lines = f'url = "{server.url}"\nschema = "titik"'
        moved.write_text(city.file.read_text().replace(f'path = "{city.store}"', lines))
        began = time.monotonic()
        _copied(city, moved)
        living_s = time.monotonic() - began
        stopped = time.monotonic()
        city.collector.stop()
        copying = time.monotonic()
        _copied(city, moved)
        rest_s = time.monotonic() - copying
        moved.replace(city.file)
        city.server = OnServer(there, lines)
        before = stored(city)
        collector = _titik(city, "collect", "--config", str(city.file))
        wait(lambda: stored(city) > before, START_S)
        deaf_s = time.monotonic() - stopped
        fleet.kill()
        collector.kill()
    name = f"{size.routers:,} routers, {rows:,} rows"
    return [
        Result(f"no acks while a city moves, {name}", "s", (deaf_s,), "<= 60", COMMAND,
               "from the signal that stops the collector to the first sample on PostgreSQL"),
        Result(f"`titik store copy` with the collector stopped, {name}", "s", (rest_s,), None,
               COMMAND, "of the time without acks"),
        Result(f"`titik store copy` while the collector goes on, {name}", "s", (living_s,), None,
               COMMAND, "the pass, and the comparison of all rows"),
    ]  # fmt: skip


def _simulated(city: City) -> Process:
    return simulate(city, city.folder / "simulate.log", STEP_MS // 1000, 5.0)


def _copied(city: City, moved: Path) -> None:
    copier = _titik(city, "store", "copy", str(city.file), str(moved))
    assert copier.popen.wait(3600.0) == 0, copier.output()


def _titik(city: City, *words: str) -> Process:
    code = "from titik_collector.cli import main; main()"
    return Process(city.folder / f"{words[0]}.log", "-c", code, *words)


def _fill(db: Database, size: Size) -> int:
    """A past of each router before this; how many rows it has."""
    db.execute("PRAGMA synchronous = OFF")
    count, begin_ms = size.hours * HOUR_MS // STEP_MS, wall_ms() // HOUR_MS * HOUR_MS
    begin_ms -= (size.hours + 1) * HOUR_MS
    kept = ", ".join(
        one for (one,) in db.execute("SELECT name FROM pragma_table_info('sample')")
        if one not in ("run_id", "seq", "first_seq", "router_id", "boot_id", "uptime_ms",
                       "arrived_ms", "at_ms")
    )  # fmt: skip
    for (router,) in db.execute("SELECT id FROM router"):
        with db.transaction():
            db.execute("INSERT INTO boot (router_id, token) VALUES (?, 'past')", (router,))
            ((boot,),) = db.execute("SELECT max(id) FROM boot")
            db.execute(
                "INSERT INTO run (router_id, token, boot_id, highest, floor, gone)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (router, f"{router + (1 << 60):016x}", boot, count, count, count),
            )
            ((number,),) = db.execute("SELECT max(id) FROM run")
            db.execute("INSERT INTO settled VALUES (?, 'stored', 1, ?)", (number, count))
            db.execute(
                "INSERT INTO boot_time VALUES (?, ?, 'ntp', NULL, NULL, 7, ?, ?)",
                (boot, router, begin_ms, begin_ms + count * STEP_MS),
            )
            db.execute(
                f"{_NUMBERS} INSERT INTO sample (run_id, seq, first_seq, router_id, boot_id,"
                f" uptime_ms, arrived_ms, at_ms, {kept}) SELECT {number}, i, i, {router}, {boot},"
                f" i * {STEP_MS}, {begin_ms} + i * {STEP_MS}, {begin_ms} + i * {STEP_MS}, {kept}"
                " FROM n, (SELECT * FROM sample ORDER BY run_id LIMIT 1)",
                (count,),
            )
            _fill_minutes(db, router, begin_ms, count // 2)
    return sum(int(db.execute(f"SELECT count(*) FROM {one.name}")[0][0]) for one in db.tables())


def _fill_minutes(db: Database, router: int, begin_ms: int, count: int) -> None:
    figures = Figures(**dict.fromkeys(ADDITIVE, MINUTE_MS // 2))
    row = RollupRow(begin_ms + MINUTE_MS, 1, figures)
    rollups.put(db, [(WindowKey("router", router, "1m", begin_ms), row)])
    names = ", ".join(Figures._fields)
    db.execute(
        f"{_NUMBERS} INSERT INTO rollup (scope, scope_id, length, start_ms, end_ms, revision,"
        f" {names}) SELECT scope, scope_id, length, start_ms + i * {MINUTE_MS},"
        f" end_ms + i * {MINUTE_MS}, revision, {names} FROM n, rollup"
        " WHERE scope = 'router' AND scope_id = ? AND length = '1m' AND start_ms = ?",
        (count - 1, router, begin_ms),
    )


def _slowed(routers: int, quick: bool) -> Result:
    """What the collector takes with its changes noted, to what it takes without."""
    with tempfile.TemporaryDirectory() as folder:
        life = Life(Path(folder), routers, 4)
        life.until_half_past(2 if quick else 10)
        ratios = []
        for _ in range(1 if quick else 3):
            plain = _cpu_s(life)
            noting.begin(life.city.db, life.city.db.tables())
            ratios.append(_cpu_s(life) / plain)
            noting.end(life.city.db)
        life.city.db.close()
    name = f"a minute of {routers:,} routers with its changes noted, to one without"
    return Result(name, "ratio", tuple(ratios), "<= 1.2", COMMAND, "the collector's CPU")


def _cpu_s(life: Life) -> float:
    """The mean of ten minutes."""
    tens = [life.minute(IDLE_S).took for _ in range(TEN)]
    return statistics.mean(one.saving_s + one.rollups_s for one in tens)
