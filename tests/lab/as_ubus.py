"""In the machine: what hostapd reports on its control socket, in the form of OpenWrt's ubus.

Names, nesting and widths are those of tests/captures/s-get_clients-*. Rule: every answer is asked
of hostapd just then; nothing is remembered.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from tests.agent.fake_ubusd import FakeUbusd, Wide, encode
from titik_agent.hostapd import ubus
from titik_agent.hostapd.control_replies import parse_status
from titik_agent.hostapd.control_socket import Addresses, ControlError, ControlSocket

_EVENTS = {
    b"AP-STA-CONNECTED": "sta-authorized",
    b"AP-STA-DISCONNECTED": "deauth",
    b"AP-STA-POSSIBLE-PSK-MISMATCH": "key-mismatch",
}
_FLAGS = {"auth": "AUTH", "assoc": "ASSOC", "authorized": "AUTHORIZED", "preauth": "PREAUTH"}
_FLAGS |= {"wds": "WDS", "wmm": "WMM", "ht": "HT", "vht": "VHT", "wps": "WPS", "mfp": "MFP"}
_LOOK_S = 0.05
_ANSWER_S = 5.0


class UbusHostapd:
    """A ubusd with an object for each BSS of the hostapd in `directory`, as long as it has it."""

    def __init__(self, path: str, directory: str) -> None:
        self._ubusd = FakeUbusd(path)
        self._directory = directory
        self._questions, self._events = Addresses("/run"), Addresses("/run")  # one of each thread
        self._listeners: dict[str, ControlSocket] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ubusd.start()
        self._thread.start()

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        self._ubusd.stop()
        for listener in self._listeners.values():
            listener.close()
        self._questions.close()
        self._events.close()

    def _run(self) -> None:
        while not self._is_over.wait(_LOOK_S):
            there = os.listdir(self._directory) if os.path.isdir(self._directory) else []
            for ifname in set(there) - self._listeners.keys():
                self._appear(ifname)
            for ifname, listener in list(self._listeners.items()):
                if ifname not in there or not _hears(listener):
                    self._listeners.pop(ifname).close()
                    self._ubusd.remove(f"hostapd.{ifname}")

    def _appear(self, ifname: str) -> None:
        server = os.path.join(self._directory, ifname)
        try:
            listener = ControlSocket(
                self._events, server, lambda event: self._notify(ifname, event)
            )
        except ControlError:
            return  # not listening yet, or no more
        try:
            attached = listener.attach(time.monotonic() + _ANSWER_S)
        except ControlError:
            attached = False
        if not attached:
            listener.close()
            return
        methods: dict[str, Callable[[], bytes | int | None]] = {
            "get_clients": lambda: self._answer(server, lambda ask: _clients(ifname, ask)),
            "get_status": lambda: self._answer(server, lambda ask: _status(ifname, ask)),
        }
        self._ubusd.add(f"hostapd.{ifname}", methods)
        self._listeners[ifname] = listener

    def _notify(self, ifname: str, event: bytes) -> None:
        name, _, rest = event.partition(b" ")
        if name in _EVENTS and ifname in self._listeners:
            mac = rest.split(b" ")[0].decode()
            self._ubusd.notify(f"hostapd.{ifname}", _EVENTS[name], {"address": mac})

    def _answer(
        self, server: str, make: Callable[[Callable[[bytes], bytes]], dict[str, Any]]
    ) -> bytes | int:
        end = time.monotonic() + _ANSWER_S
        try:
            with closing(ControlSocket(self._questions, server)) as ctrl:
                return encode(make(lambda question: ctrl.ask(question, end)))
        except ControlError:
            return ubus.NOT_FOUND


def _hears(listener: ControlSocket) -> bool:
    try:
        listener.pump()
    except ControlError:
        return False
    return True


def _status(ifname: str, ask: Callable[[bytes], bytes]) -> dict[str, Any]:
    raw = ask(b"STATUS")
    status = parse_status(ifname, raw)
    assert status is not None
    phy = next(
        line[4:] for line in raw.decode("utf-8", "replace").splitlines() if line[:4] == "phy="
    )
    return {
        "status": "ENABLED",
        "ssid": status.ssid,
        "freq": status.freq_mhz,
        "channel": status.channel,
        "phy": phy,
    }


def _clients(ifname: str, ask: Callable[[bytes], bytes]) -> dict[str, Any]:
    clients = {}
    answer = ask(b"STA-FIRST")
    while answer and not answer.startswith(b"FAIL"):
        mac, _, rest = answer.decode().partition("\n")
        clients[mac] = _client(
            dict(line.split("=", 1) for line in rest.splitlines() if "=" in line)
        )
        answer = ask(b"STA-NEXT " + mac.encode())
    return {"freq": _status(ifname, ask)["freq"], "clients": clients}


def _client(output: dict[str, str]) -> dict[str, Any]:
    def both(name: str, kind: type[int] = int) -> dict[str, int]:
        return {way: kind(output.get(f"{way}_{name}", 0)) for way in ("rx", "tx")}

    def rate(way: str) -> int:
        return int(output.get(f"{way}_rate_info", "0").split()[0]) * 100

    return {
        **{name: f"[{flag}]" in output["flags"] for name, flag in _FLAGS.items()},
        "rrm": [0, 0, 0, 0, 0],
        "aid": int(output.get("aid", 0)),
        "bytes": both("bytes", Wide),
        "airtime": {"rx": Wide(0), "tx": Wide(0)},
        "packets": both("packets"),
        "rate": {"rx": rate("rx"), "tx": rate("tx")},
        "signal": int(output.get("signal", 0)),
        "capabilities": {},
    }
