"""The table of figures: what is known of a window, one row for each number, with how it adds up.

Rule: a row is a column of `rollup`, and its name ends with its unit. What a figure means stands in
the contract, at the field of `Rollup` that it is published as.
Rule: whatever computes, stores, sums or publishes figures follows from this table.
Rule: a row is only ever added at the end, because packed minutes know their columns by position.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Final, Literal, NamedTuple, get_type_hints

from titik_wire.limits import MAX_RADIOS, MAX_WHOLE
from titik_wire.messages import Sample

WINDOW: Final = "window"  # the whole time of a window, of all its routers


@dataclass(frozen=True, slots=True)
class Sum:
    """Adds up, over time and over routers. It is part of other figures."""


@dataclass(frozen=True, slots=True)
class Amount(Sum):
    """A sum that is published as it is, where a time is known for it."""

    known: str


@dataclass(frozen=True, slots=True)
class PartOf(Sum):
    """A sum that is published as a share, of another sum or of the whole window."""

    field: str
    whole: str


@dataclass(frozen=True, slots=True)
class Extreme:
    """The lowest or highest of the windows in it. At one minute a site's is the routers' sum."""

    how: Literal["min", "max"]


def thousandths(amount: int, known_ms: int) -> int | None:
    """A mean in whole parts; None where nothing is known."""
    return (amount * 1000 + known_ms // 2) // known_ms if known_ms else None


def mean(amount: int, known_ms: int) -> float | None:
    """Rounded to thousandths; None where nothing is known."""
    return (amount * 1000 + known_ms // 2) // known_ms / 1000 if known_ms else None


def rate(amount: int, known_ms: int) -> int | None:
    """Bits a second of bytes; None where nothing is known."""
    return min(amount * 8000 // known_ms, MAX_WHOLE) if known_ms else None


@dataclass(frozen=True, slots=True)
class Mean:
    """An amount by the time it is known; of a site the sum of its routers' means.

    They are summed in whole parts, so that the sum does not depend on the order.
    """

    amount: str
    known: str
    of: Callable[[int, int], float | None] = mean  # a router's, of amount and time
    parts: Callable[[int, int], int | None] = thousandths  # the same in parts
    scale: int | None = 1000  # parts of one; None: one is a part


@dataclass(frozen=True, slots=True)
class Rate(Mean):
    """Bits a second, of bytes."""

    of: Callable[[int, int], float | None] = rate
    parts: Callable[[int, int], int | None] = rate
    scale: int | None = None


@dataclass(frozen=True, slots=True)
class OfDay:
    """Is of days only, and of a site the sum of its routers'."""


@dataclass(frozen=True, slots=True)
class Routers:
    """How many routers the window is of."""


