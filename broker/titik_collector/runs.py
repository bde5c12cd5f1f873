"""What the collector knows of each run: what is settled, and what its router still holds.

Rule: settled = stored + refused + lost. Stored and refused are disjoint; a refused seq that
arrives after all becomes stored. Lost is derived: below the floor (of a closed run: up to
the highest) and in neither. Every term only grows with what is learnt, so order of arrival
does not matter.
"""

import sqlite3
from collections import OrderedDict
from dataclasses import dataclass, field

from titik_collector.ranges import Ranges, Span
from titik_wire.messages import MAX_ALSO, AckedRun

# Runs kept in memory between batches: several for each of 10,000 routers.
MAX_CACHED = 40_000


@dataclass(slots=True)
class Run:
    """One life of a router's agent, as far as it is known."""

    id: int
    router_id: int
    token: str
    boot_id: int | None = None
    highest: int = 0
    floor: int = 0
    closed: bool = False
    stored: Ranges = field(default_factory=Ranges)
    refused: Ranges = field(default_factory=Ranges)
    opened_ms: int = 0  # when it was last written down as open; 0: not by this process

    def learn(self, highest: int, floor: int = 0) -> None:
        """The router has taken `highest` and holds nothing up to `floor` any more."""
        self.highest = max(self.highest, highest)
        self.floor = max(self.floor, floor)

    def store(self, first: int, last: int) -> None:
        """A sample of these seqs is in the store."""
        self.learn(last)
        self.stored.add(first, last)
        self.refused.remove(first, last)

    def refuse(self, first: int, last: int) -> None:
        """A message of these seqs is poison and will never be stored as it is."""
        self.learn(last)
        for low, high in self.stored.missing(first, last):
            self.refused.add(low, high)

    def settled(self) -> Ranges:
        """Stored, refused and lost together."""
        settled = self.stored.copy()
        for first, last in self.refused:
            settled.add(first, last)
        settled.add(1, self.highest if self.closed else min(self.floor, self.highest))
        return settled

    def acked(self) -> AckedRun:
        """What the router may forget."""
        settled = self.settled()
        upto = settled.upto()
        above: list[Span] = [span for span in settled if span[0] > upto]
        return AckedRun(self.token, upto, tuple(above[:MAX_ALSO]))


class Runs:
    """The runs of a store: loaded when first needed, written back with the batch."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._cache: OrderedDict[tuple[int, str], Run] = OrderedDict()
        self._touched: dict[int, Run] = {}
        self._saved: dict[int, tuple[list[Span], list[Span]]] = {}

    def look(self, router_id: int, token: str) -> Run | None:
        """The run if the store has heard of it, not to be changed."""
        run = self._cache.get((router_id, token)) or self._load(router_id, token)
        if run is not None:
            self._cache.move_to_end((router_id, token))
        return run

    def find(self, router_id: int, token: str) -> Run | None:
        """The run if the store has heard of it; it may be changed until `write`."""
        run = self.look(router_id, token)
        if run is not None:
            self._touched[run.id] = run
        return run

    def make(self, router_id: int, token: str) -> Run:
        """A run that the store has not heard of."""
        self._db.execute("INSERT INTO run (router_id, token) VALUES (?, ?)", (router_id, token))
        run = self.find(router_id, token)
        assert run is not None
        return run

    def write(self) -> None:
        """Write every run found or made since the last call."""
        for run in self._touched.values():
            self._write(run)
        self._touched.clear()

    def trim(self) -> None:
        """Bound the cache; called between batches."""
        while len(self._cache) > MAX_CACHED:
            _, run = self._cache.popitem(last=False)
            del self._saved[run.id]

    def forget(self) -> None:
        """Drop everything in memory, after a rollback."""
        self._cache.clear()
        self._touched.clear()
        self._saved.clear()

    def _load(self, router_id: int, token: str) -> Run | None:
        row = self._db.execute(
            "SELECT id, boot_id, highest, floor, closed FROM run WHERE router_id = ? AND token = ?",
            (router_id, token),
        ).fetchone()
        if row is None:
            return None
        run = Run(row[0], router_id, token, row[1], row[2], row[3], bool(row[4]))
        for kind, first, last in self._db.execute(
            "SELECT kind, first_seq, last_seq FROM settled WHERE run_id = ?", (run.id,)
        ):
            (run.stored if kind == "stored" else run.refused).add(first, last)
        self._cache[router_id, token] = run
        self._saved[run.id] = (list(run.stored), list(run.refused))
        return run

    def _write(self, run: Run) -> None:
        self._db.execute(
            "UPDATE run SET boot_id = ?, highest = ?, floor = ?, closed = ? WHERE id = ?",
            (run.boot_id, run.highest, run.floor, int(run.closed), run.id),
        )
        stored, refused = list(run.stored), list(run.refused)
        before = self._saved[run.id]
        self._write_ranges(run.id, "stored", before[0], stored)
        self._write_ranges(run.id, "refused", before[1], refused)
        self._saved[run.id] = (stored, refused)

    def _write_ranges(self, run_id: int, kind: str, before: list[Span], after: list[Span]) -> None:
        if before == after:
            return
        gone = {first for first, _ in before} - {first for first, _ in after}
        self._db.executemany(
            "DELETE FROM settled WHERE run_id = ? AND kind = ? AND first_seq = ?",
            [(run_id, kind, first) for first in gone],
        )
        self._db.executemany(
            "INSERT INTO settled (run_id, kind, first_seq, last_seq) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (run_id, kind, first_seq) DO UPDATE SET last_seq = excluded.last_seq",
            [(run_id, kind, first, last) for first, last in set(after) - set(before)],
        )
