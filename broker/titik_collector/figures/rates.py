"""Traffic and client time between two samples of a boot, for rollups and `now`; pure.

Rule: a cumulative counter gives a figure only between two readings of the same counter
(interface row: role, ifname and `since`). Where it falls, it has started again: the gap is unknown,
never the whole value and never negative. What no link could have carried is unknown too.
Rule: samples of one boot are ordered by uptime, whatever the clock did. A sample that has no
readings of a kind (`wifi`, `uplink`) is skipped, so missing and merged samples cost
resolution, never bytes. A reading that no longer lists a counter ends it.
Rule: client time counts within a run, from zero at its start. So the first sample that is there
of a run speaks for all the time the run had observed by then.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple, TypeVar, cast

from titik_collector.figures.table import ADDITIVE, COUNTED, COUNTERS, EXTREMES
from titik_collector.limits import MAX_BRIDGE_MS, MAX_CLIENTS


class _Traffic(NamedTuple):
    """Where the figures of Wi-Fi or of the uplink are."""

    down: int
    up: int
    known: int
    peak: int


def _traffic(name: str) -> _Traffic:
    return _Traffic(
        ADDITIVE.index(f"{name}_down_bytes"),
        ADDITIVE.index(f"{name}_up_bytes"),
        ADDITIVE.index(f"{name}_known_ms"),
        _EXTREME.index(f"{name}_down_peak_bps"),
    )


# Where in `amounts` and `extremes` each figure is.
_EXTREME: Final = tuple(EXTREMES)
COVERED, UP, OBSERVED, CLIENT, FLOW_OFFLOAD = map(
    ADDITIVE.index, ("covered_ms", "up_ms", "observed_ms", "client_ms", "flow_offload_ms")
)
ACTIVE, ACTIVE_OBSERVED, WEAK, WEAK_OBSERVED = map(
    ADDITIVE.index, ("active_ms", "active_observed_ms", "weak_ms", "weak_observed_ms")
)
CLIENTS_MIN, CLIENTS_MAX = map(_EXTREME.index, ("clients_min", "clients_max"))
WIFI, UPLINK = _traffic("wifi"), _traffic("uplink")
_COUNTERS: Final = len(COUNTERS)
_PAIRS: Final = tuple((2 * n, 2 * n + 1, one.most_s, one.of_run) for n, one in enumerate(COUNTED))
# What `_follow` finds, brought into the order of the table; the first five are one number.
_PASSED: Final = ("covered_ms", "up_ms", "active_observed_ms", "wifi_known_ms", "uplink_known_ms")
_FOUND: Final = (
    _PASSED, "observed_ms", "client_ms", "active_ms", "weak_ms", "weak_observed_ms",
    "wifi_down_bytes", "wifi_up_bytes", "uplink_down_bytes", "uplink_up_bytes",
    "flow_offload_ms", *COUNTERS,
)  # fmt: skip
_IN_ORDER: Final = itemgetter(
    *(_FOUND.index(_PASSED if name in _PASSED else name) for name in ADDITIVE)
)
_EXTREMES_IN_ORDER: Final = itemgetter(
    *map(
        ("clients_min", "clients_max", "wifi_down_peak_bps", "uplink_down_peak_bps").index,
        EXTREMES,
    )
)

BOOT_UP_MS = 600_000  # a router was powered at least this long before its agent's first sample
WIRE_BPS = 10e9  # no interface of a router carries more
SLACK = 1.25  # a line carries a little more than it is sold for, in bursts
LAG_MS = 1000  # drivers update their counters up to this late
PEAK_MS = 1000  # a peak over less than this is the jitter of reading

_Key = TypeVar("_Key")
# A Reading that lacks nothing.
_Full = tuple[
    int, int, int, int, int, int, int, int, int, int, int, int, Sequence[int | None],
    Mapping[int, tuple[int, int]], Mapping[tuple[str, int], tuple[int, int]], bool,
]  # fmt: skip


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
    counted: Sequence[int | None] = (None,) * len(COUNTERS)  # in their order
    wifi: Mapping[int, tuple[int, int]] = {}  # rx and tx by interface row; empty: not read
    uplink: Mapping[tuple[str, int], tuple[int, int]] = {}  # by ifname and interface row
    flow_offload: bool = False  # it is on: bytes may be counted too low


class Step(NamedTuple):
    """What is even over one stretch of time."""

    from_ms: int
    to_ms: int
    amounts: Sequence[int]  # by figure
    extremes: Sequence[int | None] = (None,) * len(EXTREMES)


Pile = tuple[list[int], list[int | None]]


class StepsByStart(dict[int, Pile]):
    """Amounts and extremes of the stretches that end with one sample, by their start.

    Nearly always there is one, from the sample before.
    """

    def __missing__(self, from_ms: int) -> Pile:
        pile = self[from_ms] = ([0] * len(ADDITIVE), [None] * len(EXTREMES))
        return pile


def steps(readings: Iterable[Reading], uplink_bps: Callable[[int], float]) -> Iterator[Step]:
    """The steps of one boot's readings, in order of uptime; `uplink_bps` gives the limit then."""
    before: Reading | None = None
    wifi: Reading | None = None
    uplink: Reading | None = None
    of_run: dict[int, Reading] = {}
    for one in readings:
        if before is not None and before is wifi is uplink is of_run.get(one.run_id):
            step = _follow(before, one, uplink_bps)
            if step is not None:
                yield step
                before = wifi = uplink = of_run[one.run_id] = one
                continue
        # Mostly all four pairs are of the same two samples, so their time is that too.
        since = None if before is None else _since(before, one)
        piles = StepsByStart()
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


