"""How two neighbouring samples become one: a full spool loses resolution, not totals.

Rule: the merged sample speaks at the instant of the newer, with its identity, clock, `agent`,
`spool` and `kept`. So do the fields of who is there now (`clients`, `active`, `bss`, `net`,
`off_air`). They are absent where the newer could not read them.
Rule: of every byte counter `(ifname, role, since)` the last value is kept: in `bss` or `net` while
it is there at the end, else in `past`.
Rule: minima and maxima are over both, of what was observed; a failed section observed nothing.
Rule: everything else, and so a new section, is the last that was read within the range. It counts
up, carries its own time, or changes slowly.

Merging only follows the tree of aligned blocks, so the result does not depend on when it is done.
"""

import re
from dataclasses import fields, replace
from typing import Any, Final, TypeVar

from titik_wire import WireError, topics
from titik_wire.codec import decode, encode
from titik_wire.kinds import SLUG
from titik_wire.limits import MAX_PAST
from titik_wire.messages import Bss, Past, Sample

# What names one counter: role, ifname, since.
Counter = tuple[str, str, str | None]
T = TypeVar("T")

# Optional fields that speak for the range and not for its last instant: all but who is there now.
_LASTING: Final = tuple(
    one.name
    for one in fields(Sample)
    if one.default is None
    and one.name
    not in (
        "clients",
        "clients_min",
        "clients_max",
        "active",
        "bss",
        "net",
        "past",
        "truncated",
        "off_air",
        "kept",
    )
)

_ROUTER: Final = re.compile(rb'"router":"(%b)"' % SLUG.encode())


class CannotMerge(Exception):
    """The two must stay apart: one of them would lose bytes, or the result breaks a limit."""


def merge_encoded(older: bytes, newer: bytes) -> bytes:
    """`merge` for encoded samples; CannotMerge too for what this agent's contract cannot read."""
    try:
        return encode(merge(_decode(older), _decode(newer)))
    except WireError as error:
        raise CannotMerge(str(error)) from error


def merge(older: Sample, newer: Sample) -> Sample:
    """The sample that covers both ranges, which must be the two halves of an aligned block."""
    _check_halves(older, newer)
    last = _last_values(older, newer)
    bss = _merge_bss(older.bss, newer.bss, last)
    lasting: dict[str, Any] = {
        name: _last(getattr(older, name), getattr(newer, name)) for name in _LASTING
    }
    return replace(
        newer,
        first_seq=older.first_seq,
        covers_ms=older.covers_ms + newer.covers_ms,
        clients_min=_fewest(older.clients_min, newer.clients_min),
        clients_max=_most(older.clients_max, newer.clients_max),
        bss=bss,
        past=_past(last, replace(newer, bss=bss)),
        **lasting,
    )


def _decode(payload: bytes) -> Sample:
    router = _ROUTER.search(payload)
    if router is None:
        raise CannotMerge("names no router")
    # `decode` checks that this is the sample's own `router` and not some text inside it.
    sample = decode(topics.sample(router[1].decode()), payload)
    assert isinstance(sample, Sample)  # the topic says so
    return sample


def _check_halves(older: Sample, newer: Sample) -> None:
    size = older.seq - older.first_seq + 1
    if (older.router, older.run, older.boot) != (newer.router, newer.run, newer.boot):
        raise CannotMerge("of different runs")
    if (newer.first_seq, newer.seq) != (older.seq + 1, older.seq + size):
        raise CannotMerge("not neighbours of one size")
    if (older.first_seq - 1) % (2 * size):
        raise CannotMerge("not the halves of an aligned block")


def _last(older: T | None, newer: T | None) -> T | None:
    return older if newer is None else newer


def _fewest(older: int | None, newer: int | None) -> int | None:
    return min((n for n in (older, newer) if n is not None), default=None)


def _most(older: int | None, newer: int | None) -> int | None:
    return max((n for n in (older, newer) if n is not None), default=None)


def _merge_bss(
    older: tuple[Bss, ...] | None, newer: tuple[Bss, ...] | None, last: dict[Counter, Past]
) -> tuple[Bss, ...] | None:
    """The newer's BSSes, each with what the older saw of the same interface."""
    if newer is None:
        return None
    before = {bss.ifname: bss for bss in older or ()}
    merged = [
        _merge_one_bss(before.get(bss.ifname, bss), bss, last.get(("bss", bss.ifname, bss.since)))
        for bss in newer
    ]
    return tuple(merged)


def _merge_one_bss(older: Bss, newer: Bss, last: Past | None) -> Bss:
    return replace(
        newer,
        clients_min=_fewest(older.clients_min, newer.clients_min),
        clients_max=_most(older.clients_max, newer.clients_max),
        client_ms=_last(older.client_ms, newer.client_ms),
        rx_bytes=last.rx_bytes if last else newer.rx_bytes,
        tx_bytes=last.tx_bytes if last else newer.tx_bytes,
    )


def _last_values(older: Sample, newer: Sample) -> dict[Counter, Past]:
    """The last value of every counter of the range, as if it had ended."""
    before = {**_ended(older), **_present(older)}
    after = {**_ended(newer), **_present(newer)}
    for counter in before.keys() & after.keys():
        was, is_now = before[counter], after[counter]
        if is_now.rx_bytes < was.rx_bytes or is_now.tx_bytes < was.tx_bytes:
            # It has restarted under its old `since`, so its last value has no place.
            raise CannotMerge(f"counter fell: {counter}")
    return {**before, **after}


def _past(last: dict[Counter, Past], merged: Sample) -> tuple[Past, ...] | None:
    """The counters that are not there at the end, in a fixed order."""
    ended = sorted(last.keys() - _present(merged).keys(), key=str)
    if len(ended) > MAX_PAST:
        raise CannotMerge(f"{len(ended)} counters ended, at most {MAX_PAST} fit")
    return tuple([last[counter] for counter in ended]) or None


def _present(sample: Sample) -> dict[Counter, Past]:
    """The counters that could be read at the sample's instant."""
    found = [
        Past(bss.ifname, "bss", bss.since, bss.rx_bytes, bss.tx_bytes)
        for bss in sample.bss or ()
        if bss.since is not None and bss.rx_bytes is not None and bss.tx_bytes is not None
    ]
    found += [
        Past(net.ifname, net.role, net.since, net.rx_bytes, net.tx_bytes)
        for net in sample.net or ()
    ]
    return {(one.role, one.ifname, one.since): one for one in found}


def _ended(sample: Sample) -> dict[Counter, Past]:
    return {(one.role, one.ifname, one.since): one for one in sample.past or ()}
