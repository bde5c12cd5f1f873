"""`python -m tests.faults.month`: simulated days through the store; its size and memory level off.

Rule: the samples, rollups and pruning are the collector's own; only the clock is not.
Rule: retention is short, so that every kind of row has come and gone long before the end.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

from bench.city import DAY_MS, T0, City
from tests.faults.size import predict
from tests.faults.world import commit
from titik_collector.store import retention
from titik_collector.store.retention import Days

KEPT = Days(messages=1, samples=5, minutes=10)
SETTLED_DAYS = 14  # by then the oldest minutes of the first days are gone
STEP_MS = 5 * 60_000
A_DAY = 2880  # samples of a router
BSS = 2  # of a simulated router
TOLERANCE_RATIO = 0.2  # of the prediction
MOST_A_DAY = 0.01  # growth of file and memory; hours and days are kept for ever


class ShortCity(City):
    """Forgets earlier."""

    def prune(self) -> bool:
        with self.db.transaction():
            return retention.prune(self.db, self.now_ms, KEPT)


def main() -> int:
    """The exit status: 1 if the store or the memory goes on growing."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.month")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--routers", type=int, default=1)
    parser.add_argument("--results", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    result = live(options.days, options.routers)
    (options.results / "month.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({name: value for name, value in result.items() if name != "by_day"}))
    return 1 if result["wrong"] else 0


def live(days: int, routers: int) -> dict[str, Any]:
    """Day by day."""
    sizes: list[int] = []
    memory: list[int] = []
    with tempfile.TemporaryDirectory(prefix="tm-") as folder:
        city = ShortCity(Path(folder), routers)
        for day in range(1, days + 1):
            city.live(T0 + day * DAY_MS, STEP_MS)
            sizes.append(city.size())
            memory.append(psutil.Process().memory_info().rss)
        (settled,) = city.db.execute("SELECT count(*) FROM sample").fetchone()
        tables: dict[str, int] = dict(
            city.db.execute(
                "SELECT name, sum(pgsize) FROM dbstat GROUP BY name HAVING sum(pgsize) > 65536"
            ).fetchall()
        )
        hours = city.db.execute("SELECT count(*) FROM rollup WHERE length <> '1m'").fetchone()[0]
        city.db.close()
    predicted = predict(KEPT, routers, routers, A_DAY, BSS, days)
    return {
        "days": days,
        "routers": routers,
        "samples": days * routers * A_DAY,
        "samples_kept": settled,
        "database_bytes": sizes[-1],
        "database_predicted_bytes": predicted,
        "growth_ratio_per_day": {"database": growth(sizes), "memory": growth(memory)},
        "tables_bytes": tables,
        "hours_and_days": hours,
        "by_day": {"database_bytes": sizes, "rss_bytes": memory},
        "wrong": wrong(sizes, memory, predicted),
        "commit": commit(),
    }


def growth(figures: list[int]) -> float:
    """A day, of the last figure, since everything has settled."""
    settled = figures[SETTLED_DAYS - 1 :]
    if len(settled) < 2:
        return 0.0
    return round((settled[-1] - settled[0]) / (len(settled) - 1) / settled[-1], 5)


def wrong(sizes: list[int], memory: list[int], predicted: int) -> list[str]:
    """In words."""
    found = [
        f"the {name} grows by {growth(figures):.2%} a day"
        for name, figures in (("database", sizes), ("memory", memory))
        if growth(figures) > MOST_A_DAY
    ]
    if abs(sizes[-1] - predicted) > TOLERANCE_RATIO * predicted:
        found.append(f"the database has {sizes[-1]} bytes, predicted are {predicted}")
    return found


if __name__ == "__main__":
    sys.exit(main())
