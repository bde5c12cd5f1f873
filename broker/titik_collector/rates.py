"""What two successive samples say about the time between them; pure.

Rule: a cumulative counter gives a figure only between two readings of the same counter
(interface row: role, ifname and `since`). Where it falls, it has started anew: the gap is unknown,
never the whole value and never negative. What no link could have carried is unknown too.
Rule: samples of one boot are ordered by uptime, whatever the clock did; a sample that has no
readings of a kind (`wifi`, `uplink`) is passed over, so missing and merged samples cost
resolution, never bytes. A reading that lists a counter no more ends it.
Rule: client time counts within a run, from zero at its start. So the first sample that is there
of a run speaks for all the time the run had observed by then.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

(
    COVERED,
    UP,
    OBSERVED,
    CLIENT,
    ACTIVE,
    ACTIVE_OBSERVED,
    WEAK,
    WEAK_OBSERVED,
    WIFI_DOWN,
    WIFI_UP,
    WIFI_KNOWN,
    UPLINK_DOWN,
    UPLINK_UP,
    UPLINK_KNOWN,
    AIRTIME_BUSY,
    AIRTIME_ACTIVE,
) = range(16)
CLIENTS_MAX, WIFI_PEAK, UPLINK_PEAK, CLIENTS_MIN = range(4)

# Samples are kept about as long. Bounds how far back a router's uptime can make us look.
MAX_BRIDGE_MS = 31 * 86_400_000
BOOT_UP_MS = 600_000  # a router was powered at least this long before its agent's first sample
MAX_CLIENTS = 65_535  # more cannot be; bounds the sums that a broken router can cause
MAX_RADIOS = 16  # as in the contract
WIRE_BPS = 10e9  # no interface of a router carries more
SLACK = 1.25  # a line carries a little more than it is sold for, in bursts
LAG_MS = 1000  # drivers update their counters up to this late
PEAK_MS = 1000  # a peak over less than this is the jitter of reading


class Reading(NamedTuple):
    """What rates need of a stored sample."""

    run_id: int
    seq: int
    uptime_ms: int
    at_ms: int
    covers_ms: int
    clients: int | None = None
    clients_min: int | None = None
    clients_max: int | None = None
    active: int | None = None
    weak: int | None = None
    client_ms: int | None = None
    observed_ms: int | None = None
    airtime_busy_ms: int | None = None
    airtime_active_ms: int | None = None
    wifi: Mapping[int, tuple[int, int]] = {}  # rx and tx by interface row; empty: not read
    uplink: Mapping[tuple[str, int], tuple[int, int]] = {}  # by ifname and interface row


class Step(NamedTuple):
    """What is even over one stretch of time: figures and their amounts, extremes and values."""

    from_ms: int
    to_ms: int
    amounts: Sequence[tuple[int, int]]
    extremes: Sequence[tuple[int, int]] = ()


class Piles(dict[int, tuple[list[tuple[int, int]], list[tuple[int, int]]]]):
    """Amounts and extremes of the stretches that end with one sample, by their start.

    Nearly always there is one, from the sample before: a step for each figure took most of the
    time of a rollup.
    """

    def __missing__(self, from_ms: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        pile = self[from_ms] = ([], [])
        return pile


def steps(readings: Iterable[Reading], uplink_bps: Callable[[int], float]) -> Iterator[Step]:
    """The steps of one boot's readings, in order of uptime; `uplink_bps` gives the limit then."""
    before: Reading | None = None
    wifi: Reading | None = None
    uplink: Reading | None = None
    of_run: dict[int, Reading] = {}
    for one in readings:
        # Nearly always all four pairs are of the same two samples, so their time is that too.
        since = None if before is None else _since(before, one)
        piles = Piles()
        _seen(before, one, piles)
        _powered(before, one, since, piles)
        if one.wifi:
            if wifi is not None:
                _wifi(wifi, one, since if wifi is before else _since(wifi, one), piles)
            wifi = one
        if one.uplink:
            if uplink is not None:
                from_ms = since if uplink is before else _since(uplink, one)
                _uplink(uplink, one, from_ms, uplink_bps(one.at_ms), piles)
            uplink = one
        if one.client_ms is not None and one.observed_ms is not None:
            last = of_run.get(one.run_id)
            from_ms = since if last is before or last is None else _since(last, one)
            _client_time(last, one, from_ms, piles)
            of_run[one.run_id] = one
        for from_ms, (amounts, extremes) in piles.items():
            yield Step(from_ms, one.at_ms, amounts, extremes)
        before = one


