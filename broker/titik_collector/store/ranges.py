"""Sets of whole numbers kept as disjoint, maximal ranges; pure.

A run's settled seqs are almost always one range, so plain sorted lists are enough.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Span = tuple[int, int]  # first and last, both included


class Ranges:
    """A mutable set of whole numbers from 1."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in spans:
            self.add(first, last)

    def __iter__(self) -> Iterator[Span]:
        return zip(self._firsts, self._lasts, strict=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and list(self) == list(other)

    def __len__(self) -> int:
        """How many numbers, not how many ranges."""
        return sum(last - first + 1 for first, last in self)

    def __repr__(self) -> str:
        return f"Ranges({list(self)})"

    @property
    def spans(self) -> int:
        """How many ranges."""
        return len(self._firsts)

    def cut(self, last: int) -> int:
        """Take out every number up to `last`; how many there were."""
        before = len(self)
        self.remove(1, last)
        return before - len(self)

    def copy(self) -> "Ranges":
        """An independent set of the same numbers."""
        same = Ranges()
        same._firsts, same._lasts = self._firsts.copy(), self._lasts.copy()
        return same

    def add(self, first: int, last: int) -> None:
        """Add every number from `first` to `last`; nothing if first is above last."""
        if first > last:
            return
        if self._lasts and first == self._lasts[-1] + 1:  # as samples in order do
            self._lasts[-1] = last
            return
        left = bisect_left(self._lasts, first - 1)  # the first range that touches or follows
        right = bisect_right(self._firsts, last + 1)  # behind the last range that touches
        if left < right:
            first = min(first, self._firsts[left])
            last = max(last, self._lasts[right - 1])
        self._firsts[left:right] = [first]
        self._lasts[left:right] = [last]

    def remove(self, first: int, last: int) -> None:
        """Take out every number from `first` to `last`."""
        left = bisect_left(self._lasts, first)
        right = bisect_right(self._firsts, last)
        if first > last or left >= right:
            return
        kept = [(self._firsts[left], first - 1), (last + 1, self._lasts[right - 1])]
        kept = [(low, high) for low, high in kept if low <= high]
        self._firsts[left:right] = [low for low, _ in kept]
        self._lasts[left:right] = [high for _, high in kept]

    def covers(self, first: int, last: int) -> bool:
        """True if every number from `first` to `last` is in the set."""
        at = bisect_right(self._firsts, first) - 1
        return at >= 0 and last <= self._lasts[at]

    def upto(self) -> int:
        """The end of the range that begins at 1, or 0."""
        return self._lasts[0] if self._firsts and self._firsts[0] == 1 else 0

    def missing(self, first: int, last: int) -> list[Span]:
        """What of `first` to `last` is not in the set, ascending."""
        gap = Ranges([(first, last)])
        for low, high in self:
            gap.remove(low, high)
        return list(gap)
