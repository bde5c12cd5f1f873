"""hostapd's control interface: any datagrams on a real socket end in data or a ControlError.

An input is datagrams, each ended by a zero byte; the first is the answer to STATUS.
"""

import socket
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.targets import CAPTURES, folder
from titik_agent.hostapd.bss_status import BssStatus
from titik_agent.hostapd.control_replies import list_stations, parse_status
from titik_agent.hostapd.control_socket import Addresses, ControlError, ControlSocket
from titik_agent.limits import MAX_CONTROL_REPLY

FOREVER = float("inf")


def seeds() -> Sequence[bytes]:
    status = (CAPTURES / "hwsim/hostapd_status_wlan0.txt").read_bytes()
    dumps = sorted(CAPTURES.glob("hwsim/hostapd_all_sta_*"))
    found = [b"\0".join((status, *_stations(file.read_bytes()), b"", b"OK\n")) for file in dumps]
    return [
        *found,
        b"FAIL\n\0UNKNOWN COMMAND\n\0",
        status + b"\0<3>AP-STA-CONNECTED 02:00:00:00:01:00\0FAIL\n\0",
    ]


def _stations(dump: bytes) -> list[bytes]:
    """`hostapd_cli all_sta` prints one answer after the other; each begins with an address."""
    found: list[bytes] = []
    for line in dump.splitlines(keepends=True):
        if len(line) == 18 and line.count(b":") == 5:
            found.append(b"")
        if found:
            found[-1] += line
    return found


def one(data: bytes) -> None:
    hostapd = Hostapd(data.split(b"\0"))
    heard: list[bytes] = []
    try:
        ctrl = hostapd.connect(heard)
        try:
            status = parse_status("wlan0", _ask(hostapd, ctrl, b"STATUS"))
            assert status is None or isinstance(status, BssStatus)
            stations = list_stations(lambda question: _ask(hostapd, ctrl, question))
            assert len({one.mac for one in stations}) == len(stations)
            hostapd.say()
            ctrl.attach(FOREVER)
            hostapd.say()
            ctrl.pump()
        finally:
            ctrl.close()
    except ControlError:
        pass
    finally:
        hostapd.close()
    assert not any(one.startswith(b"<3>") and b">" not in one for one in heard)


def _ask(hostapd: "Hostapd", ctrl: ControlSocket, question: bytes) -> bytes:
    hostapd.say()
    return ctrl.ask(question, FOREVER)


class Hostapd:
    """Says what it was given, an answer and the events before it at a time; then it is gone."""

    def __init__(self, datagrams: Sequence[bytes]) -> None:
        self._left = [one[:MAX_CONTROL_REPLY] for one in datagrams]
        self._path = str(folder("ctrl") / "wlan0")
        Path(self._path).unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self._path)
        self._socket.settimeout(0)
        self._addresses = Seen(str(folder("ctrl")))

    def connect(self, heard: list[bytes]) -> ControlSocket:
        """A client."""
        return ControlSocket(self._addresses, self._path, heard.append)

    def say(self) -> None:
        """Up to the next answer; at most what a socket's queue holds."""
        for _ in range(8):
            if not self._left:
                break
            datagram = self._left.pop(0)
            self._socket.sendto(datagram, self._addresses.last)
            if not datagram.startswith(b"<"):
                return
        self._socket.close()

    def close(self) -> None:
        """Gone."""
        self._socket.close()
        self._addresses.close()


class Seen(Addresses):
    """Says where a client listens."""

    last = ""

    def bind(self, client: socket.socket) -> str:
        self.last = super().bind(client)
        return self.last
