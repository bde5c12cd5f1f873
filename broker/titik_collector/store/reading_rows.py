"""Stored samples as rates want them, with their byte counters by BSS and by uplink.

Rule: interfaces never change, so they are looked up once.
"""

from collections.abc import Sequence, Set
from typing import NamedTuple

from titik_collector.figures.rates import Reading
from titik_collector.figures.table import COUNTERS
from titik_collector.limits import MAX_KNOWN_INTERFACES
from titik_collector.store import counters
from titik_collector.store.database import Database, Values
from titik_collector.store.samples import FLOW_OFFLOAD, UPLINK, WIFI

_PLAIN = Reading._fields[: Reading._fields.index("counted")]
_COLUMNS = ", ".join((*_PLAIN, *COUNTERS))
_PLAIN_END = 3 + len(_PLAIN)

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


class AskedOffsets(NamedTuple):
    """A stretch of time of a boot, and where the boot begins and ends."""

    router_id: int
    boot_id: int
    first_ms: int
    from_ms: int
    to_ms: int
    last_ms: int


class ReadingRows:
    """Reads them from an open database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._interfaces: dict[int, tuple[str, str]] = {}

    def around(self, asked: Sequence[tuple[int, Uptimes]]) -> list[list[Reading]]:
        """Of each boot the samples from the last before an uptime to the first after another.

        In order of uptime; the first at the later uptime counts as after it.
        """
        head, values = self._db.keyed(
            ("n", "boot", "from_ms", "to_ms"),
            [(n, boot_id, *uptimes) for n, (boot_id, uptimes) in enumerate(asked)],
        )
        found: list[list[Reading]] = [[] for _ in asked]
        for n, reading in self._read(
            f"{head} SELECT key.n, sections, counters, {_COLUMNS} FROM key CROSS JOIN sample"
            " WHERE boot_id = key.boot AND uptime_ms BETWEEN"
            " coalesce((SELECT max(uptime_ms) FROM sample"
            "  WHERE boot_id = key.boot AND uptime_ms < key.from_ms), key.from_ms)"
            " AND coalesce((SELECT min(uptime_ms) FROM sample"
            "  WHERE boot_id = key.boot AND uptime_ms >= key.to_ms), key.to_ms)"
            " ORDER BY key.n, uptime_ms, run_id, seq",
            values,
        ):
            found[n].append(reading)
        return found

    def named(self, asked: Sequence[tuple[int, int, int]]) -> list[tuple[int, Reading]]:
        """Samples by a number of the caller's, their run and their seq; none that is not stored."""
        head, values = self._db.keyed(("n", "run", "at"), asked)
        return self._read(
            f"{head} SELECT key.n, sections, counters, {_COLUMNS} FROM key CROSS JOIN sample"
            " WHERE run_id = key.run AND seq = key.at",
            values,
        )

    def _read(self, sql: str, values: Values) -> list[tuple[int, Reading]]:
        rows = [(*row, counters.unpack(row[2])) for row in self._db.execute(sql, values)]
        self._learn({one for row in rows for one in row[-1]} - self._interfaces.keys())
        end = _PLAIN_END
        return [
            (row[0], Reading._make((*row[3:end], row[end:-1], *self._split(row[1], row[-1]))))
            for row in rows
        ]

    def _split(self, sections: int, values: dict[int, counters.Bytes]) -> tuple[Wifi, Uplink, bool]:
        """The counters of the BSSs and those of the uplinks, and whether some bytes pass them by.

        None of an incomplete section.
        """
        wifi: Wifi = {}
        uplink: Uplink = {}
        for interface, value in values.items():
            role, ifname = self._interfaces[interface]
            if role == "bss":
                if sections & WIFI:
                    wifi[interface] = value
            elif role == "uplink" and sections & UPLINK:
                uplink[ifname, interface] = value
        return wifi, uplink, bool(sections & FLOW_OFFLOAD)

    def _learn(self, unknown: Set[int]) -> None:
        """What these interfaces are."""
        if not unknown:
            return
        if len(self._interfaces) >= MAX_KNOWN_INTERFACES:
            self._interfaces.clear()
        head, values = self._db.keyed(("one",), [(one,) for one in unknown])
        rows = self._db.execute(
            f"{head} SELECT id, role, ifname FROM key CROSS JOIN interface WHERE id = key.one",
            values,
        )
        self._interfaces |= {one: (role, ifname) for one, role, ifname in rows}


def offsets_within(db: Database, asked: Sequence[AskedOffsets]) -> list[Offsets | None]:
    """Of each boot's samples in a stretch of time and next to it; None if there are none."""
    names = ("n", "router", "boot", "first_ms", "from_ms", "to_ms", "last_ms")
    head, values = db.keyed(names, [(n, *one) for n, one in enumerate(asked)])
    of_boot = "FROM sample WHERE router_id = key.router AND boot_id = key.boot AND at_ms"
    rows = db.execute(
        f"{head} SELECT n, min(at_ms - uptime_ms), max(at_ms - uptime_ms) FROM key CROSS JOIN"
        " sample WHERE router_id = key.router AND boot_id = key.boot"
        f" AND at_ms BETWEEN coalesce((SELECT at_ms {of_boot} >= first_ms AND at_ms < from_ms"
        "  ORDER BY at_ms DESC LIMIT 1), from_ms)"
        f" AND coalesce((SELECT at_ms {of_boot} >= to_ms AND at_ms <= last_ms"
        "  ORDER BY at_ms LIMIT 1), to_ms - 1) GROUP BY n",
        values,
    )
    found: list[Offsets | None] = [None] * len(asked)
    for n, *offsets in rows:
        found[n] = Offsets(*offsets)
    return found
