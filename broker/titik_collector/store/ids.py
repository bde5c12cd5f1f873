"""Tables `boot` and `interface`: the store's numbers for what samples name by text.

Rule: what a batch names is read in one go, and what is new of it is written in one go, before its
samples. Until then it has the number 0.
Rule: what is kept in memory is bounded, and dropped when a transaction fails.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from titik_collector.limits import MAX_KNOWN_IDS
from titik_collector.store.database import Database
from titik_wire.messages import Sample

Interface = tuple[str, str, str]  # role, ifname and since
Bytes = tuple[int, int]  # received and sent
Counters = Mapping[Interface, Bytes]
BootName = tuple[int, str]  # router, and the boot's id
InterfaceName = tuple[int, Interface]  # with its router


@dataclass(slots=True, eq=False)
class NamedBoot:
    """A boot by its name; `Names.write` writes what is changed here."""

    name: BootName
    id: int = 0
    online: bool = False  # heard while it ran
    prompt_ms: int | None = None  # when it began, by samples that came as they were taken


class Names:
    """Boots and interfaces, kept in memory."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._boots: OrderedDict[BootName, NamedBoot | None] = OrderedDict()
        self._interfaces: OrderedDict[InterfaceName, int | None] = OrderedDict()
        self._changed: dict[BootName, NamedBoot] = {}
        self._new_interfaces: list[InterfaceName] = []

    def read(self, boots: Iterable[BootName], interfaces: Iterable[InterfaceName]) -> None:
        """Those that are not in memory, as far as the store knows them."""
        new_boots = {one for one in boots if one not in self._boots}
        if new_boots:
            self._boots.update(dict.fromkeys(new_boots))
            self._boots |= self._stored_boots(new_boots)
        new_interfaces = {one for one in interfaces if one not in self._interfaces}
        if new_interfaces:
            self._interfaces.update(dict.fromkeys(new_interfaces))
            self._interfaces |= self._stored_interfaces(new_interfaces)

    def forget(self) -> None:
        """The transaction failed, or time jumped: what is in memory may not be true."""
        self._boots.clear()
        self._interfaces.clear()
        self._changed.clear()
        self._new_interfaces.clear()

    def trim(self) -> None:
        """Bound what is kept in memory; called between batches."""
        _trim(self._boots)
        _trim(self._interfaces)

    def find_boot(self, router_id: int, boot_name: str) -> NamedBoot | None:
        """The boot if the store knows it, or `make_boot` made it."""
        name = (router_id, boot_name)
        if name not in self._boots:
            self.read([name], ())
        return self._boots[name]

    def make_boot(self, router_id: int, boot_name: str) -> NamedBoot:
        """A boot that the store does not know."""
        boot = self._boots[router_id, boot_name] = NamedBoot((router_id, boot_name))
        self.change(boot)
        return boot

    def change(self, boot: NamedBoot) -> None:
        """What is known of the boot must be written."""
        self._changed[boot.name] = boot

    def new_interfaces(self, router_id: int, names: Iterable[Interface]) -> list[Interface]:
        """Those that have no number, and are not about to get one; they were read."""
        return [one for one in names if self._interfaces[router_id, one] is None]

    def make_interfaces(self, router_id: int, names: Iterable[Interface]) -> None:
        """They get numbers."""
        for one in names:
            self._interfaces[router_id, one] = 0
            self._new_interfaces.append((router_id, one))

    def numbered(self, router_id: int, counted: Counters) -> dict[int, Bytes]:
        """By the interfaces' numbers, after `write`."""
        known = self._interfaces
        return {known[router_id, name] or 0: value for name, value in counted.items()}

    def write(self) -> None:
        """Write boots and interfaces that are new, and what changed of boots."""
        known = [
            (int(one.online), one.prompt_ms, one.id) for one in self._changed.values() if one.id
        ]
        new = [
            (*one.name, int(one.online), one.prompt_ms)
            for one in self._changed.values()
            if not one.id
        ]
        self._db.executemany("UPDATE boot SET online = ?, prompt_ms = ? WHERE id = ?", known)
        if new:
            head, values = self._db.keyed(("router", "name", "heard", "began"), new)
            for boot_id, *name in self._db.execute(
                f"{head} INSERT INTO boot (router_id, token, online, prompt_ms)"
                " SELECT router, name, heard, began FROM key RETURNING id, router_id, token",
                values,
            ):
                self._changed[tuple(name)].id = boot_id
        self._changed.clear()
        if self._new_interfaces:
            rows = [(router_id, *name) for router_id, name in self._new_interfaces]
            head, values = self._db.keyed(("router", "kind", "name", "began"), rows)
            for number, router_id, *interface in self._db.execute(
                f"{head} INSERT INTO interface (router_id, role, ifname, since)"
                " SELECT router, kind, name, began FROM key"
                " RETURNING id, router_id, role, ifname, since",
                values,
            ):
                self._interfaces[router_id, tuple(interface)] = number
            self._new_interfaces.clear()

    def _stored_boots(self, names: Collection[BootName]) -> dict[BootName, NamedBoot]:
        head, values = self._db.keyed(("router", "name"), [*names])
        rows = self._db.execute(
            f"{head} SELECT router_id, token, id, online, prompt_ms FROM key CROSS JOIN boot"
            " WHERE router_id = router AND token = name",
            values,
        )
        return {
            (router_id, boot_name): NamedBoot(
                (router_id, boot_name), boot_id, bool(online), prompt_ms
            )
            for router_id, boot_name, boot_id, online, prompt_ms in rows
        }

    def _stored_interfaces(self, names: Collection[InterfaceName]) -> dict[InterfaceName, int]:
        keys = [(router_id, *name) for router_id, name in names]
        head, values = self._db.keyed(("router", "kind", "name", "began"), keys)
        rows = self._db.execute(
            f"{head} SELECT router_id, role, ifname, since, id FROM key CROSS JOIN interface"
            " WHERE router_id = router AND role = kind AND ifname = name AND since = began",
            values,
        )
        return {
            (router_id, (role, ifname, since)): number
            for router_id, role, ifname, since, number in rows
        }


def counters(sample: Sample) -> Counters:
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
