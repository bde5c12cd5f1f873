"""How long a city is away whose store comes back from a backup: a year, with what a year keeps.

Rule: figures are of chance, which nothing can compress. So a backup of a real city is smaller.
Rule: each command is a process, as an operator types it.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench.city import DAY_MS, T0, City
from bench.results import Length, Result
from titik_collector.config.store_table import MINUTES_DAYS, SAMPLES_DAYS
from titik_collector.store.sqlite import SqliteDatabase, open_writer
from titik_wire.instant import HOUR_MS

COMMAND = "python -m bench.run --only restore"
PER_SITE = 4
SAMPLES_PER_HOUR = 120
TOML = '[city]\nname = "bench"\ntitle = "Bench"\ntimezone = "Asia/Makassar"\n[store]\npath = "db"\n'
# So many windows of a year are kept, each so long.
WINDOWS = {
    "1m": (MINUTES_DAYS * 1440, 60_000),
    "1h": (365 * 24, HOUR_MS),
    "1d": (365, DAY_MS),
}


class _Ran(NamedTuple):
    """What a command took."""

    seconds: float
    cpu_s: float


def run(length: Length) -> list[Result]:
    """Backup, restore and verify, once each."""
    routers, quick = {"quick": (4, True), "usual": (100, False), "full": (400, False)}[length]
    with tempfile.TemporaryDirectory() as made:
        folder, backup = Path(made) / "city", Path(made) / "backup.tar.gz"
        folder.mkdir()
        (folder / "titik.toml").write_text(TOML)
        store_mb = fill(folder, routers, part=100 if quick else 1)
        back = Path(made) / "back" / "titik.toml"
        ran = {
            "to back it up": _titik("backup", str(backup), "--config", str(folder / "titik.toml")),
            "to restore it": _titik("restore", str(backup), "--config", str(back)),
            "to verify the backup": _titik("backup", "verify", str(backup)),
        }
        backup_mb = backup.stat().st_size / 1e6
    of = f"a year of {routers} routers"
    found = [
        Result(f"{of}: the store", "MB", (store_mb,), None, COMMAND),
        Result(f"{of}: its backup", "MB", (backup_mb,), None, COMMAND, "figures of chance"),
    ]
    for what, took in ran.items():
        note = f"{took.seconds:.0f} s by the clock, beside what else ran"
        found.append(Result(f"{of}: {what}", "s of CPU", (took.cpu_s,), None, COMMAND, note))
    return found


def fill(folder: Path, routers: int, part: int = 1) -> float:
    """A store as it is after a year, or the last `part`th of what it keeps; its megabytes."""
    city = City(folder, routers, PER_SITE)
    city.live(T0 + HOUR_MS, HOUR_MS)  # as a collector stores it; all else are copies by chance
    city.db.close()
    db = open_writer(folder / "db")
    db.execute("PRAGMA synchronous = OFF")
    hours = (SAMPLES_DAYS + 1) * 24 // part
    for router in range(1, routers + 1):
        with db.transaction():
            _add_samples(db, router, hours)
    sites = range(1, (routers - 1) // PER_SITE + 2)
    subjects = [("city", 0), *(("site", one) for one in sites)]
    for scope, number in [*subjects, *(("router", one) for one in range(1, routers + 1))]:
        with db.transaction():
            _add_rollups(db, scope, number, part)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return (folder / "db").stat().st_size / 1e6


def _add_samples(db: SqliteDatabase, router: int, hours: int) -> None:
    """The first hour again and again, later, in the same run."""
    names = [str(row[1]) for row in db.execute("PRAGMA table_info(sample)").fetchall()]
    later = dict.fromkeys(("uptime_ms", "arrived_ms", "at_ms"), HOUR_MS)
    later |= dict.fromkeys(("seq", "first_seq"), SAMPLES_PER_HOUR)
    chance = dict.fromkeys(("client_ms", "observed_ms", "airtime_busy_ms"), "abs(random() >> 32)")
    chance |= {"counters": "randomblob(length(counters))"}
    cells = [
        f"{name} + i * {later[name]}" if name in later else chance.get(name, name) for name in names
    ]
    db.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        f" INSERT INTO sample ({', '.join(names)}) SELECT {', '.join(cells)} FROM sample, n"
        " WHERE router_id = ? AND seq <= ?",
        (hours - 1, router, SAMPLES_PER_HOUR),
    )
    highest = hours * SAMPLES_PER_HOUR
    db.execute(
        "UPDATE run SET highest = ?, floor = ? WHERE router_id = ?", (highest, highest, router)
    )
    db.execute(
        "UPDATE settled SET last_seq = ? WHERE run_id IN (SELECT id FROM run WHERE router_id = ?)",
        (highest, router),
    )


def _add_rollups(db: SqliteDatabase, scope: str, number: int, part: int) -> None:
    """Beside those that there are."""
    names = [str(row[1]) for row in db.execute("PRAGMA table_info(rollup)").fetchall()]
    for window, (count, length_ms) in WINDOWS.items():
        known = {
            "scope": ":scope", "scope_id": ":number", "length": ":window", "revision": "1",
            "start_ms": f"{T0} + i * {length_ms}", "end_ms": f"{T0} + (i + 1) * {length_ms}",
            "routers": "1",
        }  # fmt: skip
        cells = [
            known.get(name, "NULL" if "visitors" in name else "abs(random() >> 40)")
            for name in names
        ]
        db.execute(
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :last)"
            f" INSERT INTO rollup ({', '.join(names)}) SELECT {', '.join(cells)} FROM n WHERE 1"
            " ON CONFLICT DO NOTHING",
            {"scope": scope, "number": number, "window": window, "last": count // part},
        )


def _titik(*words: str) -> _Ran:
    code = "from titik_collector.__main__ import main; main()"
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    wrote = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise RuntimeError(wrote.decode())
    return _Ran(time.monotonic() - began, used.ru_utime + used.ru_stime)
