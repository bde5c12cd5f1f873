"""Bytes of a BSS: its own interface's, and what its stations' own interfaces grew by.

hostapd hands a station of an AP_VLAN (4-address, dynamic VLAN, per-station) to an interface of its
own. When the station goes, the interface takes its bytes along. Rule: of these the growth counts,
from reading to reading, so that one that comes or goes costs at most its own last seconds.
Rule: a sum lives as long as this process, so its token names this life of the agent.
"""

from collections.abc import Iterable

from titik_agent.sources.counted import Counted


class BssBytes:
    """The sum of one BSS. `life` is unique among the agent's lives of one boot."""

    def __init__(self, life: str) -> None:
        self._life = life
        self._parent = ""  # token of the BSS's own counters
        self._children: dict[str, tuple[int, int]] = {}  # bytes by token
        self._newest = 0  # highest ifindex of the machine at the last reading
        self._rx_bytes = self._tx_bytes = 0  # what children have grown by
        self._had_children = False

    def read(
        self, parent: Counted, children: Iterable[tuple[int, Counted]], newest: int
    ) -> Counted:
        """The sum, at a reading of every counter; `children` with their ifindexes.

        A child that is younger than the reading before has grown from zero.
        """
        if parent.since != self._parent:
            self._rx_bytes = self._tx_bytes = 0
        counted: dict[str, tuple[int, int]] = {}
        for ifindex, child in children:
            is_new = ifindex > self._newest > 0
            before = self._children.get(child.since, (0, 0) if is_new else None)
            if before is not None:
                self._rx_bytes += child.rx_bytes - before[0]
                self._tx_bytes += child.tx_bytes - before[1]
            counted[child.since] = child.rx_bytes, child.tx_bytes
        self._parent, self._children, self._newest = parent.since, counted, newest
        self._had_children |= bool(counted)
        token = f"{parent.since}+{self._life}" if self._had_children else parent.since
        return Counted(token, parent.rx_bytes + self._rx_bytes, parent.tx_bytes + self._tx_bytes)
