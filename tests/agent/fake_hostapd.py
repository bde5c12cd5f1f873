"""A hostapd on real sockets, whose stations and moods are the test's.

It answers what hostapd 2.10 answers, byte for byte, quirks included: a listener that cannot be
reached is forgotten without a word; a new station goes to the front of the list; after one that
left, STA-NEXT says FAIL.
"""

import os
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

HANG = b"<hang>"  # what a `mood` returns to say nothing at all
LATE = b"<late>"  # the answer comes when the next question does
MAX_ERRORS = 10  # as in hostapd: undelivered events until a listener is forgotten

STATUS = """state=ENABLED
phy=phy0
freq={freq_mhz}
cac_time_left_seconds=N/A
channel={channel}
bss[0]=first
ssid[0]=Another BSS of this radio
bss[1]={ifname}
bssid[1]=02:00:00:00:00:01
ssid[1]={ssid}
num_sta[1]={stations}
"""


def station(mac: str, flags: str = "[AUTH][ASSOC][AUTHORIZED][WMM][HT]", **output: object) -> str:
    """What hostapd says of a station."""
    figures = {"rx_packets": 16, "tx_packets": 7, "inactive_msec": 884, "signal": -30} | output
    lines = [f"{name}={value}\n" for name, value in figures.items() if value is not None]
    return f"{mac}\nflags={flags}\naid=1\ncapability=0x431\n{''.join(lines)}connected_time=4\n"


def printf_encode(raw: bytes) -> str:
    """How hostapd prints an SSID."""
    named = {0x22: '\\"', 0x5C: "\\\\", 0x1B: "\\e", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"}
    return "".join(
        named.get(byte) or (chr(byte) if 32 <= byte <= 126 else f"\\x{byte:02x}") for byte in raw
    )


@dataclass
class FakeBss:
    """One BSS; `stations` are what hostapd says of each, the first first."""

    ifname: str
    ssid: bytes = b"Hotspot"
    stations: list[str] = field(default_factory=list)
    freq_mhz: int = 2437
    channel: int = 6
    status: str | None = None  # the whole reply instead
    mood: Callable[[bytes], bytes | None] | None = None  # answers before we do; None: we do
    held: list[tuple[bytes, bytes]] = field(default_factory=list)  # late answers, by client
    listeners: list[bytes] = field(default_factory=list)  # addresses
    errors: dict[bytes, int] = field(default_factory=dict)

    def answer(self, question: bytes, sender: bytes) -> bytes:
        command, _, argument = question.decode().partition(" ")
        match command:
            case "PING":
                return b"PONG\n"
            case "STATUS":
                return (self.status or self._status()).encode("latin-1")
            case "STA-FIRST":
                return self._station(0)
            case "STA-NEXT":
                macs = [output[:17] for output in self.stations]
                return self._station(macs.index(argument) + 1) if argument in macs else b"FAIL\n"
            case "ATTACH":
                self.listeners += [sender] if sender not in self.listeners else []
                return b"OK\n"
            case "DETACH" | "LEVEL" if sender not in self.listeners:
                return b"FAIL\n"
            case "DETACH":
                self.listeners.remove(sender)
                return b"OK\n"
            case "LEVEL":
                return b"OK\n"
            case _:
                return b"UNKNOWN COMMAND\n"

    def _status(self) -> str:
        return STATUS.format(
            freq_mhz=self.freq_mhz, channel=self.channel, ifname=self.ifname,
            ssid=printf_encode(self.ssid), stations=len(self.stations),
        )  # fmt: skip

    def _station(self, index: int) -> bytes:
        return self.stations[index].encode() if index < len(self.stations) else b""


class FakeHostapd:
    """A process with some BSSes. It answers in a thread of its own, from `start` on."""

    def __init__(self, directory: str, *bsses: FakeBss) -> None:
        self.directory = directory
        self.bsses = {bss.ifname: bss for bss in bsses}
        self._sockets: dict[str, socket.socket] = {}
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "FakeHostapd":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        os.makedirs(self.directory, exist_ok=True)
        for ifname in self.bsses:
            server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            with suppress(FileNotFoundError):
                os.unlink(self._path(ifname))
            server.bind(self._path(ifname))
            self._sockets[ifname] = server
        self._stopping, self._stop = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        """End as on SIGTERM: say so, and remove the sockets."""
        for ifname in list(self._sockets):
            self.event(ifname, "AP-DISABLED ")
            self.event(ifname, "CTRL-EVENT-TERMINATING ")
        self.kill()
        for ifname in self.bsses:
            with suppress(FileNotFoundError):
                os.unlink(self._path(ifname))
        with suppress(OSError):
            os.rmdir(self.directory)

    def kill(self) -> None:
        """End as on SIGKILL: the sockets' files stay."""
        if self._thread is None:
            return
        self._stop.close()
        self._thread.join()
        self._stopping.close()
        for server in self._sockets.values():
            server.close()
        self._sockets.clear()
        self._thread = None
        for bss in self.bsses.values():
            bss.listeners.clear()

    def join(self, ifname: str, mac: str) -> None:
        """A station is authorized."""
        self.bsses[ifname].stations.insert(0, station(mac))
        self.event(ifname, f"AP-STA-CONNECTED {mac}")

    def leave(self, ifname: str, mac: str) -> None:
        """A station goes."""
        bss = self.bsses[ifname]
        bss.stations = [output for output in bss.stations if not output.startswith(mac)]
        self.event(ifname, f"AP-STA-DISCONNECTED {mac}")

    def event(self, ifname: str, text: str) -> None:
        bss = self.bsses[ifname]
        for listener in list(bss.listeners):
            try:
                self._sockets[ifname].sendto(f"<3>{text}".encode(), socket.MSG_DONTWAIT, listener)
            except OSError:
                bss.errors[listener] = bss.errors.get(listener, 0) + 1
                if bss.errors[listener] > MAX_ERRORS:
                    bss.listeners.remove(listener)
            else:
                bss.errors.pop(listener, None)

    def _path(self, ifname: str) -> str:
        return os.path.join(self.directory, ifname)

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._stopping, selectors.EVENT_READ)
            for ifname, server in self._sockets.items():
                selector.register(server, selectors.EVENT_READ, self.bsses[ifname])
            while True:
                for key, _ in selector.select():
                    if key.data is None:
                        return
                    assert isinstance(key.fileobj, socket.socket)
                    self._reply(key.fileobj, key.data)

    def _reply(self, server: socket.socket, bss: FakeBss) -> None:
        question, sender = server.recvfrom(4096)
        reply = bss.mood(question) if bss.mood else None
        for late, to in bss.held:
            self._send(server, late, to)
        bss.held.clear()
        if reply == LATE:
            bss.held.append((bss.answer(question, sender), sender))
        elif reply != HANG:
            self._send(server, bss.answer(question, sender) if reply is None else reply, sender)

    def _send(self, server: socket.socket, reply: bytes, to: bytes) -> None:
        with suppress(OSError):  # who asked is gone
            server.sendto(reply, socket.MSG_DONTWAIT, to)