def _follow(before: Reading, one: Reading, uplink_bps: Callable[[int], float]) -> Step | None:
    """All that a sample says which follows as nearly all do; None if it has to be taken apart.

    The rest of this module would come to the same, in ten times as many calls.
    """
    if None in one[5:12] or None in before[10:12]:
        return None
    (
        _, _, was_up_ms, from_ms, _, _, _, _, _, _, client_0, observed_0, _, wifi_0, uplink_0,
        _,
    ) = cast(_Full, before)  # fmt: skip
    (
        _, _, up_ms, to_ms, covers_ms, clients, least, most, active, weak,
        client_1, observed_1, _, wifi_1, uplink_1, flow_offload,
    ) = cast(_Full, one)  # fmt: skip
    passed_ms, elapsed_ms = to_ms - from_ms, up_ms - was_up_ms
    slew_ms = _slew(elapsed_ms)
    client, observed = client_1 - client_0, observed_1 - observed_0
    if not (
        PEAK_MS <= elapsed_ms <= MAX_BRIDGE_MS
        and -slew_ms <= passed_ms - elapsed_ms <= slew_ms
        and passed_ms - covers_ms <= _slew(covers_ms)
        and max(clients, least, most, active, weak) <= MAX_CLIENTS
        and 0 <= observed <= elapsed_ms + slew_ms + LAG_MS
        and 0 <= client <= observed * MAX_CLIENTS
    ):
        return None
    wifi = _grown(wifi_0, wifi_1, _carried(WIRE_BPS, elapsed_ms))
    bps = min(uplink_bps(to_ms) * SLACK, WIRE_BPS)
    uplink = _grown(uplink_0, uplink_1, _carried(bps, elapsed_ms))
    if wifi is None or uplink is None:
        return None
    amounts = _IN_ORDER((
        passed_ms, observed, client, active * passed_ms, weak * passed_ms, clients * passed_ms,
        wifi[1], wifi[0], uplink[0], uplink[1], passed_ms if flow_offload else 0,
        *_counted(before, one, elapsed_ms),
    ))  # fmt: skip
    peaks = wifi[1] * 8000 // elapsed_ms, uplink[0] * 8000 // elapsed_ms
    return Step(from_ms, to_ms, amounts, _EXTREMES_IN_ORDER((least, most, *peaks)))


def _grown(
    before: Mapping[_Key, tuple[int, int]], now: Mapping[_Key, tuple[int, int]], most: float
) -> tuple[int, int] | None:
    """What all counters grew by; None unless they are the same and none of it is in doubt."""
    if before.keys() != now.keys():
        return None
    received = sent = 0
    for key, (rx, tx) in now.items():
        rx_0, tx_0 = before[key]
        if rx < rx_0 or tx < tx_0:
            return None
        received, sent = received + rx - rx_0, sent + tx - tx_0
    return (received, sent) if received <= most and sent <= most else None


def reach_ms(elapsed_ms: int) -> int:
    """How far before a sample the time since an older one can lie, when clocks are slewed."""
    elapsed_ms = min(elapsed_ms, MAX_BRIDGE_MS)
    return elapsed_ms + _slew(elapsed_ms)


def _slew(elapsed_ms: int) -> int:
    """How much of a clock's correction still passes for the same time: twice NTP's 0.05 %."""
    return 100 + elapsed_ms // 1000


