"""The figures of one window: sums, means, rates and how they are rounded; pure.

Rule: additive figures are integers, and an amount is split by the floors of its running total, so
that the parts always sum to the whole.
Rule: where a clock was set back, a minute has more of a router's time than a minute. Client time,
bytes and the time beside them are of all of it, so that means and rates stay exact. `covered_ms`
and `up_ms` are shares of the minute and never more.
Rule: a mean is rounded to thousandths, so that sums of means do not depend on their order.
"""

from collections.abc import Iterable, Iterator, Sequence
from operator import add, itemgetter, sub
from typing import Any, Final

from titik_collector.figures.rates import COVERED, UP, Step
from titik_collector.figures.table import ADDITIVE, EXTREMES, MEANS, Figures
from titik_wire.instant import MINUTE_MS
from titik_wire.limits import MAX_WHOLE

_NOTHING: Final = (0,) * len(ADDITIVE)
_AT: Final = Figures._fields.index
_ARE_LOWEST: Final = tuple(how == "min" for how in EXTREMES.values())
# Figures are built for every minute of every router, so what is where is looked up once.
_SUMMED: Final = (*ADDITIVE, *EXTREMES)
_REST: Final = {name: one for name, one in Figures()._asdict().items() if name not in _SUMMED}
_IN_ORDER: Final = itemgetter(*map((*_SUMMED, *_REST).index, Figures._fields))
# How a router's means are computed, and where the two sums are that each is made of.
_MEANS: Final = tuple(
    (_AT(name), kind.of, _AT(kind.amount), _AT(kind.known)) for name, kind in MEANS.items()
)


class Sums:
    """The figures of one window of one router while they are added up."""

    __slots__ = ("amounts", "extremes")

    def __init__(self) -> None:
        self.amounts = [0] * len(ADDITIVE)
        self.extremes: list[int | None] = [None] * len(EXTREMES)

    def extend(self, extremes: Sequence[int | None]) -> None:
        """A step touches the window."""
        mine = self.extremes
        for which, value in enumerate(extremes):
            if value is not None:
                was = mine[which]
                if was is None or (value < was if _ARE_LOWEST[which] else value > was):
                    mine[which] = value

    def add(self, step: Step) -> None:
        """The whole step lies in the window."""
        self.amounts = list(map(add, self.amounts, step.amounts))
        self.extend(step.extremes)

    def figures(self) -> Figures:
        """What has been added."""
        amounts = self.amounts
        if max(amounts) > MAX_WHOLE:
            amounts = [min(amount, MAX_WHOLE) for amount in amounts]
        return with_means(_IN_ORDER((*amounts, *self.extremes, *_REST.values())))


class CoveredTime:
    """Stretches of time, apart and in order, that samples cover."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []

    def take(self, from_ms: int, to_ms: int) -> bool:
        """Add a stretch after all others; False if it is not."""
        spans = self._spans
        if not spans or from_ms > spans[-1][1]:
            spans.append((from_ms, to_ms))
        elif from_ms == spans[-1][1]:
            spans[-1] = (spans[-1][0], to_ms)
        else:
            return False
        return True

    def add(self, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
        """Add a stretch; what of it is new."""
        new, at_ms = [], from_ms
        apart, merged = [], (from_ms, to_ms)
        for span in self._spans:
            if span[1] < from_ms or span[0] > to_ms:
                apart.append(span)
                continue
            if at_ms < span[0]:
                new.append((at_ms, span[0]))
            at_ms = max(at_ms, span[1])
            merged = min(merged[0], span[0]), max(merged[1], span[1])
        if at_ms < to_ms:
            new.append((at_ms, to_ms))
        self._spans = sorted([*apart, merged])
        return new


class Minutes:
    """The minutes from `from_ms` to `to_ms`, both at the start of one, filled by steps."""

    def __init__(self, from_ms: int, to_ms: int) -> None:
        self._first = from_ms // MINUTE_MS
        self._end = to_ms // MINUTE_MS
        self._sums: dict[int, Sums] = {}
        self._covered = CoveredTime()

    def add(self, step: Step) -> None:
        """Spread a step over the minutes it touches; what lies outside is left out."""
        covered = step.amounts[COVERED]
        if covered and not self._covered.take(step.from_ms, step.to_ms):
            step = self._once(step, covered)
        self._spread(step)

    def _once(self, step: Step, covered: int) -> Step:
        """Spread what no other boot covered; the step without that."""
        length_ms = max(1, step.to_ms - step.from_ms)
        for from_ms, to_ms in self._covered.add(step.from_ms, step.to_ms):
            share = [0] * len(ADDITIVE)
            share[COVERED] = covered * (to_ms - from_ms) // length_ms
            self._spread(Step(from_ms, to_ms, share))
        amounts = list(step.amounts)
        amounts[COVERED] = 0
        return step._replace(amounts=amounts)

    def _spread(self, step: Step) -> None:
        from_ms, to_ms, amounts, extremes = step
        first = from_ms // MINUTE_MS
        # It ends before `to_ms`, unless it is an instant.
        last = max(first, (to_ms - 1) // MINUTE_MS)
        if first == last:
            if self._first <= first < self._end:
                self._sum(first).add(step)
            return
        length_ms, begin = to_ms - from_ms, max(first, self._first)
        before: Sequence[int] = _until(amounts, max(begin * MINUTE_MS - from_ms, 0), length_ms)
        for index in range(begin, min(last + 1, self._end)):
            until = amounts  # all of it
            if index < last:
                until = _until(amounts, (index + 1) * MINUTE_MS - from_ms, length_ms)
            sums = self._sum(index)
            sums.amounts = list(map(add, sums.amounts, map(sub, until, before)))
            sums.extend(extremes)
            before = until

    def __iter__(self) -> Iterator[tuple[int, Figures]]:
        """Start and figures of the minutes that something is known of, in order."""
        for index in sorted(self._sums):
            sums = self._sums[index]
            sums.amounts[UP] = min(sums.amounts[UP], MINUTE_MS)
            yield index * MINUTE_MS, sums.figures()

    def _sum(self, index: int) -> Sums:
        sums = self._sums.get(index)
        if sums is None:
            sums = self._sums[index] = Sums()
        return sums


def _until(amounts: Sequence[int], part_ms: int, length_ms: int) -> Sequence[int]:
    """What of even amounts lies in the first part of a stretch."""
    return [amount * part_ms // length_ms for amount in amounts] if part_ms else _NOTHING


def with_means(figures: Sequence[Any]) -> Figures:
    """The same with the means and rates that a router's sums give."""
    values: list[Any] = list(figures)
    for at, of, amount, known in _MEANS:
        values[at] = of(values[amount], values[known])
    return Figures._make(values)


def extremes(each: Iterable[Figures]) -> dict[str, Any]:
    """The lowest and highest of several windows together, by name."""
    found: dict[str, Any] = {}
    windows = list(each)
    for name, how in EXTREMES.items():
        known = [one for one in (getattr(window, name) for window in windows) if one is not None]
        found[name] = (min if how == "min" else max)(known, default=None)
    return found


def is_empty(figures: Figures) -> bool:
    """Nothing is known of the window."""
    return figures[1:] == EMPTY[1:]  # except how many routers it is of


EMPTY = Figures()
