"""Stored samples as rates want them, with their byte counters by BSS and by uplink.

Rule: interfaces never change, so they are looked up once.
"""

from typing import NamedTuple

from titik_collector.figures.rates import Reading
from titik_collector.limits import MAX_KNOWN_INTERFACES
from titik_collector.store import counters
from titik_collector.store.database import Database
from titik_collector.store.samples import UPLINK, WIFI

_COLUMNS = (
    "run_id, seq, uptime_ms, at_ms, covers_ms, clients, clients_min, clients_max, active, weak,"
    " client_ms, observed_ms, airtime_busy_ms, airtime_active_ms"
)

Wifi = dict[int, counters.Bytes]  # by interface row
Uplink = dict[tuple[str, int], counters.Bytes]  # by ifname and interface row


class Uptimes(NamedTuple):
    """From an uptime to another, both included."""

    from_ms: int
    to_ms: int


class Offsets(NamedTuple):
    """The smallest and the largest instant minus uptime of some samples."""

    least_ms: int
    most_ms: int


class ReadingRows:
    """Reads them from an open database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._interfaces: dict[int, tuple[str, str]] = {}

    def around(self, boot_id: int, uptimes: Uptimes) -> list[Reading]:
        """The samples of a boot from the last before an uptime to the first at or after another."""
        return self._read(
            "boot_id = :boot AND uptime_ms BETWEEN"
            " coalesce((SELECT max(uptime_ms) FROM sample"
            "  WHERE boot_id = :boot AND uptime_ms < :from), :from)"
            " AND coalesce((SELECT min(uptime_ms) FROM sample"
            "  WHERE boot_id = :boot AND uptime_ms >= :to), :to)"
            " ORDER BY uptime_ms, run_id, seq",
            {"boot": boot_id, "from": uptimes.from_ms, "to": uptimes.to_ms},
        )

    def one(self, run_id: int, seq: int) -> list[Reading]:
        """The sample; empty if it is not stored."""
        return self._read("run_id = :run AND seq = :seq", {"run": run_id, "seq": seq})

    def _read(self, where: str, values: dict[str, int]) -> list[Reading]:
        return [
            Reading._make(row[2:] + self._split(row[0], row[1]))
            for row in self._db.execute(
                f"SELECT sections, counters, {_COLUMNS} FROM sample WHERE {where}", values
            )
        ]

    def _split(self, sections: int, blob: bytes) -> tuple[Wifi, Uplink]:
        """The counters of the BSSs and those of the uplinks; none of an incomplete section."""
        wifi: Wifi = {}
        uplink: Uplink = {}
        for interface, value in counters.unpack(blob).items():
            role, ifname = self._interfaces.get(interface) or self._interface(interface)
            if role == "bss":
                if sections & WIFI:
                    wifi[interface] = value
            elif role == "uplink" and sections & UPLINK:
                uplink[ifname, interface] = value
        return wifi, uplink

    def _interface(self, interface_id: int) -> tuple[str, str]:
        if len(self._interfaces) >= MAX_KNOWN_INTERFACES:
            self._interfaces.clear()
        role, ifname = self._db.execute(
            "SELECT role, ifname FROM interface WHERE id = ?", (interface_id,)
        ).fetchone()
        self._interfaces[interface_id] = (role, ifname)
        return role, ifname


def offsets_within(
    db: Database, router_id: int, boot_id: int, edges: tuple[int, int, int, int]
) -> Offsets | None:
    """Of a boot's samples in a stretch of time and next to it; None if there are none.

    `edges`: where the boot begins, from when to before when the stretch is, where the boot ends.
    """
    first_ms, from_ms, to_ms, last_ms = edges
    least_ms, most_ms = db.execute(
        "SELECT min(at_ms - uptime_ms), max(at_ms - uptime_ms) FROM ("
        " SELECT at_ms, uptime_ms FROM sample"
        "  WHERE router_id = :router AND at_ms >= :from AND at_ms < :to AND boot_id = :boot"
        " UNION ALL SELECT * FROM (SELECT at_ms, uptime_ms FROM sample WHERE router_id = :router"
        "  AND at_ms >= :first AND at_ms < :from AND boot_id = :boot"
        "  ORDER BY at_ms DESC LIMIT 1)"
        " UNION ALL SELECT * FROM (SELECT at_ms, uptime_ms FROM sample WHERE router_id = :router"
        "  AND at_ms >= :to AND at_ms <= :last AND boot_id = :boot ORDER BY at_ms LIMIT 1))",
        {
            "router": router_id,
            "boot": boot_id,
            "first": first_ms,
            "from": from_ms,
            "to": to_ms,
            "last": last_ms,
        },
    ).fetchone()
    return None if least_ms is None else Offsets(least_ms, most_ms)
