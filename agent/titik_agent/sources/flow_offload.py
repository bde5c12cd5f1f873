"""Whether packets of visitors take a short way that byte counters do not see: flow offload.

OpenWrt's firewall with `flow_offloading` hands known connections to a short way through the kernel
or to the switch. Counters of Wi-Fi, bridges, VLANs and PPPoE then see a part of the bytes.

Rule: what the firewall is set to is root's to read. Whether rules use the kernel's modules for it
anybody may read, and it is true at this moment.
Rule: a kernel that counts no users of its modules, or has them built in, does not say it: None.
"""

from typing import Final

from titik_agent.limits import MAX_MODULES
from titik_agent.sampling.source import SourceError

MODULES: Final = "/proc/modules"
# By rules of the firewall: of nftables, which OpenWrt has since 22.03, and of iptables before it.
_USED: Final = (b"nft_flow_offload", b"xt_FLOWOFFLOAD")


class FlowOffload:
    """Whether it is on, in a sample."""

    name = "flow_offload"
    field = "flow_offload"

    def __init__(self, path: str = MODULES) -> None:
        self._path = path

    def read(self) -> bool | None:
        """True, or None where it is off or not known: a sample says only that it is on."""
        try:
            with open(self._path, "rb") as file:
                return is_used(file.read(MAX_MODULES)) or None
        except FileNotFoundError:  # a kernel without modules
            return None
        except OSError as error:
            raise SourceError(f"{self._path}: {error.strerror}") from error


def is_used(modules: bytes) -> bool:
    """Whether a rule uses flow offload, by the kernel's list: name, size, number of users, ..."""
    for line in modules.splitlines():
        name, _, users, *_ = (*line.split(), b"", b"", b"")
        if name in _USED and users.isdigit() and int(users) > 0:
            return True
    return False
