"""From accepted samples to rows that have their place in time.

Rule: a range that contains stored rows replaces them; one that lies inside a row is a duplicate.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from titik_collector.store import body, counters, ids
from titik_collector.store.database import Database
from titik_collector.store.ids import Names
from titik_collector.timeline import boot_times
from titik_collector.timeline.boot_times import Change
from titik_wire.messages import Sample

ALL_BSS, UPLINK = 1, 2  # bits of sample.sections


class Accepted(NamedTuple):
    """A sample whose seqs are settled; `covered` if all of them were stored before."""

    router_id: int
    run_id: int
    boot_id: int
    arrived_ms: int
    covered: bool
    payload: bytes
    sample: Sample


class Placing:
    """Writes rows of `sample` and `body`."""

    def __init__(
        self,
        db: Database,
        known: Names,
        prompt_ms: Callable[[int], int | None] = lambda _boot_id: None,
    ) -> None:
        """`prompt_ms` says of a boot when it began, if that is known."""
        self._db = db
        self._names = known
        self._prompt_ms = prompt_ms

    def place(self, samples: Iterable[Accepted]) -> list[Change]:
        """Insert samples, take out what they contain; times are settled by the caller."""
        changes: list[Change] = []
        rows: list[tuple[object, ...]] = []
        bodies: list[tuple[object, ...]] = []
        for one in samples:
            if one.sample.first_seq != one.sample.seq:
                self._insert(rows, bodies)
                if one.covered and self._is_duplicate(one):
                    continue
                changes += self._remove_inside(one)
            rows.append(self._row(one))
            bodies.append((one.run_id, one.sample.seq, one.arrived_ms, body.pack(one.payload)))
            changes.append(_stored(one))
        self._insert(rows, bodies)
        return changes

    def _is_duplicate(self, one: Accepted) -> bool:
        """Contained in a stored range, or pieced together from rows that are pruned by now."""
        first, last = one.sample.first_seq, one.sample.seq
        row = self._db.execute(
            "SELECT first_seq FROM sample WHERE run_id = ? AND seq >= ? ORDER BY seq LIMIT 1",
            (one.run_id, last),
        ).fetchone()
        if row is not None and row[0] <= first:
            return True
        inside = self._db.execute(
            "SELECT coalesce(sum(seq - first_seq + 1), 0) FROM sample"
            " WHERE run_id = ? AND seq BETWEEN ? AND ?",
            (one.run_id, first, last),
        ).fetchone()[0]
        return bool(inside != last - first + 1)

    def _remove_inside(self, one: Accepted) -> list[Change]:
        """Take out the rows that a merged range contains."""
        span = (one.run_id, one.sample.first_seq, one.sample.seq)
        rows = self._db.execute(
            "SELECT boot_id, seq, uptime_ms, at_ms, max(covers_ms, coalesce(observed_ms, 0))"
            " FROM sample WHERE run_id = ? AND seq BETWEEN ? AND ?",
            span,
        ).fetchall()
        self._db.execute("DELETE FROM body WHERE run_id = ? AND seq BETWEEN ? AND ?", span)
        self._db.execute("DELETE FROM sample WHERE run_id = ? AND seq BETWEEN ? AND ?", span)
        return [
            Change(one.router_id, boot_id, one.run_id, seq, uptime_ms, "removed", at_ms, reach_ms)
            for boot_id, seq, uptime_ms, at_ms, reach_ms in rows
        ]

    def _row(self, one: Accepted) -> tuple[object, ...]:
        sample, arrived = one.sample, one.arrived_ms
        claim = boot_times.Claim(
            max(sample.taken_at, boot_times.EARLIEST_MS), sample.uptime_ms, arrived
        )
        believed = sample.clock == "ntp" and claim.is_believed(self._prompt_ms(one.boot_id))
        radios = sample.radios or ()
        visitors = sample.visitors
        return (
            one.run_id,
            sample.seq,
            sample.first_seq,
            one.router_id,
            one.boot_id,
            sample.uptime_ms,
            arrived,
            claim.taken_ms if believed else arrived,
            "ntp" if believed else "arrival",
            sample.covers_ms,
            _sections(sample),
            sample.clients,
            sample.clients_min,
            sample.clients_max,
            sample.active,
            _weak(sample),
            sample.client_ms,
            sample.observed_ms,
            visitors.count if visitors else None,
            visitors.since if visitors else None,
            _total(radio.airtime_busy_ms for radio in radios) if radios else None,
            _total(radio.airtime_active_ms for radio in radios) if radios else None,
            counters.pack(
                {
                    self._names.interface(one.router_id, name): value
                    for name, value in ids.counters(sample).items()
                }
            ),
            int(believed),
            claim.taken_ms if sample.clock == "ntp" and not believed else None,
        )

    def _insert(self, rows: list[tuple[object, ...]], bodies: list[tuple[object, ...]]) -> None:
        if rows:
            self._db.executemany(f"INSERT INTO sample VALUES ({', '.join('?' * 25)})", rows)
            self._db.executemany(
                "INSERT INTO body (run_id, seq, arrived_ms, packed) VALUES (?, ?, ?, ?)", bodies
            )
            rows.clear()
            bodies.clear()


def _stored(one: Accepted) -> Change:
    sample = one.sample
    return Change(
        one.router_id, one.boot_id, one.run_id, sample.seq, sample.uptime_ms, "stored", None
    )


def _sections(sample: Sample) -> int:
    """Of what the byte counters are complete; rates pass over a sample that lacks them."""
    past = {one.role for one in sample.past or ()}
    counted = [
        None not in (one.since, one.rx_bytes, one.tx_bytes)
        for one in sample.bss or ()
        if not one.off_air or one.since is not None  # one that is off may have no interface
    ]
    all_bss = all(counted) and (bool(counted) or "bss" in past)
    uplink = "uplink" in past or any(one.role == "uplink" for one in sample.net or ())
    return (ALL_BSS if all_bss else 0) | (UPLINK if uplink else 0)


def _weak(sample: Sample) -> int | None:
    """Clients with a weak signal; a BSS that is off the air has none."""
    if sample.clients is None:
        return None
    return _total(one.weak for one in sample.bss or () if not one.off_air)


def _total(values: Iterable[int | None]) -> int | None:
    """The sum, or None when any is unknown."""
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total