def reach_ms(elapsed_ms: int) -> int:
    """How far before a sample the time since an older one can lie, when clocks are slewed."""
    elapsed_ms = min(elapsed_ms, MAX_BRIDGE_MS)
    return elapsed_ms + _slew(elapsed_ms)


def _slew(elapsed_ms: int) -> int:
    """How much of a clock's correction still passes for the same time: twice NTP's 0.05 %."""
    return 100 + elapsed_ms // 1000


def _seen(before: Reading | None, one: Reading, piles: Piles) -> None:
    """What the sample says of the time that it covers itself."""
    covers_ms = min(one.covers_ms, one.uptime_ms, MAX_BRIDGE_MS)
    from_ms = one.at_ms - covers_ms
    if before is not None and before.at_ms <= one.at_ms:
        gap_ms = from_ms - before.at_ms
        if gap_ms < 0 or (covers_ms and gap_ms <= _slew(covers_ms)):
            from_ms = before.at_ms
            covers_ms = one.at_ms - from_ms
    clients, active, weak = _count(one.clients), _count(one.active), _count(one.weak)
    amounts, extremes = piles[from_ms]
    amounts.append((COVERED, covers_ms))
    if active is not None:
        amounts += (ACTIVE, active * covers_ms), (ACTIVE_OBSERVED, covers_ms)
    if weak is not None and clients is not None:
        amounts += (WEAK, weak * covers_ms), (WEAK_OBSERVED, clients * covers_ms)
    least, most = _count(one.clients_min), _count(one.clients_max)
    if covers_ms == 0:
        least = most = clients
    least, most = clients if least is None else least, clients if most is None else most
    if least is not None:
        extremes.append((CLIENTS_MIN, least))
    if most is not None:
        extremes.append((CLIENTS_MAX, most))


def _powered(before: Reading | None, one: Reading, from_ms: int | None, piles: Piles) -> None:
    """The router ran since the sample before; at least a while if there is none."""
    if before is None:
        up_ms = min(BOOT_UP_MS, one.uptime_ms)
        piles[one.at_ms - up_ms][0].append((UP, up_ms))
        return
    if from_ms is None:
        return
    amounts, _ = piles[from_ms]
    amounts.append((UP, one.at_ms - from_ms))
    busy = _growth(before.airtime_busy_ms, one.airtime_busy_ms)
    active = _growth(before.airtime_active_ms, one.airtime_active_ms)
    if busy is not None and active is not None:
        elapsed_ms = one.uptime_ms - before.uptime_ms
        if busy <= active <= MAX_RADIOS * (elapsed_ms + LAG_MS):
            amounts += (AIRTIME_BUSY, busy), (AIRTIME_ACTIVE, active)


def _wifi(before: Reading, one: Reading, from_ms: int | None, piles: Piles) -> None:
    """Bytes over the air; known if any BSS's are, because another may just have been made."""
    if from_ms is None:
        return
    elapsed_ms = one.uptime_ms - before.uptime_ms
    most = _carried(WIRE_BPS, elapsed_ms)
    received = sent = 0
    known = False
    for interface, now in one.wifi.items():
        delta = _delta(before.wifi.get(interface), now, most)
        if delta is not None:
            received, sent, known = received + delta[0], sent + delta[1], True
    if known and received <= most and sent <= most:
        _bytes(piles[from_ms], one.at_ms - from_ms, elapsed_ms, WIFI_DOWN, sent, received)


