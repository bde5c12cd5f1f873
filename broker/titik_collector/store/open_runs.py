"""Runs that a router may still speak of: its ack lists the ones touched last.

Rule: a run that goes on is written down as touched every TOUCH_EVERY_MS, once a batch.
Rule: a router has at most MAX_OPEN_RUNS; the ones touched longest ago are no longer open.
"""

from collections.abc import Iterable, Sequence, Set

from titik_collector.limits import MAX_OPEN_RUNS
from titik_collector.store.database import Database
from titik_collector.store.runs import Run, RunName
from titik_collector.store.subject_names import NamedRouter
from titik_wire.limits import MAX_RUNS

TOUCH_EVERY_MS = 5000
# Of the routers that are asked for; place 1 is the run that was touched last.
_OPEN = (
    "SELECT run_id, router_id, token, row_number() OVER ("
    "PARTITION BY router_id ORDER BY touched_ms DESC, run_id DESC) AS place"
    " FROM key CROSS JOIN run CROSS JOIN open_run WHERE router_id = one AND run_id = id"
)


class OpenRuns:
    """The open runs of a store; what is opened in memory is written with the batch."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._touched: dict[RunName, tuple[Run, int]] = {}  # and when
        self._closed: dict[RunName, Run] = {}

    def touch(self, run: Run, now_ms: int) -> None:
        """The run is open, as of now."""
        if now_ms - run.opened_ms < TOUCH_EVERY_MS:
            return
        run.opened_ms = now_ms
        name = (run.router_id, run.name)
        _, touched_ms = self._touched.get(name, (run, 0))
        self._touched[name] = run, max(touched_ms, now_ms)
        self._closed.pop(name, None)

    def close(self, run: Run) -> None:
        """The router no longer holds anything of the run."""
        run.opened_ms = 0
        name = (run.router_id, run.name)
        self._touched.pop(name, None)
        self._closed[name] = run

    def write(self) -> None:
        """Write what was touched; only runs that were not open can make them too many."""
        self._db.executemany(
            "DELETE FROM open_run WHERE run_id = ?", [(run.id,) for run in self._closed.values()]
        )
        self._closed.clear()
        if not self._touched:
            return
        touched = {run.id: (run.router_id, at_ms) for run, at_ms in self._touched.values()}
        known = self._open([run.id for run, _ in self._touched.values() if not run.is_new])
        self._db.executemany(
            "INSERT INTO open_run (run_id, touched_ms) VALUES (?, ?) ON CONFLICT (run_id) DO"
            " UPDATE SET touched_ms = excluded.touched_ms"
            " WHERE excluded.touched_ms > open_run.touched_ms",
            [(run_id, touched_ms) for run_id, (_, touched_ms) in touched.items()],
        )
        new = touched.keys() - known
        if new:
            self._trim({touched[run_id][0] for run_id in new})
        self._touched.clear()

    def forget(self) -> None:
        """The transaction failed."""
        self._touched.clear()
        self._closed.clear()

    def names(self, routers: Iterable[int]) -> dict[int, list[str]]:
        """The open runs of each router that an ack lists, the one touched last first."""
        found: dict[int, list[str]] = {router_id: [] for router_id in routers}
        head, values = self._db.keyed(("one",), [(router_id,) for router_id in found])
        rows = self._db.execute(
            f"{head} SELECT router_id, token FROM ({_OPEN}) AS open WHERE place <= ?"
            " ORDER BY router_id, place",
            (*values, MAX_RUNS),
        )
        for router_id, name in rows:
            found[router_id].append(name)
        return found

    def routers(self) -> list[NamedRouter]:
        """Every registered router that has an open run."""
        rows = self._db.execute(
            "SELECT DISTINCT router.id, router.name FROM open_run"
            " JOIN run ON run.id = open_run.run_id JOIN router ON router.id = run.router_id"
            " WHERE router.registered = 1 ORDER BY router.id"
        )
        return [NamedRouter(*row) for row in rows]

    def _open(self, runs: Sequence[int]) -> set[int]:
        """Those of some runs that are open."""
        if not runs:
            return set()
        head, values = self._db.keyed(("one",), [(run_id,) for run_id in runs])
        rows = self._db.execute(
            f"{head} SELECT run_id FROM key CROSS JOIN open_run WHERE run_id = one", values
        )
        return {run_id for (run_id,) in rows}

    def _trim(self, routers: Set[int]) -> None:
        head, values = self._db.keyed(("one",), [(router_id,) for router_id in routers])
        over = self._db.execute(
            f"{head} SELECT run_id FROM ({_OPEN}) AS open WHERE place > ?",
            (*values, MAX_OPEN_RUNS),
        )
        self._db.executemany("DELETE FROM open_run WHERE run_id = ?", over)
