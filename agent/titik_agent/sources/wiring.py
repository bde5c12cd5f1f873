"""How this machine's interfaces lie above and below each other, from /sys/class/net.

Rule: one question is one small file or folder, read when it is asked.
"""

import os
import re

from titik_agent.limits import MAX_DEPTH, MAX_PPPOE_FILE, MAX_SYSFS_FILE

ARPHRD_PPP = 512
# Of a Layer 3 tunnel: IPIP, IPv6 in and over IPv6, 6in4, GRE, none (WireGuard, tun, 464XLAT).
_TUNNELS = {768, 769, 776, 778, 823, 65534}
# PPP that runs inside another uplink, by netifd's names.
_PPP_TUNNELS = re.compile("pptp-|l2tp-|sstp-")
# Of a Layer 2 tunnel, as its driver names the kind of device.
_LAYER_2 = {"vxlan", "geneve", "l2tpeth", "wireguard"}
_SPEED_MBPS = re.compile("[1-9][0-9]{0,6}")


class Wiring:
    """Asks the kernel; `sysfs` and `proc` as a test or a namespace has them."""

    def __init__(self, sysfs: str = "/sys/class/net", proc: str = "/proc/net") -> None:
        self._sysfs = sysfs
        self._proc = proc

    def exists(self, ifname: str) -> bool:
        """There is such an interface now."""
        return os.path.isdir(self._path(ifname))

    def has_carrier(self, ifname: str) -> bool:
        """Its link is up; an interface that is switched off answers EINVAL."""
        return self._text(ifname, "carrier") == "1"

    def address(self, ifname: str) -> str:
        """Its link address; empty if it has none."""
        return self._text(ifname, "address")

    def speed_bps(self, ifname: str) -> float | None:
        """What its line carries, where the driver knows."""
        speed = self._text(ifname, "speed")
        return int(speed) * 1e6 if _SPEED_MBPS.fullmatch(speed) else None

    def is_bridge(self, ifname: str) -> bool:
        """It is a bridge."""
        return os.path.isdir(self._path(ifname, "bridge"))

    def is_bond(self, ifname: str) -> bool:
        """It is several ports as one line."""
        return os.path.isdir(self._path(ifname, "bonding"))

    def is_wireless(self, ifname: str) -> bool:
        """It belongs to a radio."""
        return os.path.lexists(self._path(ifname, "phy80211"))

    def is_ppp(self, ifname: str) -> bool:
        """It is a PPP session."""
        return self._text(ifname, "type") == str(ARPHRD_PPP)

    def is_tunnel(self, ifname: str) -> bool:
        """What goes through it goes out by another interface, again."""
        if self._devtype(ifname) in _LAYER_2:
            return True
        if os.path.lexists(self._path(ifname, "device")) or self.lowers(ifname):
            return False  # a modem has no link layer either, and is a device
        kind = self._text(ifname, "type")
        return (
            (kind.isdigit() and int(kind) in _TUNNELS)
            or os.path.lexists(self._path(ifname, "tun_flags"))
            or _PPP_TUNNELS.match(ifname) is not None
        )

    def is_backed(self, ifname: str, depth: int = MAX_DEPTH) -> bool:
        """There is hardware below it; a Layer 2 tunnel over GRE shows nothing else."""
        if self.is_ppp(ifname) or os.path.lexists(self._path(ifname, "device")):
            return not self.is_tunnel(ifname)
        lowers = [] if depth == 0 or self.is_tunnel(ifname) else self.lowers(ifname)
        return any([self.is_backed(one, depth - 1) for one in lowers])

    def ports(self, bridge: str) -> list[str]:
        """The ports of a bridge."""
        return self._names(self._path(bridge, "brif"), "")

    def lowers(self, ifname: str) -> list[str]:
        """What it is made of."""
        return self._names(self._path(ifname), "lower_")

    def uppers(self, ifname: str) -> list[str]:
        """What is made of it."""
        return self._names(self._path(ifname), "upper_")

    def pppoe_devices(self) -> list[str]:
        """The interface below each PPPoE session of this machine."""
        try:
            with open(os.path.join(self._proc, "pppoe"), errors="surrogateescape") as file:
                rows = [line.split() for line in file.readlines(MAX_PPPOE_FILE)]
        except OSError:
            return []  # a kernel without PPPoE
        return [row[2] for row in rows[1:] if len(row) == 3]

    def _devtype(self, ifname: str) -> str:
        lines = self._text(ifname, "uevent").splitlines()
        return next((one[8:] for one in lines if one.startswith("DEVTYPE=")), "")

    def _names(self, folder: str, prefix: str) -> list[str]:
        try:
            found = os.listdir(folder)
        except OSError:
            return []
        return sorted([one[len(prefix) :] for one in found if one.startswith(prefix)])

    def _text(self, ifname: str, name: str) -> str:
        try:
            with open(self._path(ifname, name), errors="replace") as file:
                return file.read(MAX_SYSFS_FILE).strip()
        except OSError:
            return ""

    def _path(self, ifname: str, *names: str) -> str:
        return os.path.join(self._sysfs, ifname, *names)
