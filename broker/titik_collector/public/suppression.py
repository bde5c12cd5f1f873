"""What of counts, rates and outages may be public: one function for every figure that leaves.

What is hard here: a total beside the cells that it sums is a second view of each cell that is not
shown. Rounding alone does not help. With six places of 4.9 visitors the total rounds to 30, so none
of them can be empty. So a total that was rounded on its own is kept within a range: in it each
hidden cell can still be anything from 0 to LEAST. The range follows from what is published beside
the total, so the limit shows nothing more.

Rule: a cell below LEAST, zero too, is FEW. Others are multiples of STEP.
Rule: a total is rounded on its own where so many cells are FEW, else the sum of what is shown.
Rule: a rate is shown where its count is. Of an outage's cause only words that are known pass.
Rule: how full a place is follows from what is shown of its count, and from its capacity.
"""

from collections.abc import Sequence
from math import ceil, floor
from typing import Final, Literal, NamedTuple

from titik_collector.languages.codes import marked
from titik_collector.web.places import FULL

LEAST = 5  # visitors: below, one of them could be found
STEP = 5
TOTAL_STEP = 10
HIDDEN = 5  # cells that are FEW, from which on a total is rounded on its own
# What people may know of an outage.
CAUSES = frozenset({marked("power cut"), marked("uplink lost"), marked("reboot")})

FEW: Final = "few"
Shown = int | Literal["few"] | None  # None: not known
# How full, from which share of the capacity on; the fullest first.
LOADS = ((FULL, marked("full")), (0.5, marked("busy")), (0.0, marked("quiet")))
USED = ("full", "busy")


class Raw(NamedTuple):
    """What is known of one place in one window; it never leaves as it is."""

    clients: float | None = None  # mean
    down_bps: float | None = None
    up_bps: float | None = None
    cause: str | None = None  # why it is away
    capacity: int | None = None  # visitors that it is meant for


class Cell(NamedTuple):
    """One place in one window, as anybody may see it."""

    clients: Shown = None
    down_bps: int | None = None  # two digits; None: not known, or not shown
    up_bps: int | None = None
    cause: str | None = None
    load: str | None = None  # one of LOADS; None: that cannot be known from what is shown


class Total(NamedTuple):
    """All places in one window, as anybody may see it."""

    clients: Shown = None  # FEW: below TOTAL_STEP, or no place has a count that is shown
    down_bps: int | None = None  # of the places that show theirs
    up_bps: int | None = None
    is_whole: bool = True  # False: only of places whose count is shown


class Published(NamedTuple):
    """One window: a cell for each place, and their total."""

    cells: tuple[Cell, ...]
    total: Total


def publish(places: Sequence[Raw]) -> Published:
    """What may leave of all places in one window."""
    cells = tuple(_cell(one) for one in places)
    clients, is_whole = _total(places, cells)
    down, up = ([getattr(one, name) for one in cells] for name in ("down_bps", "up_bps"))
    return Published(cells, Total(clients, _sum(down), _sum(up), is_whole))


def _cell(raw: Raw) -> Cell:
    cause = raw.cause if raw.cause in CAUSES else None
    if raw.clients is None:
        return Cell(cause=cause)
    if raw.clients < LEAST:
        return Cell(FEW, cause=cause, load=_load(FEW, raw.capacity))
    clients = rounded(raw.clients, STEP)
    down, up = _rate(raw.down_bps), _rate(raw.up_bps)
    return Cell(clients, down, up, cause, _load(clients, raw.capacity))


def _load(clients: Shown, capacity: int | None) -> str | None:
    """One that is FEW may be empty or have LEAST; where these are not the same, it has none."""
    if clients is None or capacity is None:
        return None
    ends = (0, LEAST) if clients == FEW else (clients, clients)
    least, most = (next(word for share, word in LOADS if one / capacity >= share) for one in ends)
    return least if least == most else None


def _total(places: Sequence[Raw], cells: Sequence[Cell]) -> tuple[Shown, bool]:
    shown = [one.clients for one in cells if isinstance(one.clients, int)]
    few = sum(one.clients == FEW for one in cells)
    if not shown and not few:
        return None, True
    if few < HIDDEN:
        return (sum(shown) if shown else FEW), not few
    whole = rounded(sum(one.clients for one in places if one.clients is not None), TOTAL_STEP)
    low, high = _limits(shown, few)
    return min(max(whole, low), high) or FEW, True


def _limits(shown: Sequence[int], few: int) -> tuple[int, int]:
    """Of the total: between them each hidden cell can be anything from 0 to LEAST."""
    least = sum(max(LEAST, one - STEP / 2) for one in shown)
    most = sum(one + STEP / 2 for one in shown) + LEAST * few  # is not reached
    return (
        TOTAL_STEP * ceil(least / TOTAL_STEP),
        TOTAL_STEP * (ceil(most / TOTAL_STEP) - 1),
    )


def rounded(number: float, step: int) -> int:
    """To a multiple of the step; what is halfway goes up."""
    return step * floor(number / step + 0.5)


def _rate(bps: float | None) -> int | None:
    """Two digits are enough for people."""
    return None if bps is None else int(float(f"{bps:.1e}"))


def _sum(rates: Sequence[int | None]) -> int | None:
    known = [one for one in rates if one is not None]
    return sum(known) if known else None
