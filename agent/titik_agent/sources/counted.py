"""For `netdev`: byte counters of an interface that only grow while their token stays the same.

Rule: a counter that was never above 2**32 may be 32 bits wide. It wrapped where its packets
went on, and where neither the line nor the packets could have wrapped it twice.
Rule: whatever else falls has restarted. Where more than 4 GiB may have passed unseen there is no
reading, and the next one is a restart. So nothing is invented, and nothing is silently missing.
Rule: only the bytes decide. A counter of drops or errors may do what it likes.
"""

import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from titik_agent.limits import MAX_COUNTED
from titik_agent.sources.since import Since
from titik_agent.sources.traffic import Traffic

log = logging.getLogger(__name__)

ROUND: Final = 1 << 32  # what a 32-bit counter holds
FRAME: Final = 1600  # bytes, the longest on a line to the internet
LAG_S: Final = 1.0  # drivers update their counters up to this late


class Counted(NamedTuple):
    """Bytes of one interface, and the token of their counters."""

    since: str
    rx_bytes: int
    tx_bytes: int


class _Last(NamedTuple):
    """A reading, and how often each counter had wrapped by then."""

    at_s: float
    traffic: Traffic
    rounds: tuple[int, int]
    is_reported: bool = True  # it was given to somebody, under its token


class CountedInterfaces:
    """Follows counters from reading to reading."""

    def __init__(self, since: Since) -> None:
        self._since = since
        self._last: dict[str, _Last] = {}
        self._logged: set[str] = set()  # counters whose bytes are unknown, logged once

    def read(
        self, identity: str, traffic: Traffic, at_s: float, line_bps: Callable[[], float]
    ) -> Counted | None:
        """What the counters of `identity` say; None: it cannot be known this time.

        `line_bps` is asked only where it matters: what the interface can carry, in bit/s.
        """
        if traffic.rx_bytes is None or traffic.tx_bytes is None:
            return None
        now = _Last(at_s, traffic, (0, 0))
        last = self._last.pop(identity, None)
        followed = (0, 0) if last is None else _follow(last, now, line_bps)
        if isinstance(followed, tuple):
            now = now._replace(rounds=followed)
        elif last is not None and last.is_reported:
            self._since.restart(identity)
        if isinstance(followed, _Unseen):
            now = now._replace(is_reported=False)
            self._log_unknown(identity)
        self._remember(identity, now)
        if not now.is_reported:
            return None
        return Counted(
            self._since.token(identity),
            traffic.rx_bytes + now.rounds[0] * ROUND,
            traffic.tx_bytes + now.rounds[1] * ROUND,
        )

    def _remember(self, identity: str, now: _Last) -> None:
        self._last[identity] = now
        if len(self._last) > MAX_COUNTED:
            del self._last[next(iter(self._last))]

    def _log_unknown(self, identity: str) -> None:
        if identity not in self._logged and len(self._logged) < MAX_COUNTED:
            self._logged.add(identity)
            ifindex = identity.rpartition("/")[2]
            log.info("bytes unknown, its 32-bit counter may wrap unseen ifindex=%s", ifindex)


class _Restarted:
    """The counter began again."""


class _Unseen:
    """It may have wrapped more often than can be seen."""


def _follow(
    last: _Last, now: _Last, line_bps: Callable[[], float]
) -> tuple[int, int] | _Restarted | _Unseen:
    """How often each counter has wrapped by now."""
    was, is_now = last.traffic, now.traffic
    rounds = []
    for before, after, packets, before_rounds in (
        (was.rx_bytes, is_now.rx_bytes, _grown(was.rx_packets, is_now.rx_packets), last.rounds[0]),
        (was.tx_bytes, is_now.tx_bytes, _grown(was.tx_packets, is_now.tx_packets), last.rounds[1]),
    ):
        assert before is not None
        assert after is not None
        more = _wrapped(after - before, max(before, after), packets, now.at_s - last.at_s, line_bps)
        if not isinstance(more, int):
            return more
        rounds.append(before_rounds + more)
    return rounds[0], rounds[1]


def _wrapped(
    grown: int, highest: int, packets: int | None, elapsed_s: float, line_bps: Callable[[], float]
) -> int | _Restarted | _Unseen:
    """0 or 1."""
    if highest >= ROUND:
        return 0 if grown >= 0 else _Restarted()
    most = ROUND * 2 if packets is None else packets * FRAME
    if 0 <= grown and most < grown + ROUND:
        return 0  # as nearly always, and the line is not asked
    most = min(most, int(line_bps() / 8 * (elapsed_s + LAG_S)))
    rounds = 0 if grown >= 0 else 1
    passed = grown + rounds * ROUND
    if rounds and (not packets or passed > most):
        return _Restarted()
    return rounds if most < passed + ROUND else _Unseen()


def _grown(before: int | None, now: int | None) -> int | None:
    """None: unknown, or fallen."""
    return None if before is None or now is None or now < before else now - before
