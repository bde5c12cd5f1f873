"""In the machine: an evening at a hotspot, with the real agent on the real hostapd.

Six phones join, roam, sleep, leave and die without a word, hostapd is started again, and the
uplink is slow, lossy, cut and unplugged. Writes what was true to the file named on the command
line; the test outside compares it with what the collector stored.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(1, os.path.join(sys.path[0], "agent"))

from tests.lab.air import (
    ADDRESS,
    BSSES,
    INACTIVE_S,
    OFFICE,
    OPEN,
    PRIVATE_RULES,
    AccessPoint,
    Phone,
    Phones,
    Uplink,
    boottime,
    counters,
    do,
    dump,
    read,
    wait_until,
)
from tests.lab.truth import Truth

ROOT = sys.path[0]
APART_S = 6.0  # joins and leaves that must be seen at once
SPOOL = "/run/titik"
MARK = 200  # bytes; a sample is larger, the other files are not
INTERVAL_S = 10.0  # of the agent's samples
DATAGRAMS = 600
DATAGRAM = 1000  # bytes


class Agent:
    """The real one, a process."""

    def __init__(self, config: str) -> None:
        code = "from titik_agent.__main__ import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, "run", "--config", config],
            env={**os.environ, "PYTHONPATH": os.path.join(ROOT, "agent")},
            stderr=open("/lab-out/agent.log", "w"),  # noqa: SIM115 # the agent's, as long as it runs
        )

    def has_sampled(self) -> bool:
        return os.path.exists(SPOOL) and any(
            os.path.getsize(os.path.join(SPOOL, name)) > MARK for name in os.listdir(SPOOL)
        )

    def is_connected(self) -> bool:
        output = read("/lab-out/agent.log")
        return output.count("broker connected\n") > output.count("broker unreachable ")

    def rss_bytes(self) -> int:
        return int(read(f"/proc/{self._process.pid}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)


class Evening:
    """What happens, and the record of what was true."""

    def __init__(self, config: str) -> None:
        do("modprobe", "mac80211_hwsim", "radios=8", PRIVATE_RULES)
        do("sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1",
           "net.ipv6.conf.default.disable_ipv6=1")  # fmt: skip
        self.uplink = Uplink()
        self.access_point = AccessPoint()
        self.access_point.start()
        wait_until(self._is_on_air, "hostapd is on the air")
        self.bssids = self.access_point.bssids()
        self.phones = Phones(range(2, 8))
        self.truth = Truth()
        self.record: dict[str, Any] = {"steps": [], "traffic": []}
        self._past: dict[str, list[int]] = {}  # bytes of interfaces that are no more
        self._agent = Agent(config)
        wait_until(self._agent.has_sampled, "the first sample")

    def _is_on_air(self) -> bool:
        return all(os.path.exists(f"/run/hostapd/{ifname}") for ifname in BSSES)

    def step(self, name: str) -> None:
        self.record["steps"].append((boottime(), name))
        print(f"{boottime():7.1f} {name}", flush=True)

    def mark(self, name: str) -> None:
        """A file whose time is that of the clock outside, which runs ahead of the machine's."""
        open(f"/lab-out/{name}", "w").close()

    def until(self, ifname: str, count: int) -> None:
        """Until so many are on that BSS, and then long enough to see it apart from what follows."""
        self.truth.wait_for(ifname, count)
        time.sleep(APART_S)

    def join(self, phone: Phone, ifname: str) -> None:
        self.truth.look(ifname)
        phone.join(OFFICE if ifname.endswith("-1") else OPEN, self.bssids[ifname])

    def leave(self, phone: Phone, ifname: str) -> None:
        """The last one there."""
        self.truth.look(ifname)
        phone.leave()
        self.until(ifname, 0)

    def arrive(self) -> None:
        self.step("four phones join, one on each BSS")
        for phone, ifname in zip(self.phones, BSSES, strict=False):
            self.join(phone, ifname)
            self.until(ifname, 1)
        self.step("two phones join at once")
        self.join(self.phones[4], "wlan0")
        self.join(self.phones[5], "wlan0-1")
        wait_until(lambda: self.truth.total() == 6, "six phones")
        self.step("all ask for an address")
        for phone in self.phones:
            phone.ask_for_address()

    def transfer(self, name: str, up: Phone, up_by: str, down: Phone, down_by: str) -> None:
        """Datagrams from one phone and to another, between two samples that see all of them."""
        self.step(f"traffic {name}")
        started_at = boottime()
        before = {ifname: counters(ifname) for ifname in BSSES}
        were = {ifname: dump(ifname) for ifname in BSSES}
        with up.socket() as uploading, down.socket() as downloading, _here() as here:
            uploaded = sum(_send(uploading, here, (ADDRESS, 9000)) for _ in range(DATAGRAMS // 20))
            downloaded = sum(
                _send(here, downloading, (down.address, 9000)) for _ in range(DATAGRAMS // 20)
            )
        after = {ifname: counters(ifname) for ifname in BSSES}
        are = {ifname: dump(ifname) for ifname in BSSES}
        moved = [(up_by, 0, "rx", uploaded, up.mac), (down_by, 1, "tx", downloaded, down.mac)]
        for ifname, column, direction, arrived, mac in moved:
            self.record["traffic"].append(
                {
                    "ifname": ifname,
                    "direction": direction,
                    "from_s": started_at,
                    "to_s": boottime(),
                    "arrived": arrived,
                    "kernel_bytes": after[ifname][column] - before[ifname][column],
                    "station_bytes": _difference(were, are, ifname, mac, f"{direction} bytes"),
                    "station_packets": _difference(were, are, ifname, mac, f"{direction} packets"),
                }
            )
        time.sleep(INTERVAL_S)

    def roam(self) -> None:
        self.step("a phone roams from 2.4 to 5 GHz")
        self.truth.look_everywhere()
        self.phones[0].roam(self.bssids["wlan1"])
        self.truth.wait_for("wlan1", 2)
        self.until("wlan0", 1)

    def sleep_and_die(self) -> None:
        wait_until(self._agent.is_connected, "the agent connects")
        self.step("one falls asleep, one dies")
        self.phones[1].sleep()
        self.phones[2].vanish()
        self.record["died_s"] = boottime()

    def lossy_uplink(self) -> None:
        self.step("uplink: delay and loss")
        self.uplink.spoil("delay", "200ms", "50ms", "loss", "10%")
        self.leave(self.phones[3], "wlan1-1")
        self.join(self.phones[3], "wlan1-1")
        self.until("wlan1-1", 1)
        self.uplink.spoil("loss", "100%")
        self.step("uplink: cut")
        self.leave(self.phones[4], "wlan0")
        time.sleep(INTERVAL_S)
        self.mark("mended")
        self.uplink.spoil()
        self.step("uplink: mended")
        self.join(self.phones[4], "wlan0")
        self.until("wlan0", 1)
        self.uplink.unplug()
        self.step("uplink: unplugged")
        time.sleep(INTERVAL_S)
        self.mark("plugged in")
        self.uplink.plug_in()
        self.step("uplink: plugged in")

    def burial(self) -> None:
        """hostapd gives up on the phone that died; the other one there is never idle."""
        self.step("wait for hostapd to miss the dead phone")
        end = boottime() + 2 * INACTIVE_S
        with self.phones[0].socket() as talking:
            while not self.truth.says("wlan1", 1) and boottime() < end:
                talking.sendto(b"still here", (ADDRESS, 9000))
                time.sleep(1)
        time.sleep(APART_S)
        self.record["buried_s"] = boottime()

    def come_and_go(self) -> None:
        """With no death to come between: both changes have their time to themselves."""
        self.step("one leaves and comes back")
        self.leave(self.phones[3], "wlan1-1")
        self.join(self.phones[3], "wlan1-1")
        self.until("wlan1-1", 1)

    def restart(self) -> None:
        """What `wifi` does on a router."""
        self.step("hostapd is started again")
        self.phones[1].wake()
        time.sleep(INTERVAL_S)  # what an interface counted since the last sample goes with it
        started_at = boottime()
        here = self.truth.total()
        self._set_aside()
        self.truth.look_everywhere()
        self.access_point.stop()
        time.sleep(2)
        self.truth.look_everywhere()
        self.access_point.start()
        wait_until(self._is_on_air, "hostapd is back")
        wait_until(lambda: self.truth.total() == here, "all are back")
        self.record["restart"] = [started_at, boottime()]
        time.sleep(INTERVAL_S + 3)  # a sample has the new interfaces: bytes count from there on

    def go_home(self) -> None:
        self.step("two leave")
        self.leave(self.phones[3], "wlan1-1")
        self.leave(self.phones[0], "wlan1")
        self.step("the last samples")
        wait_until(self._agent.is_connected, "the agent connects again")
        time.sleep(INTERVAL_S + 3)

    def end(self) -> None:
        self.truth.look_everywhere()
        self.record |= {
            "changes": [change._asdict() for change in self.truth.changes],
            "kernel": {ifname: self._bytes(ifname) for ifname in BSSES},
            "leases": len(read("/run/leases").splitlines()),
            "meminfo": read("/proc/meminfo").splitlines()[:3],
            "agent_rss_bytes": self._agent.rss_bytes(),
            "stopped_s": boottime(),
            "status": self._agent.stop(),
        }
        from titik_agent.spool.spool import Spool  # not while the agent needs the memory

        spool = Spool(SPOOL)
        self.record["spool"] = spool.held()
        spool.close()
        self.truth.close()

    def _bytes(self, ifname: str) -> list[int]:
        past = self._past.get(ifname, [0, 0])
        return [old + new for old, new in zip(past, counters(ifname), strict=True)]

    def _set_aside(self) -> None:
        """hostapd removes the interfaces that it made, and their counters."""
        self._past = {ifname: self._bytes(ifname) for ifname in BSSES if ifname.endswith("-1")}


def _here() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((ADDRESS, 9000))
    made.settimeout(0.5)
    return made


def _send(sender: socket.socket, receiver: socket.socket, to: tuple[str, int]) -> int:
    """Twenty datagrams, which no queue is too short for; how many arrived."""
    for _ in range(20):
        sender.sendto(b"x" * DATAGRAM, to)
    arrived = 0
    try:
        while arrived < 20:
            receiver.recv(2000)
            arrived += 1
    except TimeoutError:
        pass
    return arrived


def _difference(were: Any, are: Any, ifname: str, mac: str, name: str) -> int:
    return int(are[ifname][mac][name]) - int(were[ifname][mac][name])


def main(config: str, path: str) -> None:
    evening = Evening(config)
    phones = evening.phones
    evening.arrive()
    evening.transfer("before", phones[0], "wlan0", phones[3], "wlan1-1")
    evening.roam()
    evening.sleep_and_die()
    evening.transfer("after roaming", phones[0], "wlan1", phones[5], "wlan0-1")
    evening.lossy_uplink()
    evening.burial()
    evening.come_and_go()
    evening.restart()
    evening.transfer("after the restart", phones[5], "wlan0-1", phones[4], "wlan0")
    evening.go_home()
    evening.end()
    with open(path, "w") as file:
        json.dump(evening.record, file, indent=1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
