"""The ubus client: whatever a server sends on a real socket ends in data or a UbusError.

An input whose first byte is even is the server's bytes. Otherwise it is messages that are
framed and greeted for it: kind, seq, length, and the body.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache

from tests.agent.fake_ubusd import Wide, encode
from tests.fuzz.targets import CAPTURES, folder
from titik_agent.hostapd import ubus, ubus_blob
from titik_agent.hostapd.ubus import Ubus, UbusEvent
from titik_agent.hostapd.ubus_blob import BlobTable, UbusError
from titik_agent.hostapd.ubus_replies import parse_clients, parse_status

LONGEST = 1 << 16
PATIENCE_S = 5.0
CLIENT = {"authorized": True, "signal": -50, "packets": {"rx": 1, "tx": Wide(2**40)}}
CLIENTS = encode({"freq": 2437, "clients": {"02:00:00:00:00:01": CLIENT, "": CLIENT}})
STATUS = encode(
    {"ssid": "Kupang", "freq": 2437, "channel": 6, "phy": "phy0", "airtime": {"time": Wide(9)}}
)


def seeds() -> Sequence[bytes]:
    lines = (CAPTURES / "g-ubus-wire-hex.txt").read_text().splitlines()
    wire = [bytes.fromhex(line.split()[2]) for line in lines if line.startswith("hostapd")]
    ok = ubus_blob.number_attribute(ubus.ATTR_STATUS, ubus.OK)
    found = ubus_blob.text_attribute(ubus.ATTR_OBJPATH, "hostapd.phy0-ap0")
    found += ubus_blob.number_attribute(ubus.ATTR_OBJID, 7)
    own = ubus_blob.number_attribute(ubus.ATTR_OBJID, 9)
    output = ubus_blob.text_attribute(ubus.ATTR_METHOD, "assoc")
    output += ubus_blob.attribute(ubus.ATTR_DATA, encode({"address": "02:00:00:00:00:01"}))
    clients, status = (ubus_blob.attribute(ubus.ATTR_DATA, one) for one in (CLIENTS, STATUS))
    whole = [
        (ubus.DATA, 1, found), (ubus.STATUS, 1, ok), (ubus.DATA, 2, clients), (ubus.STATUS, 2, ok),
        (ubus.DATA, 3, status), (ubus.STATUS, 3, ok), (ubus.DATA, 4, own), (ubus.STATUS, 4, ok),
        (ubus.STATUS, 5, ok), (ubus.INVOKE, 0, output), (ubus.STATUS, 6, ok),
        (ubus.UNSUBSCRIBE, 0, b""),
    ]  # fmt: skip
    framed = [b"\1" + b"".join(_packed(*one) for one in whole[:upto]) for upto in (2, 4, 12)]
    short = b"\1" + _packed(ubus.STATUS, 1, ubus_blob.attribute(ubus.ATTR_STATUS, b"\0\0"))
    return [b"\0" + b"".join(wire), *(b"\0" + one for one in wire), *framed, short]


def _packed(kind: int, seq: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, seq, len(body)) + body


def one(data: bytes) -> None:
    server = _server()
    server.say(_stream(data[:LONGEST]))
    heard: list[UbusEvent] = []
    client = Ubus([server.path], heard.append)
    end = time.monotonic() + PATIENCE_S
    try:
        client.open(end)
        _use(client, end)
    except UbusError:
        pass
    finally:
        client.close()
    for event in heard:
        with suppress(UbusError):
            event.data.pick(b"address")
    assert time.monotonic() < end, "waited for a server that had hung up"


def _use(client: Ubus, end: float) -> None:
    """What the hostapd source asks, going on after a refusal."""
    steps: list[Callable[[], object]] = [
        lambda: parse_clients(client.call(7, "get_clients", end)),
        lambda: parse_status("phy0-ap0", client.call(7, "get_status", end)),
        lambda: client.subscribe(7, end),
        lambda: client.listen("ubus.object.*", end),
        lambda: _walk(client.call(7, "get_clients", end)),
    ]
    client.lookup("hostapd.*", end)
    for step in steps:
        with suppress(UbusError):
            step()
    while client.is_open:
        client.pump()


def _walk(table: BlobTable) -> None:
    """Every value, as far down as anything reads."""
    for _, value in table.items():
        if isinstance(value, BlobTable):
            for _, inner in value.items():
                assert inner is None or isinstance(inner, int | float | str | BlobTable)


def _stream(data: bytes) -> bytes:
    if not data or data[0] % 2 == 0:
        return data[1:]
    found = _message(ubus.HELLO, 0, b"")
    at = 1
    while at + 4 <= len(data):
        kind, seq, length = struct.unpack_from(">BBH", data, at)
        found += _message(kind, seq, data[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def _message(kind: int, seq: int, body: bytes) -> bytes:
    return struct.pack(">BBHI", 0, kind, seq, 1) + ubus_blob.attribute(0, body)


class Server(threading.Thread):
    """Sends each client what it was asked to, hears nothing, and hangs up."""

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self.path = path
        self._stream = b""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen()

    def say(self, stream: bytes) -> None:
        """To the next client."""
        self._stream = stream

    def run(self) -> None:
        while True:
            client, _ = self._listener.accept()
            with client, suppress(OSError):
                client.sendall(self._stream)
                client.shutdown(socket.SHUT_WR)
                while client.recv(1 << 16):
                    pass


@cache
def _server() -> Server:
    server = Server(str(folder("ubus") / "ubus"))
    server.start()
    return server
