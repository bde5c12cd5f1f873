"""The pictures of a report as numbers: where each bar stands, in a box that page and paper scale.

Rule: what is not known is hatched, as on the page; it is never zero and never left out.
Rule: under each bar of days stands how much of the day is known, in four greys.
"""

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Final, NamedTuple

from titik_collector.figures.windows import Span
from titik_collector.queries.availability import Availability

WIDTH, HEIGHT = 720, 180
_LEFT, _RIGHT, _TOP, _BASE = 56, 4, 8, 140  # of the box of bars
_COVERAGE, _COVERAGE_HIGH = 146, 8
_LABEL = 40  # wide
GREYS: Final = 4
_LEAST: Final = 1.5  # of a bar that is above zero


class Bar(NamedTuple):
    """One day, or one month of a year."""

    span: Span
    x: float
    width: float
    y: float
    height: float
    value: float | None  # None: hatched
    grey: int  # 0: nothing is known; up to GREYS


class ChartLine(NamedTuple):
    """A line across."""

    y: float
    value: float


class BarChart(NamedTuple):
    """Bars from left to right."""

    bars: tuple[Bar, ...]
    ticks: tuple[ChartLine, ...]
    labels: tuple[Bar, ...]  # those whose date is written

    @property
    def is_empty(self) -> bool:
        """Nothing is known of any."""
        return all(one.value is None for one in self.bars)


class PartBar(NamedTuple):
    """A part of one bar that lies."""

    name: str  # available, lost, unknown or excluded
    x: float
    width: float
    share: float


def bars(
    spans: Sequence[Span], values: Sequence[float | None], coverage: Sequence[float | None]
) -> BarChart:
    """Of the same length each."""
    most = max((one for one in values if one is not None), default=0.0)
    step = nice_step(most)
    top = max(step, ceil(most / step) * step)
    slot = (WIDTH - _LEFT - _RIGHT) / max(1, len(spans))
    width = round(slot * 0.8, 2)
    found = []
    for number, (span, value, known) in enumerate(zip(spans, values, coverage, strict=True)):
        x = round(_LEFT + number * slot + (slot - width) / 2, 2)
        high = float(_BASE - _TOP)
        if value is not None:
            high = round(value / top * (_BASE - _TOP), 2)
            high = max(high, _LEAST) if value > 0 else 0.0
        found.append(Bar(span, x, width, round(_BASE - high, 2), high, value, _grey(known)))
    ticks = tuple(
        ChartLine(round(_BASE - number * step / top * (_BASE - _TOP), 2), number * step)
        for number in range(round(top / step) + 1)
    )
    every = max(1, ceil(len(found) / 8))
    labels = tuple(one for one in found[::every] if one.x <= WIDTH - _LABEL)
    return BarChart(tuple(found), ticks, labels)


def nice_step(most: float) -> float:
    """Between lines: 1, 2 or 5 times a power of ten, so that there are two to five of them."""
    if most <= 0:
        return 1.0
    power = 10.0 ** floor(log10(most / 4))
    return next(step for one in (1, 2, 5, 10) if (step := one * power) >= most / 5)


def _grey(known: float | None) -> int:
    return 0 if not known else min(GREYS, floor(known * (GREYS - 0.001)) + 1)


def parts(of: Availability, width: float = WIDTH) -> tuple[PartBar, ...]:
    """The four parts of the time beside each other; together they are as wide as the box."""
    amounts = {
        "available": of.available_ms,
        "lost": of.lost_ms,
        "unknown": of.unknown_ms,
        "excluded": of.excluded_ms,
    }
    found, x, whole = [], 0.0, of.span_ms
    for name, ms in amounts.items():
        if ms:
            found.append(PartBar(name, round(x, 2), round(ms / whole * width, 2), ms / whole))
            x += ms / whole * width
    return tuple(found)
