"""What hostapd answers on its control interface, as data: lines of `name=value`."""

import re
from collections.abc import Callable

from titik_agent.hostapd.bss_status import (
    OFF_AIR,
    BssStatus,
    possible_channel,
    printable,
    utilization,
)
from titik_agent.hostapd.control_socket import ControlError
from titik_agent.hostapd.station import Station
from titik_agent.limits import MAX_STATIONS
from titik_wire.limits import MAX_SSID

WALKS = 3  # times a list is begun again, because a station in it left

_MAC = re.compile(rb"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_PEER = re.compile(rb"^peer_addr\[[0-9]+\]=((?:[0-9a-f]{2}:){5}[0-9a-f]{2})$", re.M)
_NUMBER = re.compile(rb"-?[0-9]{1,20}")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"e": b"\x1b"}


class CannotListError(ControlError):
    """This hostapd was built without the commands that list stations."""


def parse_status(ifname: str, reply: bytes) -> BssStatus | None:
    """None if this is not the socket of a BSS; the global one, whatever its name, refuses."""
    if reply in (b"FAIL\n", b"UNKNOWN COMMAND\n"):
        return None
    values = _fields(reply)
    if b"state" not in values:
        raise ControlError("STATUS answered without state")
    used = _number(values.get(b"chan_util_avg"))
    return BssStatus(
        ifname,
        ssid=_ssid(ifname, values),
        freq_mhz=_number(values.get(b"freq")) or 0,
        channel=possible_channel(_number(values.get(b"channel"))),
        # 0 until the first average, and for ever where the driver does not measure.
        utilization_ratio=utilization(used) if used and used > 0 else None,
        off_air=values[b"state"].decode("ascii", "replace") in OFF_AIR,
    )


def list_stations(ask: Callable[[bytes], bytes]) -> list[Station]:
    """All stations of a BSS, or a ControlError."""
    for _ in range(WALKS):
        stations = _walk(ask)
        if stations is not None:
            return stations
    raise ControlError("stations come and go faster than they can be listed")


def parse_station(reply: bytes) -> Station:
    """A reply of STA-FIRST or STA-NEXT. Without a word from the driver its figures are None."""
    mac, _, rest = reply.partition(b"\n")
    values = _fields(rest)
    if not _MAC.fullmatch(mac) or b"flags" not in values:
        # Without the reply's text: it may hold a client's address, and reasons are logged.
        raise ControlError("an answer that is no station")
    return Station(
        mac=mac.decode(),
        authorized=b"[AUTHORIZED]" in values[b"flags"],
        signal_dbm=_number(values.get(b"signal")),
        received=_number(values.get(b"rx_packets")) or _number(values.get(b"rx_bytes")),
        inactive_ms=_number(values.get(b"inactive_msec")),
        aliases=tuple([one.decode() for one in _PEER.findall(rest)]),
    )


def unescape(raw: bytes) -> bytes:
    """The inverse of hostapd's printf_encode, which prints a newline as backslash and n."""

    def plain(found: re.Match[bytes]) -> bytes:
        code, char = found.groups()
        return bytes.fromhex(code.decode()) if code else _ESCAPED.get(char, char)

    return _ESCAPE.sub(plain, raw)


def _walk(ask: Callable[[bytes], bytes]) -> list[Station] | None:
    """None if the list changed under us: a station that left cannot be asked for its next."""
    found: dict[str, Station] = {}
    reply = ask(b"STA-FIRST")
    if reply == b"UNKNOWN COMMAND\n":
        raise CannotListError("this hostapd cannot list stations (built without STA-FIRST)")
    if reply == b"FAIL\n":
        raise ControlError("STA-FIRST refused")
    while reply:
        if reply == b"FAIL\n":
            return None
        station = parse_station(reply)
        if station.mac in found:
            return None  # it left and came back: hostapd adds at the front of its list
        if len(found) == MAX_STATIONS:
            raise ControlError(f"more than {MAX_STATIONS} stations")
        found[station.mac] = station
        reply = ask(b"STA-NEXT " + station.mac.encode())
    return list(found.values())


def _ssid(ifname: str, values: dict[bytes, bytes]) -> str | None:
    """A radio's BSSes are all in the STATUS of each, numbered."""
    own = ifname.encode()
    numbers = (key[3:] for key, value in values.items() if key[:4] == b"bss[" and value == own)
    number = next(numbers, None)
    raw = unescape(values.get(b"ssid" + number, b"")) if number is not None else b""
    return printable(raw)[:MAX_SSID] or None


def _fields(reply: bytes) -> dict[bytes, bytes]:
    """The first value of each name."""
    found: dict[bytes, bytes] = {}
    for line in reply.split(b"\n"):
        name, equals, value = line.partition(b"=")
        if equals:
            found.setdefault(name, value)
    return found


def _number(raw: bytes | None) -> int | None:
    return int(raw) if raw is not None and _NUMBER.fullmatch(raw) else None
