"""Counters: they begin at zero with the process, and only grow.

Rule: a minute of a router is added once, when it is computed. What changes it within ten minutes
is added too. An older one is not, as none is published then: a spool that empties is no peak of
traffic.
Rule: whoever asks after more than an hour gets no bytes of the time between.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from titik_collector.figures.windows import Span, minute
from titik_collector.rollups.revisions import PUBLISHED_MINUTES_MS
from titik_collector.store.rollups import RouterBytes
from titik_wire.instant import HOUR_MS, MINUTE_MS

Four = tuple[int, int, int, int]  # Wi-Fi down and up, uplink down and up
NONE: Four = (0, 0, 0, 0)
KNOWN_MS = 5 * MINUTE_MS  # bytes that were last known before are not known now


class RouterTotals(NamedTuple):
    """The bytes of a router since the process began, and which of them are known now."""

    total: Four
    is_wifi_known: bool
    is_uplink_known: bool


class MinutesAsked(NamedTuple):
    """The minutes whose bytes are needed."""

    settled: Span  # may be empty; they are added for good
    open: Span  # they may still change


class RouterCounters:
    """The bytes of all routers, from one look to the next."""

    def __init__(self) -> None:
        self._from_ms: int | None = None  # minutes that begin before it are settled
        self._settled: dict[str, Four] = {}
        self._shown: dict[str, Four] = {}

    def asked(self, now_ms: int) -> MinutesAsked:
        """What to read for a look now."""
        to_ms = minute(now_ms).end_ms
        open_ms = to_ms - PUBLISHED_MINUTES_MS
        from_ms = self._from_ms
        if from_ms is None or not open_ms - HOUR_MS <= from_ms <= open_ms:
            return MinutesAsked(Span(open_ms, open_ms), Span(open_ms, to_ms))
        if open_ms - from_ms < PUBLISHED_MINUTES_MS:  # not each time, because it costs a read
            open_ms = from_ms
        return MinutesAsked(Span(from_ms, open_ms), Span(open_ms, to_ms))

    def look(
        self,
        asked: MinutesAsked,
        settled: Iterable[RouterBytes],
        still_open: Iterable[RouterBytes],
        routers: Collection[str],
        now_ms: int,
    ) -> dict[str, RouterTotals]:
        """What was read of what was asked for; routers that are no longer there are forgotten."""
        now = {one.router: one for one in still_open}
        if self._from_ms != asked.settled.start_ms:  # what is there already is of before
            before = {name: _four(one) for name, one in now.items()}
            self._settled = {
                name: _plus(self._shown.get(name, NONE), before.get(name, NONE), -1)
                for name in self._shown.keys() | before.keys()
            }
        for one in settled:
            self._settled[one.router] = _plus(self._settled.get(one.router, NONE), _four(one))
        self._from_ms = asked.open.start_ms
        self._settled = {name: self._settled.get(name, NONE) for name in routers}
        self._shown = {name: self._shown.get(name, NONE) for name in routers}
        return {
            name: RouterTotals(
                self._show(name, one),
                _is_known(one.wifi_known_ms, now_ms),
                _is_known(one.uplink_known_ms, now_ms),
            )
            for name, one in now.items()
            if name in self._settled
        }

    def _show(self, name: str, one: RouterBytes) -> Four:
        """A minute that became less is no reason to count backwards."""
        a, b, c, d = map(max, self._shown[name], _plus(self._settled[name], _four(one)))
        self._shown[name] = a, b, c, d
        return self._shown[name]


class Growth:
    """How much each of some numbers grew since it was first seen."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._grown: dict[str, int] = {}

    def look(self, now: Mapping[str, int]) -> dict[str, int]:
        """These are the numbers now; what fell goes on from there."""
        self._grown = {
            name: self._grown.get(name, 0) + max(0, value - self._last.get(name, value))
            for name, value in now.items()
        }
        self._last = dict(now)
        return dict(self._grown)


def _four(one: RouterBytes) -> Four:
    return one.wifi_down, one.wifi_up, one.uplink_down, one.uplink_up


def _plus(one: Four, other: Four, sign: int = 1) -> Four:
    a, b, c, d = (left + sign * right for left, right in zip(one, other, strict=True))
    return a, b, c, d


def _is_known(until_ms: int | None, now_ms: int) -> bool:
    return until_ms is not None and now_ms - until_ms <= KNOWN_MS