def _seen(before: Reading | None, one: Reading, piles: StepsByStart) -> None:
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
    amounts[COVERED] = covers_ms
    if one.flow_offload:
        amounts[FLOW_OFFLOAD] = covers_ms
    if active is not None:
        amounts[ACTIVE], amounts[ACTIVE_OBSERVED] = active * covers_ms, covers_ms
    if weak is not None and clients is not None:
        amounts[WEAK], amounts[WEAK_OBSERVED] = weak * covers_ms, clients * covers_ms
    least, most = _count(one.clients_min), _count(one.clients_max)
    if covers_ms == 0:
        least = most = clients
    extremes[CLIENTS_MIN] = clients if least is None else least
    extremes[CLIENTS_MAX] = clients if most is None else most


def _powered(
    before: Reading | None, one: Reading, from_ms: int | None, piles: StepsByStart
) -> None:
    """The router ran since the sample before; at least a while if there is none."""
    if before is None:
        up_ms = min(BOOT_UP_MS, one.uptime_ms)
        piles[one.at_ms - up_ms][0][UP] = up_ms
        return
    if from_ms is None:
        return
    amounts, _ = piles[from_ms]
    amounts[UP] = one.at_ms - from_ms
    counted = _counted(before, one, one.uptime_ms - before.uptime_ms)
    for name, amount in zip(COUNTERS, counted, strict=True):
        amounts[ADDITIVE.index(name)] = amount


def _counted(before: Reading, one: Reading, elapsed_ms: int) -> Sequence[int]:
    """What COUNTERS grew by; 0 of a part and its whole that cannot have grown so."""
    found = [0] * _COUNTERS
    was, now = before.counted, one.counted
    for part_at, whole_at, most_s, of_run in _PAIRS:
        part_0, part_1, whole_0, whole_1 = was[part_at], now[part_at], was[whole_at], now[whole_at]
        if part_0 is None or part_1 is None or whole_0 is None or whole_1 is None:
            continue
        part, whole = part_1 - part_0, whole_1 - whole_0
        if (
            0 <= part <= whole
            and whole * 1000 <= most_s * (elapsed_ms + LAG_MS)
            and (before.run_id == one.run_id or not of_run)
        ):
            found[part_at], found[whole_at] = part, whole
    return found


def _wifi(before: Reading, one: Reading, from_ms: int | None, piles: StepsByStart) -> None:
    """Bytes over the air; known if any BSS's are, because another may just have been made."""
    elapsed_ms = one.uptime_ms - before.uptime_ms
    most = _carried(WIRE_BPS, elapsed_ms)
    grown = list(_deltas(before.wifi, one.wifi, most).values())
    received, sent = _total(grown)
    if from_ms is not None and grown and received <= most and sent <= most:
        _bytes(piles[from_ms], one.at_ms - from_ms, elapsed_ms, WIFI, sent, received)


def _uplink(
    before: Reading, one: Reading, from_ms: int | None, bps: float, piles: StepsByStart
) -> None:
    """Bytes of every uplink, for a router reports each way out once; known if each one's are."""
    elapsed_ms = one.uptime_ms - before.uptime_ms
    most = _carried(min(bps * SLACK, WIRE_BPS), elapsed_ms)
    grown = _deltas(before.uplink, one.uplink, most)
    are_known = {ifname for ifname, _ in grown} == {ifname for ifname, _ in one.uplink}
    received, sent = _total(grown.values())
    if from_ms is not None and are_known and received <= most and sent <= most:
        _bytes(piles[from_ms], one.at_ms - from_ms, elapsed_ms, UPLINK, received, sent)


def _deltas(
    before: Mapping[_Key, tuple[int, int]], now: Mapping[_Key, tuple[int, int]], most: float
) -> dict[_Key, tuple[int, int]]:
    """What each counter grew by, where that is known."""
    pairs = ((key, _delta(before.get(key), value, most)) for key, value in now.items())
    return {key: delta for key, delta in pairs if delta is not None}


def _total(grown: Iterable[tuple[int, int]]) -> tuple[int, int]:
    received = sent = 0
    for rx, tx in grown:
        received, sent = received + rx, sent + tx
    return received, sent


def _bytes(pile: Pile, known_ms: int, elapsed_ms: int, link: _Traffic, down: int, up: int) -> None:
    amounts, extremes = pile
    amounts[link.down], amounts[link.up], amounts[link.known] = down, up, known_ms
    if elapsed_ms >= PEAK_MS:
        extremes[link.peak] = down * 8000 // elapsed_ms


def _client_time(
    before: Reading | None, one: Reading, from_ms: int | None, piles: StepsByStart
) -> None:
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
        amounts, _ = piles[from_ms]
        amounts[OBSERVED], amounts[CLIENT] = observed, client


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
