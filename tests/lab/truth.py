"""What is true, in the machine: how many authorized stations iw lists on each BSS, and since when.

Rule: iw is asked when the kernel says that a station came or went, and by whoever waits for one:
that a station is no longer authorized the kernel does not say.
Rule: a station that roamed is where it was last seen to join; the kernel goes on listing it at the
old BSS for two seconds.
"""

import re
import subprocess
import threading
import time
from typing import NamedTuple

from tests.lab.air import BSSES, PATIENCE_S, boottime, stations

_EVENT = re.compile(r"(\S+): (new|del) station")
_KEYS_S = 5.0  # a station that is not authorized by then has the wrong key
_AGAIN_S = 0.1


class Change(NamedTuple):
    """So many stations on a BSS from some moment on that is not before `at` and not after `by`."""

    ifname: str
    at: float  # seconds since boot, as all times here
    by: float
    clients: int


class Truth:
    """Listens from a thread of its own."""

    def __init__(self) -> None:
        now = boottime()
        self.changes = [Change(ifname, now, now, 0) for ifname in BSSES]
        self._counts = dict.fromkeys(BSSES, 0)
        self._listed: dict[str, set[str]] = {ifname: set() for ifname in BSSES}
        self._joined: dict[str, str] = {}  # by station, the BSS that it joined last
        self._known_at = dict.fromkeys(BSSES, now)
        self._look = threading.Lock()
        self._process = subprocess.Popen(["iw", "event"], text=True, stdout=subprocess.PIPE)
        threading.Thread(target=self._listen, daemon=True).start()

    def total(self) -> int:
        return sum(self._counts.values())

    def wait_for(self, ifname: str, count: int) -> None:
        """Ask until so many are there."""
        end = boottime() + PATIENCE_S
        while not self.says(ifname, count) and boottime() < end:
            time.sleep(_AGAIN_S)
        print(f"{boottime():7.1f} {self._counts[ifname]} on {ifname}", flush=True)

    def says(self, ifname: str, count: int) -> bool:
        """Ask whether so many are there."""
        self.look(ifname)
        return self._counts[ifname] == count

    def look_everywhere(self) -> None:
        for ifname in BSSES:
            self.look(ifname)

    def look(self, ifname: str, joined_at: float = 0.0) -> bool:
        """Ask iw now; False if a station is not authorized. `joined_at`: none more before that."""
        with self._look:
            asked_at = boottime()
            found = stations(ifname)
            listed = {mac for mac, authorized in found.items() if authorized}
            self._joined |= dict.fromkeys(listed - self._listed[ifname], ifname)
            self._listed[ifname] = listed
            self._compare(max(self._known_at[ifname], joined_at))
            self._known_at[ifname] = asked_at
            return all(found.values())

    def _compare(self, at: float) -> None:
        by = boottime()
        for ifname, listed in self._listed.items():
            count = sum(self._joined[mac] == ifname for mac in listed)
            if count != self._counts[ifname]:
                self._counts[ifname] = count
                self.changes.append(Change(ifname, at, by, count))

    def close(self) -> None:
        self._process.terminate()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = _EVENT.search(line)
            if event and event[1] in BSSES:
                self._follow(event[1], boottime() if event[2] == "new" else 0.0)

    def _follow(self, ifname: str, joined_at: float) -> None:
        end = boottime() + _KEYS_S
        while not self.look(ifname, joined_at) and boottime() < end:
            time.sleep(_AGAIN_S)
        for other in BSSES:
            if other != ifname:  # one that roamed is authorized in one place only
                self.look(other)
