"""What hostapd's methods answer over ubus, as data, for the sections `bss` and `radios`.

Two things are not reported: `rate`, whose unit changed in 23.05, and the `bytes` of each client,
whose sum falls when one leaves.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from titik_agent.hostapd.bss_status import (
    OFF_AIR,
    BssStatus,
    possible_channel,
    utilization,
)
from titik_agent.hostapd.station import Station, one_each
from titik_agent.hostapd.ubus_blob import BlobTable, UbusError, Value, signed
from titik_wire.limits import MAX_SSID, MAX_WHOLE

# How netifd names an access point of several links (MLO). hostapd of 25.12 has one object for all
# of them, which lists the clients of the first alone; later ones list all, and have `links`.
_MLD = re.compile(r"(?:.*-)?ap-mld[0-9]+")


def parse_status(ifname: str, reply: BlobTable) -> BssStatus:
    """UbusError if the reply cannot be read."""
    names = (b"ssid", b"freq", b"channel", b"phy", b"airtime", b"status", b"links")
    ssid, freq, channel, phy, airtime, state, links = reply.pick(*names)
    active = busy = used = None
    if isinstance(airtime, BlobTable):
        active, busy, used = map(_whole, airtime.pick(b"time", b"time_busy", b"utilization"))
    if not active:  # no survey of the channel yet, or never by this driver
        active = busy = used = None
    return BssStatus(
        ifname=ifname,
        ssid=ssid[:MAX_SSID] if isinstance(ssid, str) and ssid else None,
        freq_mhz=_whole(freq),
        channel=possible_channel(_whole(channel)),
        phy=phy if isinstance(phy, str) and phy else None,
        airtime_active_ms=_possible(active),
        airtime_busy_ms=_possible(busy),
        utilization_ratio=utilization(used),
        off_air=state in OFF_AIR,
        links=len(list(links.items())) if isinstance(links, BlobTable) else None,
    )


def has_links(status: BssStatus) -> bool:
    """Whether this is an access point of several links (MLO)."""
    return status.links is not None or _MLD.fullmatch(status.ifname) is not None


class Clients(NamedTuple):
    """A reply of `get_clients`."""

    freq_mhz: int | None  # 0: no channel yet; None: no radio, 802.1X on a wire
    stations: list[Station]


def parse_clients(reply: BlobTable) -> Clients:
    """All of them or a UbusError."""
    freq, clients = reply.pick(b"freq", b"clients")
    if not isinstance(clients, BlobTable):
        raise UbusError("get_clients answered without clients")
    return Clients(freq_mhz=_whole(freq), stations=one_each(_stations(clients)))


def _stations(clients: BlobTable) -> Iterator[Station]:
    for mac, client in clients.items():
        if not isinstance(client, BlobTable):
            raise UbusError("a client is no table")
        names = (b"authorized", b"packets", b"bytes", b"signal")
        authorized, packets, sizes, signal = client.pick(*names)
        signal_dbm = _whole(signal)
        yield Station(
            mac=mac.lower(),
            authorized=bool(_whole(authorized)),
            signal_dbm=None if signal_dbm is None else signed(signal_dbm),
            received=_received(packets) or _received(sizes),
            inactive_ms=None,
        )


def _received(counters: Value | None) -> int | None:
    return _whole(counters.pick(b"rx")[0]) if isinstance(counters, BlobTable) else None


def _whole(value: Value | None) -> int | None:
    return value if isinstance(value, int) else None


def _possible(value: int | None) -> int | None:
    return value if value is not None and value <= MAX_WHOLE else None
