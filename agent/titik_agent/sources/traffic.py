"""Reads the kernel's raw counters of every interface, by ifindex; `netdev` chooses among them.

Rule: they are raw: psutil's `nowrap` would add the old value to the new one whenever an interface
is re-created, which is every `wifi reload`.
Rule: a counter belongs to an ifindex, and both are read so that they cannot be of two interfaces.
Rule: a number that no counter reaches is unknown, and says nothing of the numbers beside it.
"""

import socket
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import psutil

from titik_agent.sampling.source import SourceError
from titik_wire.limits import MAX_WHOLE

T = TypeVar("T")

READS = 3  # tries to read counters between two equal lists of interfaces


class Traffic(NamedTuple):
    """The counters of one interface, in its own point of view, since it was created.

    None: the driver gave what no counter reaches.
    """

    rx_bytes: int | None
    tx_bytes: int | None
    rx_packets: int | None
    tx_packets: int | None
    rx_errors: int | None
    tx_errors: int | None
    rx_drops: int | None
    tx_drops: int | None


class SeenInterface(NamedTuple):
    """One interface at one instant."""

    ifindex: int
    traffic: Traffic


def read_traffic() -> dict[str, Traffic]:
    """Every interface's counters, from /proc/net/dev; 64 bits wide where the driver's are."""
    return {
        ifname: Traffic(
            io.bytes_recv, io.bytes_sent, io.packets_recv, io.packets_sent,
            io.errin, io.errout, io.dropin, io.dropout,
        )
        for ifname, io in psutil.net_io_counters(pernic=True, nowrap=False).items()
    }  # fmt: skip


def read_ifindexes() -> dict[str, int]:
    """Every interface's ifindex."""
    return {ifname: ifindex for ifindex, ifname in socket.if_nameindex()}


def read_or_fail(read: Callable[[], T]) -> T:
    """What `read` gives; SourceError if the kernel has no answer that it understands."""
    try:
        return read()
    except (OSError, ValueError, IndexError, AttributeError) as error:
        # The last three: psutil at a /proc/net/dev that it cannot parse.
        raise SourceError(f"interfaces: {error}") from error


def read_all(
    traffic: Callable[[], Mapping[str, Traffic]], ifindexes: Callable[[], Mapping[str, int]]
) -> dict[str, SeenInterface]:
    """Every interface; its ifindex was the same before and after its counters were read."""
    for _ in range(READS):
        before = read_or_fail(ifindexes)
        counted = read_or_fail(traffic)
        after = read_or_fail(ifindexes)
        if before == after:
            return {
                ifname: SeenInterface(ifindex, possible(counted[ifname]))
                for ifname, ifindex in after.items()
                # The kernel allows control characters and bytes of no encoding in a name.
                if ifname in counted and ifname.isprintable()
            }
    raise SourceError("interfaces come and go faster than they can be read")


def possible(traffic: Traffic) -> Traffic:
    """The same without numbers that are negative or above 2**53."""
    if all(value is not None and 0 <= value <= MAX_WHOLE for value in traffic):
        return traffic
    return Traffic(
        *[value if value is not None and 0 <= value <= MAX_WHOLE else None for value in traffic]
    )
