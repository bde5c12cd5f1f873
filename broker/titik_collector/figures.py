"""The figures of one window, and how steps of time become those of minutes; pure.

Rule: additive figures are integers, and an amount is split by the floors of its running total, so
that the parts always sum to the whole.
Rule: a mean is rounded to thousandths, so that sums of means do not depend on their order.
"""

from collections.abc import Iterator
from typing import NamedTuple

from titik_collector.rates import (
    CLIENTS_MAX,
    CLIENTS_MIN,
    COVERED,
    UP,
    UPLINK_KNOWN,
    UPLINK_PEAK,
    WIFI_KNOWN,
    WIFI_PEAK,
    Step,
)
from titik_collector.windows import MINUTE_MS

MAX_WHOLE = 2**53 - 1  # what the contract and JSON readers keep exact


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
_NEVER_LONGER = (COVERED, UP, WIFI_KNOWN, UPLINK_KNOWN)  # than the minute


class Sums:
    """The figures of one window of one router while they are added up."""

    __slots__ = ("amounts", "extremes")

    def __init__(self) -> None:
        self.amounts = [0] * len(ADDITIVE)
        self.extremes: list[int | None] = [None] * 4

    def extend(self, step: Step) -> None:
        """The step touches the window."""
        extremes = self.extremes
        for which, value in step.extremes:
            was = extremes[which]
            if was is None or (value < was if which == CLIENTS_MIN else value > was):
                extremes[which] = value

    def add(self, step: Step) -> None:
        """The whole step lies in the window."""
        for figure, amount in step.amounts:
            self.amounts[figure] += amount
        self.extend(step)

    def figures(self) -> Figures:
        """What has been added."""
        (
            covered, up, observed, client, active, active_observed, weak, weak_observed,
            wifi_down, wifi_up, wifi_known, uplink_down, uplink_up, uplink_known, busy, airtime,
        ) = (amount if amount < MAX_WHOLE else MAX_WHOLE for amount in self.amounts)  # fmt: skip
        extremes = self.extremes
        # By position: this is built for every minute of every router.
        return Figures(
            1, covered, up,
            observed, client, mean(client, observed), extremes[CLIENTS_MIN], extremes[CLIENTS_MAX],
            active, active_observed, mean(active, active_observed), weak, weak_observed,
            wifi_down, wifi_up, wifi_known, uplink_down, uplink_up, uplink_known,
            extremes[WIFI_PEAK], extremes[UPLINK_PEAK], None, None, busy, airtime,
        )  # fmt: skip


class Minutes:
    """The minutes from `from_ms` to `to_ms`, both at the start of one, filled by steps."""

    def __init__(self, from_ms: int, to_ms: int) -> None:
        self._first = from_ms // MINUTE_MS
        self._end = to_ms // MINUTE_MS
        self._sums: dict[int, Sums] = {}
        # A sample's steps are nearly all of the same stretch.
        self._span: tuple[int, int] | None = None
        self._parts: list[tuple[Sums, int, int]] = []

    def add(self, step: Step) -> None:
        """Spread a step over the minutes it touches; what lies outside is left out."""
        span = step[:2]
        if span != self._span:
            self._span, self._parts = span, self._split(*span)
        length_ms = span[1] - span[0]
        for sums, start_ms, end_ms in self._parts:
            if end_ms - start_ms == length_ms:
                sums.add(step)
                continue
            amounts = sums.amounts
            for figure, amount in step.amounts:
                amounts[figure] += amount * end_ms // length_ms - amount * start_ms // length_ms
            sums.extend(step)

    def _split(self, from_ms: int, to_ms: int) -> list[tuple[Sums, int, int]]:
        """The minutes that a stretch touches, each with its share: from and to after `from_ms`."""
        first = from_ms // MINUTE_MS
        # It ends before `to_ms`, unless it is an instant.
        last = (to_ms - 1) // MINUTE_MS if to_ms > from_ms else first
        return [
            (
                self._sum(index),
                max(index * MINUTE_MS - from_ms, 0),
                min((index + 1) * MINUTE_MS, to_ms) - from_ms,
            )
            for index in range(max(first, self._first), min(last + 1, self._end))
        ]

    def __iter__(self) -> Iterator[tuple[int, Figures]]:
        """Start and figures of the minutes that something is known of, in order."""
        for index in sorted(self._sums):
            sums = self._sums[index]
            for figure in _NEVER_LONGER:  # samples of a clock that was set back overlap
                sums.amounts[figure] = min(sums.amounts[figure], MINUTE_MS)
            yield index * MINUTE_MS, sums.figures()

    def _sum(self, index: int) -> Sums:
        sums = self._sums.get(index)
        if sums is None:
            sums = self._sums[index] = Sums()
        return sums


def with_means(figures: Figures) -> Figures:
    """The same with the means that a router's sums give."""
    return figures._replace(
        clients_mean=mean(figures.client_ms, figures.observed_ms),
        active_mean=mean(figures.active_ms, figures.active_observed_ms),
    )


def mean(amount: int, length_ms: int) -> float | None:
    """Rounded to thousandths; None where nothing was observed."""
    found = thousandths(amount, length_ms)
    return found[0] / 1000 if found else None


def thousandths(amount: int, length_ms: int) -> list[int]:
    """The mean in thousandths; empty where nothing was observed."""
    return [(amount * 1000 + length_ms // 2) // length_ms] if length_ms else []


def is_empty(figures: Figures) -> bool:
    """Nothing is known of the window."""
    return figures == EMPTY or figures._replace(routers=1) == EMPTY


EMPTY = Figures()
