"""What the collector knows of each run: what is settled, and what its router still holds.

Rule: settled = stored + refused + lost. Stored and refused are disjoint; a refused seq that
arrives after all becomes stored. Lost is derived: below the floor, or gone, and in neither.
Rule: the floor is the word of whoever holds the run. `gone` is the word of another run's sample,
that its router holds nothing of this one. Where two devices use one name that is not true of the
other: so it counts as lost, and no ack covers it. A new sample of the run itself takes it back.
Rule: what its router says it can send again is not lost. A store from a backup may lack it. Then
floor and `gone` stop before it, so that it counts as in the spool.
Rule: a run has at most MAX_RANGES. With more of them the oldest end in `base`: holes below it are
lost for good, and only the numbers of what is stored and refused there are kept.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from titik_collector.limits import MAX_KNOWN_RUNS, MAX_RANGES
from titik_collector.store.database import Database
from titik_collector.store.ids import NamedBoot
from titik_collector.store.ranges import Ranges, Span
from titik_wire.limits import MAX_ALSO
from titik_wire.messages import AckedRun

RunName = tuple[int, str]  # router, and the run's name
_KINDS = ("stored", "refused")  # in the order of `Run.spans`
_LEARNT = ("boot_id", "highest", "floor", "gone", "base", "base_stored", "base_refused")
KEPT_RANGES = MAX_RANGES // 2  # of the newest, when they were too many


@dataclass(slots=True, eq=False)
class Run:
    """One life of a router's agent, as far as it is known."""

    id: int
    router_id: int
    name: str
    boot_id: int | None = None
    highest: int = 0
    floor: int = 0
    gone: int = 0
    base: int = 0
    base_stored: int = 0
    base_refused: int = 0
    stored: Ranges = field(default_factory=Ranges)
    refused: Ranges = field(default_factory=Ranges)
    is_new: bool = False  # `write` wrote it for the first time
    opened_ms: int = 0  # when it was last written down as open; 0: not by this process
    written: tuple[list[Span], list[Span]] = field(default_factory=lambda: ([], []))  # as stored
    followed: NamedBoot | None = None  # the last boot that is written down as later
    # What its router can send again, where some of that is not settled here. Not in the store.
    kept: Span | None = None

    def learn(self, highest: int, floor: int = 0) -> None:
        """The router has taken `highest` and no longer holds anything up to `floor`."""
        self.highest = max(self.highest, highest)
        self.floor = max(self.floor, floor)
        self._spare()

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
        self.kept = None

    def keep(self, kept: Span | None) -> None:
        """The newest word of its router: what it can send again; None: nothing.

        Before what the same sample says that is held.
        """
        self.kept = kept
        if kept is not None:
            self.learn(kept[1])

    def _spare(self) -> None:
        """What is kept and not settled is not lost."""
        lacks = self.lacks()
        if lacks:
            self.floor = min(self.floor, lacks[0][0] - 1)
            self.gone = min(self.gone, lacks[0][0] - 1)
        else:
            self.kept = None

    def lacks(self) -> list[Span]:
        """What its router can send again and is not settled here, ascending."""
        if self.kept is None:
            return []
        first, last = max(self.kept[0], self.base + 1), self.kept[1]
        if first > last or self.stored.covers(first, last):
            return []
        return [
            span
            for hole in self.stored.missing(first, last)
            for span in self.refused.missing(*hole)
        ]

    def has(self, first: int, last: int) -> bool:
        """All of these are stored, or settled for good."""
        return last <= self.base or self.stored.covers(max(first, self.base + 1), last)

    def store(self, first: int, last: int) -> None:
        """A sample of these seqs is in the store."""
        self.learn(last)
        first = max(first, self.base + 1)
        self.stored.add(first, last)
        if self.refused.spans:
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
        """How many are neither stored nor refused, and no router holds."""
        bound = max(self.base, self.gone, min(self.floor, self.highest))
        kept = sum(
            max(0, min(last, bound) - first + 1)
            for kind in (self.stored, self.refused)
            for first, last in kind
        )
        return bound - self.base_stored - self.base_refused - kept

    def learnt(self) -> tuple[int | None, ...]:
        """The columns `_LEARNT` of its row."""
        return (
            self.boot_id,
            self.highest,
            self.floor,
            self.gone,
            self.base,
            self.base_stored,
            self.base_refused,
        )

    def spans(self) -> tuple[list[Span], list[Span]]:
        """Stored and refused ones."""
        return list(self.stored), list(self.refused)

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
        return AckedRun(self.name, upto, tuple(above[:MAX_ALSO]), tuple(self.lacks()[:MAX_ALSO]))


