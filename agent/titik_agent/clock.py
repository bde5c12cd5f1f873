"""What time it is, how long the router has been up, and whether its clock can be believed."""

import os
import time
from typing import Literal, Protocol

# OpenWrt: our hotplug script touches the first when NTP sets the clock. systemd-timesyncd writes
# the second at each synchronisation; both lie in a tmpfs, so they speak of this boot only.
NTP_MARKS = ("/var/run/titik-agent/clock_ok", "/run/systemd/timesync/synchronized")
CHRONY_MARK = "/var/lib/chrony/drift"


class Clock(Protocol):
    """The four clocks a router has; a simulation brings its own."""

    boot: str  # the kernel's boot_id

    def monotonic(self) -> float:
        """Seconds, for intervals and deadlines only."""

    def uptime_ms(self) -> int:
        """Since boot, suspended time included (CLOCK_BOOTTIME)."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970 by the router's clock, which may be months behind."""

    def quality(self) -> Literal["ntp", "guess"]:
        """`ntp` once the clock was set in this boot."""


class SystemClock:
    """This machine's clocks. `trusted` believes the wall clock without a mark (config `clock`)."""

    def __init__(self, trusted: bool = False, marks: tuple[str, ...] = NTP_MARKS) -> None:
        with open("/proc/sys/kernel/random/boot_id") as file:
            self.boot = file.read().strip()
        self._trusted = trusted
        self._marks = marks
        self._set = False

    def monotonic(self) -> float:
        return time.monotonic()

    def uptime_ms(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def quality(self) -> Literal["ntp", "guess"]:
        # Once set, a clock stays good for the boot, so the marks are not looked at again.
        self._set = self._set or self._trusted or self._marked()
        return "ntp" if self._set else "guess"

    def _marked(self) -> bool:
        return any(os.path.exists(mark) for mark in self._marks) or self._chrony_marked()

    def _chrony_marked(self) -> bool:
        """chrony rewrites its drift file while synchronised; one older than the boot is no word."""
        try:
            written = os.stat(CHRONY_MARK).st_mtime
        except OSError:
            return False
        # Nor is one of the future: the clock was then set back at boot, because it has no battery.
        now_ms = self.wall_ms()
        return now_ms - self.uptime_ms() + 60_000 < written * 1000 <= now_ms
