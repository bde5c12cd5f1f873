"""Which seqs of each run the spool holds, and which two neighbours to merge next.

Rule: blocks of a run are disjoint; one that contains others takes their place.
Rule: runs in the order of their age, oldest first; within a run by seq.
Rule: the pair to merge is the one with the shortest span, of those the oldest.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from titik_agent.limits import MAX_SURPLUS
from titik_agent.spool.record import Key
from titik_agent.spool.segments import Position


class Block:
    """A record in the spool: on disk at a position, or in memory."""

    __slots__ = ("key", "position", "since", "size", "stuck")

    def __init__(self, key: Key, size: int, position: Position | bytes, since: float) -> None:
        self.key = key
        self.size = size
        self.position = position
        self.since = since  # monotonic time from which it has waited for its ack
        self.stuck = False  # the older half of a pair that cannot be merged


class _Run:
    __slots__ = ("age", "blocks", "firsts")

    def __init__(self, age: int) -> None:
        self.age = age
        self.firsts: list[int] = []  # first seqs, ascending
        self.blocks: list[Block] = []  # in the same order


class Blocks:
    """The blocks of all runs."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._count = 0
        # A heap of (span of the pair, age, run, first seq); None: not needed so far.
        self._candidates: list[tuple[int, int, str, int]] | None = None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Block]:
        for name in self.runs():
            yield from self._runs[name].blocks

    def runs(self) -> list[str]:
        """Oldest first."""
        return sorted(self._runs, key=lambda run: (self._runs[run].age, run))

    def age(self, run: str) -> int:
        """0 if no block of the run is held."""
        held = self._runs.get(run)
        return held.age if held else 0

    def span(self, run: str) -> tuple[int, int] | None:
        """Lowest and highest seq held of a run."""
        held = self._runs.get(run)
        return (held.firsts[0], held.blocks[-1].key.seq) if held else None

    def get(self, key: Key) -> Block | None:
        """The block of exactly these seqs."""
        held = self._runs.get(key.run)
        if held is None:
            return None
        at = bisect_left(held.firsts, key.first_seq)
        found = at < len(held.blocks) and held.blocks[at].key == key
        return held.blocks[at] if found else None

    def contains(self, key: Key) -> bool:
        """One block covers all these seqs."""
        held = self._runs.get(key.run)
        at = bisect_right(held.firsts, key.first_seq) if held else 0
        return held is not None and at > 0 and held.blocks[at - 1].key.seq >= key.seq

    def within(self, run: str, first: int, last: int) -> list[Block]:
        """The blocks that lie wholly between two seqs, both included."""
        held = self._runs.get(run)
        if held is None:
            return []
        start = end = bisect_left(held.firsts, first)
        while end < len(held.blocks) and held.blocks[end].key.seq <= last:
            end += 1
        return held.blocks[start:end]

    def oldest(self) -> Block | None:
        """The first block of the oldest run."""
        return next(iter(self), None)

    def add(self, block: Block, age: int) -> list[Block]:
        """Take a block that no other contains; returns those whose place it takes."""
        key = block.key
        replaced = self.within(*key)
        held = self._runs.setdefault(key.run, _Run(age))
        held.age = max(held.age, age)
        at = bisect_left(held.firsts, key.first_seq)
        held.firsts[at : at + len(replaced)] = [key.first_seq]
        held.blocks[at : at + len(replaced)] = [block]
        self._count += 1 - len(replaced)
        self._suggest(held, block)
        return replaced

    def remove(self, block: Block) -> None:
        """Let go of a block that is held."""
        key = block.key
        held = self._runs[key.run]
        at = bisect_left(held.firsts, key.first_seq)
        del held.firsts[at], held.blocks[at]
        self._count -= 1
        if not held.blocks:
            del self._runs[key.run]

    def next_pair(self, spare: Key | None) -> tuple[Block, Block] | None:
        """The two to merge next, offered once; `spare` is touched only if nothing else is left."""
        if self._candidates is None:
            self._candidates = self._all_candidates()
        spared = None
        while self._candidates:
            candidate = heappop(self._candidates)
            pair = self._pair_at(candidate)
            if pair is None:
                continue
            if pair[1].key != spare:
                if spared is not None:
                    heappush(self._candidates, spared)
                return pair
            spared = candidate
        return self._pair_at(spared) if spared is not None else None

    def offer_again(self, block: Block) -> None:
        """`next_pair` gave its pair, which could not be read."""
        self._suggest(self._runs[block.key.run], block)

    def _suggest(self, held: _Run, block: Block) -> None:
        if self._candidates is None:
            return
        older = self._older_half(held, block)
        if older is not None:
            heappush(self._candidates, _candidate(held, older))
        if len(self._candidates) > 2 * self._count + MAX_SURPLUS:
            self._candidates = None

    def _all_candidates(self) -> list[tuple[int, int, str, int]]:
        found = [
            _candidate(held, block)
            for held in self._runs.values()
            for block in held.blocks
            if self._older_half(held, block) is block
        ]
        heapify(found)
        return found

    def _older_half(self, held: _Run, block: Block) -> Block | None:
        """The older of a block and its buddy, if the buddy is held and the two can be merged."""
        size = block.key.span
        older = block.key.first_seq - (block.key.first_seq - 1) % (2 * size)
        pair = self._pair_at((2 * size, held.age, block.key.run, older))
        return pair[0] if pair is not None else None

    def _pair_at(self, candidate: tuple[int, int, str, int]) -> tuple[Block, Block] | None:
        span, _, run, first = candidate
        half = span // 2
        older = self.get(Key(run, first, first + half - 1))
        newer = self.get(Key(run, first + half, first + span - 1))
        return (older, newer) if older and newer and not older.stuck else None


def _candidate(held: _Run, older: Block) -> tuple[int, int, str, int]:
    return 2 * older.key.span, held.age, older.key.run, older.key.first_seq
