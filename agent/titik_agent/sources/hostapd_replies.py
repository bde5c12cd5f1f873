"""What hostapd's methods answer over ubus, as data.

Two things stay unread: `rate`, whose unit changed in 23.05, and the `bytes` of each client, whose
sum falls when one leaves.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from titik_agent.blob import Table, UbusError, Value, signed
from titik_agent.stations import Station

MAX_SSID = 32


@dataclass(frozen=True, slots=True)
class BssStatus:
    """A reply of `get_status`; None is what this release or driver does not say."""

    ifname: str
    ssid: str | None = None  # since 22.03
    freq_mhz: int | None = None  # 0: no channel yet; None: no radio, 802.1X on a wire
    channel: int | None = None
    phy: str | None = None
    airtime_active_ms: int | None = None  # cumulative
    airtime_busy_ms: int | None = None  # cumulative
    utilization_ratio: float | None = None


def parse_status(ifname: str, reply: Table) -> BssStatus:
    """UbusError if the reply cannot be read."""
    ssid, freq, channel, phy, airtime = reply.pick(b"ssid", b"freq", b"channel", b"phy", b"airtime")
    active = busy = used = None
    if isinstance(airtime, Table):
        active, busy, used = map(_whole, airtime.pick(b"time", b"time_busy", b"utilization"))
    if not active:  # no survey of the channel yet, or never by this driver
        active = busy = used = None
    return BssStatus(
        ifname=ifname,
        ssid=ssid[:MAX_SSID] if isinstance(ssid, str) and ssid else None,
        freq_mhz=_whole(freq),
        channel=_within(_whole(channel), 1, 253),
        phy=phy if isinstance(phy, str) and phy else None,
        airtime_active_ms=_within(active, 0, 2**53 - 1),
        airtime_busy_ms=_within(busy, 0, 2**53 - 1),
        utilization_ratio=None if used is None else round(min(used, 255) / 255, 3),
    )


@dataclass(frozen=True, slots=True)
class Clients:
    """A reply of `get_clients`."""

    freq_mhz: int | None  # 0: no channel yet; None: no radio, 802.1X on a wire
    stations: list[Station]


def parse_clients(reply: Table) -> Clients:
    """All of them or a UbusError."""
    freq, clients = reply.pick(b"freq", b"clients")
    if not isinstance(clients, Table):
        raise UbusError("get_clients answered without clients")
    return Clients(freq_mhz=_whole(freq), stations=list(_stations(clients)))


def _stations(clients: Table) -> Iterator[Station]:
    for mac, client in clients.items():
        if not isinstance(client, Table):
            raise UbusError("a client is no table")
        authorized, packets, signal = client.pick(b"authorized", b"packets", b"signal")
        signal_dbm = _whole(signal)
        yield Station(
            mac=mac,
            authorized=bool(_whole(authorized)),
            signal_dbm=None if signal_dbm is None else signed(signal_dbm),
            packets=_packets(packets),
            inactive_ms=None,
        )


def _packets(packets: Value | None) -> int | None:
    if not isinstance(packets, Table):
        return None
    rx, tx = map(_whole, packets.pick(b"rx", b"tx"))
    return None if rx is None or tx is None else rx + tx


def _whole(value: Value | None) -> int | None:
    return value if isinstance(value, int) else None


def _within(value: int | None, minimum: int, maximum: int) -> int | None:
    return value if value is not None and minimum <= value <= maximum else None