class Figures(NamedTuple):
    """The table: column, type, how it adds up, and what stands for nothing known."""

    routers: Annotated[int, Routers()] = 1
    covered_ms: Annotated[int, PartOf("coverage_ratio", WINDOW)] = 0
    up_ms: Annotated[int, PartOf("uptime_ratio", WINDOW)] = 0
    observed_ms: Annotated[int, Sum()] = 0
    client_ms: Annotated[int, Sum()] = 0
    clients_mean: Annotated[float | None, Mean("client_ms", "observed_ms")] = None
    clients_min: Annotated[int | None, Extreme("min")] = None
    clients_max: Annotated[int | None, Extreme("max")] = None
    active_ms: Annotated[int, Sum()] = 0
    active_observed_ms: Annotated[int, Sum()] = 0
    active_mean: Annotated[float | None, Mean("active_ms", "active_observed_ms")] = None
    weak_ms: Annotated[int, PartOf("weak_ratio", "weak_observed_ms")] = 0
    weak_observed_ms: Annotated[int, Sum()] = 0
    wifi_down_bytes: Annotated[int, Amount("wifi_known_ms")] = 0
    wifi_up_bytes: Annotated[int, Amount("wifi_known_ms")] = 0
    wifi_known_ms: Annotated[int, PartOf("wifi_coverage_ratio", WINDOW)] = 0
    uplink_down_bytes: Annotated[int, Amount("uplink_known_ms")] = 0
    uplink_up_bytes: Annotated[int, Amount("uplink_known_ms")] = 0
    uplink_known_ms: Annotated[int, PartOf("uplink_coverage_ratio", WINDOW)] = 0
    wifi_down_peak_bps: Annotated[int | None, Extreme("max")] = None
    uplink_down_peak_bps: Annotated[int | None, Extreme("max")] = None
    visitors_min: Annotated[int | None, OfDay()] = None
    visitors_max: Annotated[int | None, OfDay()] = None
    airtime_busy_ms: Annotated[int, PartOf("airtime_busy_ratio", "airtime_active_ms")] = 0
    airtime_active_ms: Annotated[int, Sum()] = 0
    wifi_down_bps: Annotated[int | None, Rate("wifi_down_bytes", "wifi_known_ms")] = None
    wifi_up_bps: Annotated[int | None, Rate("wifi_up_bytes", "wifi_known_ms")] = None
    uplink_down_bps: Annotated[int | None, Rate("uplink_down_bytes", "uplink_known_ms")] = None
    uplink_up_bps: Annotated[int | None, Rate("uplink_up_bytes", "uplink_known_ms")] = None
    reach_answered: Annotated[int, PartOf("internet_ratio", "reach_rounds")] = 0
    reach_rounds: Annotated[int, Sum()] = 0
    flow_offload_ms: Annotated[int, PartOf("flow_offload_ratio", WINDOW)] = 0


Count = int | None


class CounterPair(NamedTuple):
    """Two counters of a sample, a part and the whole.

    Both are columns of `sample`. What they grow by adds up in those of `rollup`.
    """

    part: str
    whole: str
    read: Callable[[Sample], tuple[Count, Count]]
    most_s: int  # what the whole grows by at most in a second; more is a broken router's
    of_run: bool  # they begin at 0 in each run, else in each boot


def together(pairs: Iterable[tuple[Count, Count]]) -> tuple[Count, Count]:
    """Sums over radios or interfaces; not known where there is none, or one is not known."""
    parts = wholes = 0
    found = False
    for part, whole in pairs:
        if part is None or whole is None:
            return None, None
        parts, wholes, found = parts + part, wholes + whole, True
    return (parts, wholes) if found else (None, None)


def _airtime(sample: Sample) -> tuple[Count, Count]:
    return together((one.airtime_busy_ms, one.airtime_active_ms) for one in sample.radios or ())


def _rounds(sample: Sample) -> tuple[Count, Count]:
    reach = sample.reach
    return (None, None) if reach is None else (reach.answered, reach.attempts)


COUNTED: Final = (
    CounterPair("airtime_busy_ms", "airtime_active_ms", _airtime, MAX_RADIOS * 1000, of_run=False),
    CounterPair("reach_answered", "reach_rounds", _rounds, 1, of_run=True),
)


def counted(sample: Sample) -> tuple[Count, ...]:
    """The counters of a sample, in the order of `COUNTERS`."""
    return tuple([value for one in COUNTED for value in one.read(sample)])


KINDS: Final[dict[str, object]] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(Figures, include_extras=True).items()
}
ADDITIVE: Final = tuple(name for name, kind in KINDS.items() if isinstance(kind, Sum))
EXTREMES: Final = {name: kind.how for name, kind in KINDS.items() if isinstance(kind, Extreme)}
MEANS: Final = {name: kind for name, kind in KINDS.items() if isinstance(kind, Mean)}
RATES: Final = {name: kind for name, kind in MEANS.items() if isinstance(kind, Rate)}
OF_DAY: Final = tuple(name for name, kind in KINDS.items() if isinstance(kind, OfDay))
# For which bytes are known.
KNOWN_TIMES: Final = tuple(
    dict.fromkeys(kind.known for kind in KINDS.values() if isinstance(kind, Amount))
)
COUNTERS: Final = tuple(name for one in COUNTED for name in (one.part, one.whole))
