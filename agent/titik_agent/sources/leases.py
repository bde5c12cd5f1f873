"""How many devices hold a DHCP lease, counted in dnsmasq's lease files.

Rule: addresses and names stay in `count_devices`; only a number leaves it.
Rule: a lease is held unless its expiry is a time, the clock is believed, and the time has passed.
"""

import os
import re
import time

from titik_agent.clock import Clock
from titik_agent.limits import MAX_LEASE_FILE
from titik_agent.sampling.source import SourceError

READS = 3  # dnsmasq writes in place: tries to read a file that did not change at the same time
# dnsmasq writes its file within milliseconds. One that was left alone for so long is whole. A power
# cut may have taken its last newline, or left NULs in place of what was not on the disk yet.
LEFT_ALONE_NS = 10 * 10**9
# `<expiry> <hardware address> <IPv4 address> <hostname> <client id>`. A device without a hardware
# address has `00-` there; one that is not on Ethernet has its type before it, as `06-aa:bb:...`.
IPV4_ROW = re.compile(
    rb"(\d{1,20}) ((?:[0-9a-f]{2}-)?(?:[0-9a-f]{2}(?::[0-9a-f]{2})*)?) (\d+\.\d+\.\d+\.\d+)(?: |$)",
    re.I,
)
# `<expiry> <IAID> <IPv6 address> ...`, after the server's own `duid ...`. Both are of devices that
# are also, or only, reached over IPv6, and name no hardware address, so they are not counted.
IPV6_ROW = re.compile(rb"duid |\d{1,20} T?\d+ [0-9a-f:]*:[0-9a-f:.]*(?: |$)", re.I)
# A dnsmasq built for boards without a clock (HAVE_BROKEN_RTC) writes how long a lease lasts. Others
# write when it ends. No lease lasts 31 years, and no lease ended before 2001.
LONGEST_S = 1_000_000_000


class LeasesSource:
    """The number of devices with a lease, in a sample."""

    name = "leases"
    field = "leases"

    def __init__(self, clock: Clock, paths: tuple[str, ...]) -> None:
        self._clock = clock
        self._paths = paths

    def read(self) -> int | None:
        """None: there is no lease file, so dnsmasq serves no DHCP here."""
        files = [text for path in self._paths if (text := read_unchanged(path)) is not None]
        if not files:
            return None
        believed = self._clock.quality() == "ntp"
        return count_devices(files, self._clock.wall_ms() // 1000 if believed else None)


def read_unchanged(path: str) -> bytes | None:
    """The whole file, from a moment in which it did not change; None if there is none.

    Without a last newline it may be half written, so it has to have been left alone for a while.
    """
    try:
        # Anybody may make a pipe of this name on a machine without dnsmasq; it is not waited for.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            for _ in range(READS):
                before = os.fstat(file.fileno())
                file.seek(0)
                text = file.read(MAX_LEASE_FILE + 1)
                after = os.fstat(file.fileno())
                if len(text) > MAX_LEASE_FILE:
                    raise SourceError(f"{path}: larger than {MAX_LEASE_FILE} bytes")
                same = (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
                left_alone = abs(time.time_ns() - after.st_mtime_ns) > LEFT_ALONE_NS
                whole = text[-1:] in (b"", b"\n") or left_alone
                if same and len(text) == after.st_size and whole:
                    return text.rstrip(b"\0")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    raise SourceError(f"{path}: still being written")


def count_devices(files: list[bytes], now_s: int | None) -> int:
    """Different devices with a lease in any of the files. `now_s` None: the time is not known."""
    devices: set[bytes] = set()
    for text in files:
        lines = [line for line in text.splitlines() if line.strip()]
        rows = [row for line in lines if (row := IPV4_ROW.match(line)) is not None]
        if lines and not rows and not any(IPV6_ROW.match(line) for line in lines):
            raise SourceError("not a lease file")
        for row in rows:
            expiry, hardware, address = row.groups()
            if is_held(int(expiry), now_s):
                devices.add(
                    address if hardware.endswith(b"-") or not hardware else hardware.lower()
                )
    return len(devices)


def is_held(expiry: int, now_s: int | None) -> bool:
    """0 is for ever, and a small number is a duration: dnsmasq itself drops what has ended."""
    return expiry < LONGEST_S or now_s is None or expiry > now_s
