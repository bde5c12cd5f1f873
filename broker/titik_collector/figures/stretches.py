"""Stretches of time as sets: put together, and how much of one lies in others."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from titik_collector.figures.windows import Span


def united(spans: Iterable[Span]) -> list[Span]:
    """Apart and in order; the same time as the given ones, each instant once."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start_ms <= found[-1].end_ms:
            found[-1] = Span(found[-1].start_ms, max(found[-1].end_ms, span.end_ms))
        elif span.end_ms > span.start_ms:
            found.append(span)
    return found


def shared(one: Span, other: Span) -> Span:
    """What lies in both; it has no length, or less, where nothing does."""
    return Span(max(one.start_ms, other.start_ms), min(one.end_ms, other.end_ms))


def length(span: Span) -> int:
    """In milliseconds; 0 where the span ends before it begins."""
    return max(0, span.end_ms - span.start_ms)


def without(spans: Iterable[Span], others: Sequence[Span]) -> list[Span]:
    """What of the spans lies in none of the others; these are apart and in order."""
    found = []
    for start_ms, end_ms in spans:
        for other in others:
            if start_ms < other.end_ms and other.start_ms < end_ms:
                found.append(Span(start_ms, other.start_ms))
                start_ms = other.end_ms
        found.append(Span(start_ms, end_ms))
    return [one for one in found if length(one)]


def overlaps(span: Span, others: Sequence[Span]) -> Iterator[Span]:
    """What of a span lies in each of others, if anything; they are apart and in order."""
    at = max(0, bisect_right(others, span.start_ms, key=lambda one: one.start_ms) - 1)
    while at < len(others) and others[at].start_ms < span.end_ms:
        part = shared(span, others[at])
        if length(part):
            yield part
        at += 1


def within(span: Span, others: Sequence[Span]) -> int:
    """How much of a span lies in others, in milliseconds; they are apart and in order."""
    return sum(map(length, overlaps(span, others)))