def _uplink(before: Reading, one: Reading, from_ms: int | None, bps: float, piles: Piles) -> None:
    """Bytes of one interface: of several that are in both samples, the first by name."""
    both = before.uplink.keys() & one.uplink.keys()
    if from_ms is None or not both:
        return
    elapsed_ms = one.uptime_ms - before.uptime_ms
    most = _carried(min(bps * SLACK, WIRE_BPS), elapsed_ms)
    ifname = min(both)[0]
    received = sent = 0
    known = False
    for key in both:
        delta = _delta(before.uplink[key], one.uplink[key], most) if key[0] == ifname else None
        if delta is not None:
            received, sent, known = received + delta[0], sent + delta[1], True
    if known and received <= most and sent <= most:
        _bytes(piles[from_ms], one.at_ms - from_ms, elapsed_ms, UPLINK_DOWN, received, sent)


def _bytes(
    pile: tuple[list[tuple[int, int]], list[tuple[int, int]]],
    known_ms: int,
    elapsed_ms: int,
    figure: int,
    down: int,
    up: int,
) -> None:
    """`figure` is that of down; those of up and of the time known follow it."""
    amounts, extremes = pile
    amounts += (figure, down), (figure + 1, up), (figure + 2, known_ms)
    if elapsed_ms >= PEAK_MS:
        peak = WIFI_PEAK if figure == WIFI_DOWN else UPLINK_PEAK
        extremes.append((peak, down * 8000 // elapsed_ms))


def _client_time(before: Reading | None, one: Reading, from_ms: int | None, piles: Piles) -> None:
    """Clients times time since the sample before, or since the run began."""
    assert one.client_ms is not None
    assert one.observed_ms is not None
    if before is None:
        observed, client, elapsed_ms = one.observed_ms, one.client_ms, one.uptime_ms
        from_ms = one.at_ms - min(observed, one.uptime_ms, MAX_BRIDGE_MS)
    else:
        grown = (
            _growth(before.observed_ms, one.observed_ms),
            _growth(before.client_ms, one.client_ms),
        )
        if grown[0] is None or grown[1] is None:
            return
        observed, client = grown[0], grown[1]
        elapsed_ms = one.uptime_ms - before.uptime_ms
    # More time observed than passed, or more clients than can be, is a broken router's.
    if from_ms is None or observed > elapsed_ms + _slew(elapsed_ms) + LAG_MS:
        return
    if client <= observed * MAX_CLIENTS:
        piles[from_ms][0].extend(((OBSERVED, observed), (CLIENT, client)))


def _since(before: Reading, one: Reading) -> int | None:
    """When the time between two samples began; None if that is too long ago to say anything.

    It is the older's own time, unless the clock was set between them: then the time that really
    passed, before the newer.
    """
    elapsed_ms = one.uptime_ms - before.uptime_ms
    if elapsed_ms > MAX_BRIDGE_MS:
        return None
    apart_ms = one.at_ms - before.at_ms
    if apart_ms >= 0 and abs(apart_ms - elapsed_ms) <= _slew(elapsed_ms):
        return before.at_ms
    return one.at_ms - elapsed_ms


def _delta(
    before: tuple[int, int] | None, now: tuple[int, int], most: float
) -> tuple[int, int] | None:
    if before is None:
        return None
    received, sent = now[0] - before[0], now[1] - before[1]
    if received < 0 or sent < 0 or received > most or sent > most:
        return None
    return received, sent


def _carried(bps: float, elapsed_ms: int) -> float:
    """The most bytes that a link carries in that time."""
    return bps / 8000 * (elapsed_ms + LAG_MS)


def _growth(before: int | None, now: int | None) -> int | None:
    return None if before is None or now is None or now < before else now - before


def _count(value: int | None) -> int | None:
    return None if value is None or value > MAX_CLIENTS else value
