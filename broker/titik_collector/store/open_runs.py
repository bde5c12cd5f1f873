"""Runs that a router may still speak of: its ack lists the ones touched last.

Rule: a run that goes on is written down as touched every TOUCH_EVERY_MS, once a batch.
Rule: a router has at most MAX_OPEN_RUNS; the ones touched longest ago are no longer open.
"""

from collections.abc import Set

from titik_collector.limits import MAX_OPEN_RUNS
from titik_collector.store.database import Database
from titik_collector.store.places import NamedRouter
from titik_collector.store.runs import Run
from titik_wire.limits import MAX_RUNS

TOUCH_EVERY_MS = 5000


class OpenRuns:
    """The open runs of a store; what is opened in memory is written with the batch."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._touched: dict[int, tuple[int, int]] = {}  # router and when, by run

    def touch(self, run: Run, now_ms: int) -> None:
        """The run is open, as of now."""
        if now_ms - run.opened_ms < TOUCH_EVERY_MS:
            return
        run.opened_ms = now_ms
        _, touched_ms = self._touched.get(run.id, (0, 0))
        self._touched[run.id] = (run.router_id, max(touched_ms, now_ms))

    def close(self, run: Run) -> None:
        """The router holds nothing of the run any more."""
        run.opened_ms = 0
        self._touched.pop(run.id, None)
        self._db.execute("DELETE FROM open_run WHERE run_id = ?", (run.id,))

    def write(self) -> None:
        """Write what was touched; only runs that were not open can make them too many."""
        if not self._touched:
            return
        head, values = self._db.keyed(("one",), [(run_id,) for run_id in self._touched])
        known = self._db.execute(
            f"{head} SELECT run_id FROM key CROSS JOIN open_run WHERE run_id = one", values
        )
        self._db.executemany(
            "INSERT INTO open_run (run_id, touched_ms) VALUES (?, ?) ON CONFLICT (run_id) DO"
            " UPDATE SET touched_ms = excluded.touched_ms"
            " WHERE excluded.touched_ms > open_run.touched_ms",
            [(run_id, touched_ms) for run_id, (_, touched_ms) in self._touched.items()],
        )
        new = self._touched.keys() - {run_id for (run_id,) in known}
        if new:
            self._trim({self._touched[run_id][0] for run_id in new})
        self._touched.clear()

    def forget(self) -> None:
        """The transaction failed."""
        self._touched.clear()

    def tokens(self, router_id: int) -> list[str]:
        """The router's open runs that an ack lists, the one touched last first."""
        rows = self._db.execute(
            "SELECT run.token FROM open_run JOIN run ON run.id = open_run.run_id"
            " WHERE run.router_id = ? ORDER BY open_run.touched_ms DESC, run.id DESC LIMIT ?",
            (router_id, MAX_RUNS),
        ).fetchall()
        return [token for (token,) in rows]

    def routers(self) -> list[NamedRouter]:
        """Every registered router that has an open run."""
        rows = self._db.execute(
            "SELECT DISTINCT router.id, router.name FROM open_run"
            " JOIN run ON run.id = open_run.run_id JOIN router ON router.id = run.router_id"
            " WHERE router.registered = 1 ORDER BY router.id"
        )
        return [NamedRouter(*row) for row in rows]

    def _trim(self, routers: Set[int]) -> None:
        head, values = self._db.keyed(("one",), [(router_id,) for router_id in routers])
        over = self._db.execute(
            f"{head} SELECT run_id FROM (SELECT run_id, row_number() OVER ("
            "  PARTITION BY router_id ORDER BY touched_ms DESC, run_id DESC) AS place"
            " FROM key CROSS JOIN run CROSS JOIN open_run WHERE router_id = one AND run_id = id)"
            " AS open WHERE place > ?",
            (*values, MAX_OPEN_RUNS),
        )
        self._db.executemany("DELETE FROM open_run WHERE run_id = ?", over)
