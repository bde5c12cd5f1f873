"""In the machine: a real access point, clients that come and go, and both sources beside `iw`.

The one that asks over ubus has a ubusd in front of the same hostapd.

Writes what both reported at each moment to the file named on the command line; the test outside
compares. wlan0 and wlan0-1 are the access point, open and WPA2; wlan1 to wlan4 are clients.
"""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(1, os.path.join(sys.path[0], "agent"))

from tests.lab.as_ubus import UbusHostapd
from titik_agent.clock import SystemClock
from titik_agent.sampling.source import SourceError
from titik_agent.sampling.stations import Tracker
from titik_agent.sources.hostapd_control import HostapdControl
from titik_agent.sources.hostapd_ubus import HostapdUbus
from titik_agent.sources.netdev import Interfaces
from titik_agent.sources.visitors import Sketch

SOCKETS = "/run/hostapd"
UBUS = "/run/ubus.sock"
CONTROL, OVER_UBUS = "control", "ubus"  # names of the sources
ACCESS_POINT = f"""
driver=nl80211
interface=wlan0
ctrl_interface={SOCKETS}
ssid=Kupang Smart City
hw_mode=g
channel=6
ieee80211n=1
bss=wlan0-1
ctrl_interface={SOCKETS}
ssid=Kupang Office
wpa=2
wpa_key_mgmt=WPA-PSK
rsn_pairwise=CCMP
wpa_passphrase=secretsecret
"""
OPEN = 'ssid="Kupang Smart City"\nkey_mgmt=NONE'
OFFICE = 'ssid="Kupang Office"\npsk="secretsecret"'
WRONG_KEY = 'ssid="Kupang Office"\npsk="wrongwrong"'
PATIENCE_S = 60.0  # emulated, on a machine that has other things to do


def do(*command: str) -> str:
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def write(path: str, text: str) -> str:
    with open(path, "w") as file:
        file.write(text)
    return path


class Radio:
    """What the kernel says, through iw."""

    def __init__(self) -> None:
        do("modprobe", "mac80211_hwsim", "radios=5")

    def stations(self) -> dict[str, list[bool]]:
        """By interface: of each station the kernel lists, whether it is authorized."""
        return {ifname: self._stations(ifname) for ifname in ("wlan0", "wlan0-1")}

    def authorized(self) -> dict[str, int]:
        return {ifname: sum(found) for ifname, found in self.stations().items()}

    def _stations(self, ifname: str) -> list[bool]:
        command = ["iw", "dev", ifname, "station", "dump"]
        done = subprocess.run(command, check=False, text=True, capture_output=True)
        return [found == "yes" for found in re.findall(r"authorized:\s+(\w+)", done.stdout)]


class AccessPoint:
    """The real hostapd."""

    def __init__(self) -> None:
        self._config = write("/run/hostapd.conf", ACCESS_POINT)

    def start(self) -> None:
        do("hostapd", "-B", "-P", "/run/hostapd.pid", self._config)

    def stop(self) -> None:
        with open("/run/hostapd.pid") as file:
            os.kill(int(file.read()), signal.SIGTERM)
        wait_until(lambda: not os.path.exists(SOCKETS))


