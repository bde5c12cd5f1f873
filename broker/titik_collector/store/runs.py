"""What the collector knows of each run: what is settled, and what its router still holds.

Rule: settled = stored + refused + lost. Stored and refused are disjoint; a refused seq that
arrives after all becomes stored. Lost is derived: below the floor, or gone, and in neither.
Rule: the floor is the word of whoever holds the run. `gone` is the word of another run's sample,
that its router holds nothing of this one. Where two devices use one name that is not true of the
other: so it counts as lost, and no ack covers it. A new sample of the run itself takes it back.
Rule: a run has at most MAX_RANGES. With more of them the oldest end in `base`: holes below it are
lost for good, and only the numbers of what is stored and refused there are kept.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from titik_collector.limits import MAX_KNOWN_RUNS, MAX_RANGES
from titik_collector.store.database import Database
from titik_collector.store.ranges import Ranges, Span
from titik_wire.limits import MAX_ALSO
from titik_wire.messages import AckedRun

KEPT_RANGES = MAX_RANGES // 2  # of the newest, when they were too many


@dataclass(slots=True)
class Run:
    """One life of a router's agent, as far as it is known."""

    id: int
    router_id: int
    token: str
    boot_id: int | None = None
    highest: int = 0
    floor: int = 0
    gone: int = 0
    base: int = 0
    base_stored: int = 0
    base_refused: int = 0
    stored: Ranges = field(default_factory=Ranges)
    refused: Ranges = field(default_factory=Ranges)
    opened_ms: int = 0  # when it was last written down as open; 0: not by this process

    def learn(self, highest: int, floor: int = 0) -> None:
        """The router has taken `highest` and holds nothing up to `floor` any more."""
        self.highest = max(self.highest, highest)
        self.floor = max(self.floor, floor)

    def hold(self, lowest: int, seq: int) -> None:
        """A sample of the run itself: when it was taken, its router held `lowest` to `seq`.

        Of a new one that is believed against what other runs' samples reported before.
        """
        if seq > self.highest:
            self.gone = min(self.gone, lowest - 1)
        self.learn(seq, min(lowest, seq) - 1)

    def inherit(self, lowest: int, highest: int) -> None:
        """Another run's sample: its router holds `lowest` to `highest` of this run."""
        self.gone = min(self.gone, lowest - 1)
        self.learn(highest, lowest - 1)

    def disclaim(self) -> None:
        """Another run's sample: its router holds nothing of this run, as far as it is known now."""
        self.gone = self.highest

    def has(self, first: int, last: int) -> bool:
        """All of these are stored, or settled for good."""
        return last <= self.base or self.stored.covers(max(first, self.base + 1), last)

    def store(self, first: int, last: int) -> None:
        """A sample of these seqs is in the store."""
        self.learn(last)
        first = max(first, self.base + 1)
        self.stored.add(first, last)
        self.refused.remove(first, last)
        self._bound()

    def refuse(self, first: int, last: int) -> None:
        """A message of these seqs is malformed and will never be stored as it is."""
        self.learn(last)
        for low, high in self.stored.missing(max(first, self.base + 1), last):
            self.refused.add(low, high)
        self._bound()

    def unstore(self, seq: int) -> None:
        """What was stored as this seq turned out to be malformed."""
        if seq > self.base:
            self.stored.remove(seq, seq)
            self.refused.add(seq, seq)

    def _bound(self) -> None:
        if self.stored.spans + self.refused.spans <= MAX_RANGES:
            return
        ends = sorted(last for kind in (self.stored, self.refused) for _, last in kind)
        self.base = ends[-KEPT_RANGES - 1]
        self.base_stored += self.stored.cut(self.base)
        self.base_refused += self.refused.cut(self.base)

    @property
    def lost(self) -> int:
        """How many are neither stored nor refused, and held by nobody."""
        bound = max(self.base, self.gone, min(self.floor, self.highest))
        kept = sum(
            max(0, min(last, bound) - first + 1)
            for kind in (self.stored, self.refused)
            for first, last in kind
        )
        return bound - self.base_stored - self.base_refused - kept

    def settled(self) -> Ranges:
        """Stored, refused, and lost by the word of whoever holds the run."""
        settled = self.stored.copy()
        for first, last in self.refused:
            settled.add(first, last)
        settled.add(1, max(self.base, min(self.floor, self.highest)))
        return settled

    def acked(self) -> AckedRun:
        """What the router may forget."""
        settled = self.settled()
        upto = settled.upto()
        above: list[Span] = [span for span in settled if span[0] > upto]
        return AckedRun(self.token, upto, tuple(above[:MAX_ALSO]))


_KINDS = ("stored", "refused")


class Runs:
    """The runs of a store: loaded when first needed, written back with the batch."""

    def __init__(self, db: Database) -> None:
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
        runs = list(self._touched.values())
        self._db.executemany(
            "UPDATE run SET boot_id = ?, highest = ?, floor = ?, gone = ?, base = ?,"
            " base_stored = ?, base_refused = ? WHERE id = ?",
            [
                (
                    run.boot_id,
                    run.highest,
                    run.floor,
                    run.gone,
                    run.base,
                    run.base_stored,
                    run.base_refused,
                    run.id,
                )
                for run in runs
            ],
        )
        gone: list[tuple[int, str, int]] = []
        new: list[tuple[int, str, int, int]] = []
        for run in runs:
            now = list(run.stored), list(run.refused)
            for kind, before, after in zip(_KINDS, self._saved[run.id], now, strict=True):
                if before != after:
                    firsts = {first for first, _ in after}
                    gone += [(run.id, kind, one) for one, _ in before if one not in firsts]
                    new += [(run.id, kind, *span) for span in set(after) - set(before)]
            self._saved[run.id] = now
        self._db.executemany(
            "DELETE FROM settled WHERE run_id = ? AND kind = ? AND first_seq = ?", gone
        )
        self._db.executemany(
            "INSERT INTO settled (run_id, kind, first_seq, last_seq) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (run_id, kind, first_seq) DO UPDATE SET last_seq = excluded.last_seq",
            new,
        )
        self._touched.clear()

    def trim(self) -> None:
        """Bound the cache; called between batches."""
        while len(self._cache) > MAX_KNOWN_RUNS:
            _, run = self._cache.popitem(last=False)
            del self._saved[run.id]

    def forget(self) -> None:
        """Drop everything in memory, after a rollback."""
        self._cache.clear()
        self._touched.clear()
        self._saved.clear()

    def _load(self, router_id: int, token: str) -> Run | None:
        row = self._db.execute(
            "SELECT id, boot_id, highest, floor, gone, base, base_stored, base_refused FROM run"
            " WHERE router_id = ? AND token = ?",
            (router_id, token),
        ).fetchone()
        if row is None:
            return None
        run = Run(row[0], router_id, token, *row[1:])
        for kind, first, last in self._db.execute(
            "SELECT kind, first_seq, last_seq FROM settled WHERE run_id = ? ORDER BY first_seq",
            (run.id,),
        ):
            (run.stored if kind == "stored" else run.refused).add(first, last)
        self._cache[router_id, token] = run
        self._saved[run.id] = (list(run.stored), list(run.refused))
        return run
