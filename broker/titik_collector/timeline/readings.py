"""The stored samples that say something of a stretch of time, as rates want them.

Rule: besides the samples of the stretch come those next to it on both sides, and where these lack
client time or counters, the next that have them. What else they say lies outside the stretch.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from titik_collector.figures.rates import Reading
from titik_collector.store import counters
from titik_collector.store.database import Database
from titik_collector.timeline import changed_spans
from titik_collector.timeline.changed_spans import CLIENT, UPLINK, WIFI, Key, Row

COLUMNS = (
    "run_id, seq, uptime_ms, at_ms, covers_ms, clients, clients_min, clients_max, active, weak,"
    " client_ms, observed_ms, airtime_busy_ms, airtime_active_ms"
)
MAX_INTERFACES = 100_000  # kept in memory

Name = tuple[int, int]  # of a sample: run and seq
Wifi = dict[int, counters.Bytes]  # by interface row
Uplink = dict[tuple[str, int], counters.Bytes]  # by ifname and interface row


class Readings:
    """Reads them from an open database; interfaces never change, so they are looked up once."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._interfaces: dict[int, tuple[str, str]] = {}

    def of(self, boot_id: int, from_ms: int, to_ms: int) -> list[Reading]:
        """Of a boot, in order of uptime, for the time from `from_ms` to before `to_ms`."""
        found = self._db.execute(
            "SELECT router_id, first_ms, last_ms, has FROM boot_time WHERE boot_id = ?", (boot_id,)
        ).fetchone()
        if found is None:
            return []
        router_id, first_ms, last_ms, has = found
        bounds = self._uptimes(router_id, boot_id, (first_ms, from_ms, to_ms, last_ms))
        if bounds is None:
            return []
        readings = self._read(
            "boot_id = ? AND uptime_ms BETWEEN ? AND ? ORDER BY uptime_ms, run_id, seq",
            (boot_id, *bounds),
        )
        farther = set(self._farther(boot_id, readings, from_ms, to_ms, has))
        for name in farther - {(one.run_id, one.seq) for one in readings}:
            readings += self._read("run_id = ? AND seq = ?", name)
        return sorted(readings, key=_key) if farther else readings

    def _uptimes(
        self, router_id: int, boot_id: int, edges: tuple[int, int, int, int]
    ) -> tuple[int, int] | None:
        """Lowest and highest uptime of the samples in the stretch and next to it."""
        first_ms, from_ms, to_ms, last_ms = edges
        found = self._db.execute(
            "SELECT min(uptime_ms), max(uptime_ms) FROM (SELECT uptime_ms FROM sample"
            "  WHERE router_id = :router AND at_ms >= :from AND at_ms < :to AND boot_id = :boot"
            " UNION ALL SELECT * FROM (SELECT uptime_ms FROM sample WHERE router_id = :router"
            "  AND at_ms >= :first AND at_ms < :from AND boot_id = :boot"
            "  ORDER BY at_ms DESC LIMIT 1)"
            " UNION ALL SELECT * FROM (SELECT uptime_ms FROM sample WHERE router_id = :router"
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
        return None if found[0] is None else (found[0], found[1])

    def _farther(
        self, boot_id: int, readings: Sequence[Reading], from_ms: int, to_ms: int, has: int
    ) -> Iterator[Name]:
        """Samples beyond `readings` that pair with one of them, or with each other across them."""
        low, high = _key(readings[0]), _key(readings[-1])
        for bit, having in (
            (WIFI, [one for one in readings if one.wifi]),
            (UPLINK, [one for one in readings if one.uplink]),
        ):
            if has & bit:
                yield from _around(
                    having,
                    (from_ms, to_ms),
                    partial(changed_spans.neighbour, self._db, boot_id, low, True, bit),
                    partial(changed_spans.neighbour, self._db, boot_id, high, False, bit),
                )
        if not has & CLIENT:
            return
        for run_id in {one.run_id for one in readings}:
            of_run = [one for one in readings if one.run_id == run_id]
            low, high = _key(of_run[0]), _key(of_run[-1])
            yield from _around(
                [one for one in of_run if None not in (one.client_ms, one.observed_ms)],
                (from_ms, to_ms),
                partial(changed_spans.neighbour_in_run, self._db, boot_id, run_id, low, True),
                partial(changed_spans.neighbour_in_run, self._db, boot_id, run_id, high, False),
            )

    def _read(self, where: str, values: tuple[int, ...]) -> list[Reading]:
        return [
            Reading._make(row[2:] + self._split(row[0], row[1]))
            for row in self._db.execute(
                f"SELECT sections, counters, {COLUMNS} FROM sample WHERE {where}", values
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
        if len(self._interfaces) >= MAX_INTERFACES:
            self._interfaces.clear()
        role, ifname = self._db.execute(
            "SELECT role, ifname FROM interface WHERE id = ?", (interface_id,)
        ).fetchone()
        self._interfaces[interface_id] = (role, ifname)
        return role, ifname


def _around(
    having: Sequence[Reading],
    stretch: tuple[int, int],
    older: Callable[[], Row | None],
    newer: Callable[[], Row | None],
) -> Iterator[Name]:
    """The next samples that have something, where the first or last that has it needs a partner."""
    from_ms, to_ms = stretch
    after = newer() if not having or having[-1].at_ms < to_ms else None
    before = None
    if (having and having[0].at_ms >= from_ms) or (not having and after is not None):
        before = older()
    for row in (before, after):
        if row is not None:
            yield row.run_id, row.seq


def _key(reading: Reading) -> Key:
    return Key(reading.uptime_ms, reading.run_id, reading.seq)