class Runs:
    """The runs of a store: read when first needed, written back with the batch."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._cache: OrderedDict[RunName, Run | None] = OrderedDict()
        self._touched: dict[RunName, Run] = {}

    def read(self, names: Iterable[RunName]) -> None:
        """Those that are not in memory, as far as the store has heard of them."""
        new = {one for one in names if one not in self._cache}
        if not new:
            return
        head, values = self._db.keyed(("router", "name"), [*new])
        rows = self._db.execute(
            f"{head} SELECT id, router_id, token, {', '.join(_LEARNT)} FROM key CROSS JOIN run"
            " WHERE router_id = router AND token = name",
            values,
        )
        found = {row[0]: Run(*row) for row in rows}
        if found:
            self._read_settled(found)
        # Only now: what could not be read is not unknown to the store.
        self._cache.update(dict.fromkeys(new))
        self._cache.update({(run.router_id, run.name): run for run in found.values()})

    def _read_settled(self, found: Mapping[int, Run]) -> None:
        """What is settled of runs, by their ids."""
        head, values = self._db.keyed(("one",), [(run_id,) for run_id in found])
        for run_id, kind, first, last in self._db.execute(
            f"{head} SELECT run_id, kind, first_seq, last_seq FROM key CROSS JOIN settled"
            " WHERE run_id = one ORDER BY run_id, first_seq",
            values,
        ):
            run = found[run_id]
            (run.stored if kind == "stored" else run.refused).add(first, last)
        for run in found.values():
            run.written = run.spans()

    def look(self, router_id: int, run_name: str) -> Run | None:
        """The run if the store has heard of it, not to be changed."""
        name = (router_id, run_name)
        if name not in self._cache:
            self.read([name])
        self._cache.move_to_end(name)
        return self._cache[name]

    def find(self, router_id: int, run_name: str) -> Run | None:
        """The run if the store has heard of it; it may be changed until `write`."""
        run = self.look(router_id, run_name)
        if run is not None:
            self._touched[router_id, run_name] = run
        return run

    def make(self, router_id: int, run_name: str) -> Run:
        """A run that the store has not heard of; `write` numbers it."""
        run = Run(0, router_id, run_name)
        self._cache[router_id, run_name] = self._touched[router_id, run_name] = run
        return run

    def write(self) -> None:
        """Write every run found or made since the last call."""
        runs = [*self._touched.values()]
        for run in runs:
            run.is_new = not run.id
        known = [(*run.learnt(), run.id) for run in runs if run.id]
        self._insert([run for run in runs if not run.id])
        self._db.executemany(
            f"UPDATE run SET {' = ?, '.join(_LEARNT)} = ? WHERE id = ?",
            known,
        )
        gone: list[tuple[int, str, int]] = []
        new: list[tuple[int, str, int, int]] = []
        for run in runs:
            before, run.written = run.written, run.spans()
            if before == run.written:
                continue
            for kind, old, now in zip(_KINDS, before, run.written, strict=True):
                firsts = {first for first, _ in now}
                gone += [(run.id, kind, one) for one, _ in old if one not in firsts]
                new += [(run.id, kind, *span) for span in set(now).difference(old)]
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
            self._cache.popitem(last=False)

    def forget(self) -> None:
        """Drop everything in memory, after a rollback."""
        self._cache.clear()
        self._touched.clear()

    def _insert(self, new: Sequence[Run]) -> None:
        if not new:
            return
        rows = [(run.router_id, run.name, *run.learnt()) for run in new]
        columns = ", ".join(("router_id", "token", *_LEARNT))
        names = [f"new_{name}" for name in ("router_id", "token", *_LEARNT)]
        head, values = self._db.keyed(names, rows)
        for run_id, router_id, run_name in self._db.execute(
            f"{head} INSERT INTO run ({columns}) SELECT {', '.join(names)} FROM key"
            " RETURNING id, router_id, token",
            values,
        ):
            self._touched[router_id, run_name].id = run_id
