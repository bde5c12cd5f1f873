"""Ranges of seqs, ascending, disjoint, those that touch joined; pure.

A run's records are almost always one range, so plain lists are enough.
"""

from collections.abc import Iterable, Sequence

from titik_wire.messages import Span


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same seqs."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        elif first <= last:
            found.append((first, last))
    return found


def without(spans: Iterable[Span], first: int, last: int) -> list[Span]:
    """The seqs that are not from `first` to `last`."""
    cut = [part for low, high in spans for part in ((low, min(high, first - 1)),
                                                    (max(low, last + 1), high))]  # fmt: skip
    return [(low, high) for low, high in cut if low <= high]


def overlap(spans: Sequence[Span], others: Sequence[Span]) -> bool:
    """Whether they share a seq."""
    return any(low <= last and first <= high for low, high in spans for first, last in others)
