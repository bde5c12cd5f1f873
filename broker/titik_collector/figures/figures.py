"""The figures of one window: sums, means, rates and how they are rounded; pure.

Rule: additive figures are integers, and an amount is split by the floors of its running total, so
that the parts always sum to the whole.
Rule: where a clock was set back, a minute has more of a router's time than a minute. Client time,
bytes and the time beside them are of all of it, so that means and rates stay exact. `covered_ms`
and `up_ms` are shares of the minute and never more.
Rule: a mean is rounded to thousandths, so that sums of means do not depend on their order.
"""

from collections.abc import Iterator, Sequence
from operator import add, sub
from typing import NamedTuple

from titik_collector.figures.rates import (
    CLIENTS_MAX,
    CLIENTS_MIN,
    COVERED,
    EXTREMES,
    FIGURES,
    UP,
    UPLINK_PEAK,
    WIFI_PEAK,
    Step,
)
from titik_wire.instant import MINUTE_MS
from titik_wire.limits import MAX_WHOLE


class Figures(NamedTuple):
    """Everything a rollup says of its window; the names are those of the table."""

    routers: int = 1
    covered_ms: int = 0
    up_ms: int = 0
    observed_ms: int = 0
    client_ms: int = 0
    clients_mean: float | None = None
    clients_min: int | None = None
    clients_max: int | None = None
    active_ms: int = 0
    active_observed_ms: int = 0
    active_mean: float | None = None
    weak_ms: int = 0
    weak_observed_ms: int = 0
    wifi_down_bytes: int = 0
    wifi_up_bytes: int = 0
    wifi_known_ms: int = 0
    uplink_down_bytes: int = 0
    uplink_up_bytes: int = 0
    uplink_known_ms: int = 0
    wifi_down_peak_bps: int | None = None
    uplink_down_peak_bps: int | None = None
    visitors_min: int | None = None
    visitors_max: int | None = None
    airtime_busy_ms: int = 0
    airtime_active_ms: int = 0
    wifi_down_bps: int | None = None
    wifi_up_bps: int | None = None
    uplink_down_bps: int | None = None
    uplink_up_bps: int | None = None


# Each rate with the bytes and the known time that it is made of.
RATES = {
    "wifi_down_bps": ("wifi_down_bytes", "wifi_known_ms"),
    "wifi_up_bps": ("wifi_up_bytes", "wifi_known_ms"),
    "uplink_down_bps": ("uplink_down_bytes", "uplink_known_ms"),
    "uplink_up_bps": ("uplink_up_bytes", "uplink_known_ms"),
}
KNOWN_TIMES = ("wifi_known_ms", "uplink_known_ms")  # for which bytes are known
# In the order of the numbers that rates give them.
ADDITIVE = (
    "covered_ms",
    "up_ms",
    "observed_ms",
    "client_ms",
    "active_ms",
    "active_observed_ms",
    "weak_ms",
    "weak_observed_ms",
    "wifi_down_bytes",
    "wifi_up_bytes",
    "wifi_known_ms",
    "uplink_down_bytes",
    "uplink_up_bytes",
    "uplink_known_ms",
    "airtime_busy_ms",
    "airtime_active_ms",
)
_NOTHING = (0,) * FIGURES


class Sums:
    """The figures of one window of one router while they are added up."""

    __slots__ = ("amounts", "extremes")

    def __init__(self) -> None:
        self.amounts = [0] * FIGURES
        self.extremes: list[int | None] = [None] * EXTREMES

    def extend(self, extremes: Sequence[int | None]) -> None:
        """A step touches the window."""
        mine = self.extremes
        for which, value in enumerate(extremes):
            if value is not None:
                was = mine[which]
                if was is None or (value < was if which == CLIENTS_MIN else value > was):
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
        (
            covered, up, observed, client, active, active_observed, weak, weak_observed,
            wifi_down, wifi_up, wifi_known, uplink_down, uplink_up, uplink_known, busy, airtime,
        ) = amounts  # fmt: skip
        extremes = self.extremes
        # By position: this is built for every minute of every router.
        return Figures(
            1, covered, up,
            observed, client, mean(client, observed), extremes[CLIENTS_MIN], extremes[CLIENTS_MAX],
            active, active_observed, mean(active, active_observed), weak, weak_observed,
            wifi_down, wifi_up, wifi_known, uplink_down, uplink_up, uplink_known,
            extremes[WIFI_PEAK], extremes[UPLINK_PEAK], None, None, busy, airtime,
            rate(wifi_down, wifi_known), rate(wifi_up, wifi_known),
            rate(uplink_down, uplink_known), rate(uplink_up, uplink_known),
        )  # fmt: skip


class Covered:
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
        self._covered = Covered()

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
            share = [0] * FIGURES
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


def with_means(figures: Figures) -> Figures:
    """The same with the means and rates that a router's sums give."""
    return with_rates(figures)._replace(
        clients_mean=mean(figures.client_ms, figures.observed_ms),
        active_mean=mean(figures.active_ms, figures.active_observed_ms),
    )


def with_rates(figures: Figures) -> Figures:
    """The same with the rates that a router's bytes give."""
    return figures._replace(
        wifi_down_bps=rate(figures.wifi_down_bytes, figures.wifi_known_ms),
        wifi_up_bps=rate(figures.wifi_up_bytes, figures.wifi_known_ms),
        uplink_down_bps=rate(figures.uplink_down_bytes, figures.uplink_known_ms),
        uplink_up_bps=rate(figures.uplink_up_bytes, figures.uplink_known_ms),
    )


def rate(amount: int, known_ms: int) -> int | None:
    """Bits a second of bytes over the time known; None where nothing is known."""
    return min(amount * 8000 // known_ms, MAX_WHOLE) if known_ms else None


def mean(amount: int, length_ms: int) -> float | None:
    """Rounded to thousandths; None where nothing was observed."""
    return (amount * 1000 + length_ms // 2) // length_ms / 1000 if length_ms else None


def thousandths(amount: int, length_ms: int) -> list[int]:
    """The mean in thousandths; empty where nothing was observed."""
    return [(amount * 1000 + length_ms // 2) // length_ms] if length_ms else []


def is_empty(figures: Figures) -> bool:
    """Nothing is known of the window."""
    return figures[1:] == EMPTY[1:]  # but for how many routers it is of


EMPTY = Figures()
