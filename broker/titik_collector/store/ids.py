"""Tables `boot` and `interface`: the store's numbers for what samples name by text.

Rule: a name gets its number when it is first needed, in the transaction of the sample.
Rule: what is kept in memory is bounded, and dropped when a transaction fails.
"""

from collections import OrderedDict
from typing import Any

from titik_collector.limits import MAX_KNOWN_IDS
from titik_collector.store.database import Database
from titik_wire.messages import Sample

Interface = tuple[str, str, str]  # role, ifname and since
Bytes = tuple[int, int]  # received and sent


class Names:
    """Numbers of boots and interfaces, kept in memory."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._boots: OrderedDict[tuple[int, str], tuple[int, bool]] = OrderedDict()
        self._interfaces: OrderedDict[tuple[int, Interface], int] = OrderedDict()

    def forget(self) -> None:
        """The transaction failed: what is in memory may not be true."""
        self._boots.clear()
        self._interfaces.clear()

    def has_boot(self, router_id: int, token: str) -> bool:
        """The store knows the boot."""
        key = (router_id, token)
        return key in self._boots or self._select_boot(key) is not None

    def was_online(self, router_id: int, token: str) -> bool:
        """The boot is in memory as one that was heard while it ran; False also if unknown."""
        return self._boots.get((router_id, token), (0, False))[1]

    def boot(self, router_id: int, token: str, online: bool) -> int:
        """The boot's number; `online` marks it as heard while it ran."""
        key = (router_id, token)
        found = self._boots.get(key)
        if found is None or (online and not found[1]):
            self._db.execute(
                "INSERT INTO boot (router_id, token, online) VALUES (?, ?, ?) ON CONFLICT"
                " (router_id, token) DO UPDATE SET online = max(online, excluded.online)",
                (router_id, token, int(online)),
            )
            found = self._select_boot(key)
            assert found is not None
            self._boots[key] = found
            _trim(self._boots)
        return found[0]

    def interface(self, router_id: int, name: Interface) -> int:
        """The interface's number."""
        found = self.find_interface(router_id, name)
        if found is None:
            self._db.execute(
                "INSERT INTO interface (router_id, role, ifname, since) VALUES (?, ?, ?, ?)",
                (router_id, *name),
            )
            found = self.find_interface(router_id, name)
            assert found is not None
        return found

    def find_interface(self, router_id: int, name: Interface) -> int | None:
        """The interface's number, None if the store has none."""
        key = (router_id, name)
        found = self._interfaces.get(key)
        if found is None:
            row = self._db.execute(
                "SELECT id FROM interface"
                " WHERE router_id = ? AND role = ? AND ifname = ? AND since = ?",
                (router_id, *name),
            ).fetchone()
            if row is None:
                return None
            found = self._interfaces[key] = row[0]
            _trim(self._interfaces)
        return found

    def new_interfaces(self, router_id: int, sample: Sample) -> list[Interface]:
        """Interfaces of a sample that have no number."""
        return [one for one in counters(sample) if self.find_interface(router_id, one) is None]

    def _select_boot(self, key: tuple[int, str]) -> tuple[int, bool] | None:
        row = self._db.execute(
            "SELECT id, online FROM boot WHERE router_id = ? AND token = ?", key
        ).fetchone()
        return None if row is None else (row[0], bool(row[1]))


def counters(sample: Sample) -> dict[Interface, Bytes]:
    """Bytes of every BSS and of the uplink, those that ended inside a merged range too."""
    found: dict[Interface, Bytes] = {}
    for past in sample.past or ():
        if past.role != "lan":
            found[past.role, past.ifname, past.since] = (past.rx_bytes, past.tx_bytes)
    for bss in sample.bss or ():
        if bss.since is not None and bss.rx_bytes is not None and bss.tx_bytes is not None:
            found["bss", bss.ifname, bss.since] = (bss.rx_bytes, bss.tx_bytes)
    for net in sample.net or ():
        if net.role == "uplink":
            found["uplink", net.ifname, net.since] = (net.rx_bytes, net.tx_bytes)
    return found


def _trim(cache: OrderedDict[Any, Any]) -> None:
    while len(cache) > MAX_KNOWN_IDS:
        cache.popitem(last=False)