class Client:
    """A station: a radio with the real wpa_supplicant."""

    def __init__(self, ifname: str) -> None:
        self._ifname = ifname
        self._process: subprocess.Popen[bytes] | None = None

    def join(self, network: str) -> None:
        config = write(f"/run/{self._ifname}.conf", f"network={{\n{network}\nscan_freq=2437\n}}\n")
        self._process = subprocess.Popen(
            ["wpa_supplicant", "-i", self._ifname, "-D", "nl80211", "-c", config],
            stdout=subprocess.DEVNULL,
        )

    def leave(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()


def wait_until(true: Callable[[], bool]) -> bool:
    """False: it never was."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


class Observer:
    """The sources under test, and the record of what they reported."""

    def __init__(self, radio: Radio) -> None:
        clock = SystemClock()
        interfaces = Interfaces(None, None, clock.boot)
        self._ubus = UbusHostapd(UBUS, SOCKETS)
        self.sketches = {name: Sketch(clock) for name in (CONTROL, OVER_UBUS)}
        self._sources: dict[str, HostapdControl | HostapdUbus] = {
            CONTROL: HostapdControl(interfaces, Tracker(), self.sketches[CONTROL], SOCKETS),
            OVER_UBUS: HostapdUbus(interfaces, Tracker(), self.sketches[OVER_UBUS], [UBUS]),
        }
        self._radio = radio
        self.moments: dict[str, dict[str, Any]] = {}

    def read(self) -> dict[str, Any]:
        """What the control socket reports, and under `ubus` what ubus reports."""
        return self._read(CONTROL) | {OVER_UBUS: self._read(OVER_UBUS)}

    def _read(self, name: str) -> dict[str, Any]:
        started = time.monotonic()
        try:
            bsses = self._sources[name].read() or ()
        except SourceError as error:
            return {"failed": str(error)}
        return {
            "took_s": time.monotonic() - started,
            "clients": {bss.ifname: bss.clients for bss in bsses},
            "since": {bss.ifname: bss.since for bss in bsses},
            "tx_bytes": {bss.ifname: bss.tx_bytes for bss in bsses},
            "ssid": {bss.ifname: bss.ssid for bss in bsses},
            "channel": {bss.ifname: bss.channel for bss in bsses},
        }

    def record(self, moment: str, **more: object) -> None:
        """Read between two looks of iw that agree, so that both speak of the same instant."""
        for _ in range(20):
            before = self._radio.stations()
            output = self.read()
            if before == self._radio.stations():
                self.moments[moment] = output | {"iw": before} | more
                return

    def hear(self, happened: Callable[[], bool]) -> dict[str, float | None]:
        """Seconds from when iw first saw it until a source heard of it; None: it never did."""
        end = time.monotonic() + PATIENCE_S
        seen_at: float | None = None
        heard_at: dict[str, float] = {}
        while time.monotonic() < end and (seen_at is None or len(heard_at) < len(self._sources)):
            for name in self.pump(0.1):
                heard_at[name] = time.monotonic()
            if seen_at is None and happened():
                seen_at = time.monotonic()
        return {
            name: None
            if seen_at is None or name not in heard_at
            else max(0.0, heard_at[name] - seen_at)
            for name in self._sources
        }

    def pump(self, wait_s: float) -> set[str]:
        """The sources that heard in that time of anyone who joined or left."""
        poll = select.poll()
        for source in self._sources.values():
            for fileno in source.filenos():
                poll.register(fileno, select.POLLIN)
        poll.poll(wait_s * 1000)
        return {name for name, source in self._sources.items() if source.pump()}

    def close(self) -> None:
        for source in self._sources.values():
            source.close()
        self._ubus.close()


def has_both(output: dict[str, Any]) -> bool:
    """Both sources read both BSSes."""
    return all(len(one.get("clients", ())) == 2 for one in (output, output[OVER_UBUS]))


def main(path: str) -> None:
    radio, access_point = Radio(), AccessPoint()
    clients = {number: Client(f"wlan{number}") for number in range(1, 5)}
    observer = Observer(radio)
    observer.moments["before"] = observer.read()
    access_point.start()
    wait_until(lambda: has_both(observer.read()))
    observer.record("empty")

    clients[1].join(OPEN)
    heard_s = observer.hear(lambda: radio.authorized()["wlan0"] == 1)
    observer.record("joined", heard_s=heard_s)

    clients[2].join(OPEN)
    clients[3].join(OFFICE)
    wait_until(lambda: radio.authorized() == {"wlan0": 2, "wlan0-1": 1})
    observer.record("full")
    observer.pump(0)

    clients[4].join(WRONG_KEY)
    wait_until(lambda: len(radio.stations()["wlan0-1"]) == 2)
    observer.record("wrong key")
    observer.moments["wrong key"]["heard"] = any(observer.pump(0.2) for _ in range(20))
    clients[4].leave()

    clients[1].leave()
    heard_s = observer.hear(lambda: radio.authorized()["wlan0"] == 1)
    observer.record("left", heard_s=heard_s)

    access_point.stop()
    heard = CONTROL in observer.pump(5)
    wait_until(lambda: "failed" in observer.read()[OVER_UBUS])
    observer.moments["stopped"] = observer.read() | {"heard": heard}
    access_point.start()
    wait_until(lambda: has_both(observer.read()))
    heard_s = observer.hear(lambda: radio.authorized() == {"wlan0": 1, "wlan0-1": 1})
    observer.record("restarted", heard_s=heard_s)

    observer.close()
    left = [name for name in os.listdir("/tmp") if name.startswith("titik-ctrl-")]
    visitors = {name: sketch.count() for name, sketch in observer.sketches.items()}
    report = {"moments": observer.moments, "visitors": visitors, "left": left}
    write(path, json.dumps(report, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
