"""Writes accepted samples as rows with the time that is known at once.

Rule: a range that contains stored rows replaces them; one that lies inside a row is a duplicate.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from titik_collector.figures.table import counted
from titik_collector.store import body, counters, ids
from titik_collector.store import samples as stored
from titik_collector.store.database import Database
from titik_collector.store.ids import Names
from titik_collector.store.samples import UPLINK, WIFI, NewMessage, NewSample
from titik_collector.timeline.change import Change
from titik_collector.timeline.placing_rules import EARLIEST_MS, Claim
from titik_wire.messages import Sample


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
        """`prompt_ms` gives when a boot began, if that is known."""
        self._db = db
        self._names = known
        self._prompt_ms = prompt_ms

    def place(self, samples: Iterable[Accepted]) -> list[Change]:
        """Insert samples, take out what they contain; the caller gives them their times."""
        changes: list[Change] = []
        rows: list[NewSample] = []
        messages: list[NewMessage] = []
        for one in samples:
            if one.sample.first_seq != one.sample.seq:
                self._insert(rows, messages)
                if one.covered and self._is_duplicate(one):
                    continue
                changes += self._remove_inside(one)
            rows.append(self._row(one))
            packed = body.pack(one.payload)
            messages.append(NewMessage(one.run_id, one.sample.seq, one.arrived_ms, packed))
            changes.append(_stored(one))
        self._insert(rows, messages)
        return changes

    def _is_duplicate(self, one: Accepted) -> bool:
        """Contained in a stored range, or pieced together from rows that are pruned by now."""
        first, last = one.sample.first_seq, one.sample.seq
        begins = stored.first_seq_at(self._db, one.run_id, last)
        if begins is not None and begins <= first:
            return True
        return stored.seqs_inside(self._db, one.run_id, first, last) != last - first + 1

    def _remove_inside(self, one: Accepted) -> list[Change]:
        """Take out the rows that a merged range contains."""
        removed = stored.remove_inside(self._db, one.run_id, one.sample.first_seq, one.sample.seq)
        return [
            Change(
                one.router_id,
                gone.boot_id,
                one.run_id,
                gone.seq,
                gone.uptime_ms,
                "removed",
                gone.at_ms,
                gone.reach_ms,
            )
            for gone in removed
        ]

    def _row(self, one: Accepted) -> NewSample:
        sample, arrived_ms = one.sample, one.arrived_ms
        claim = Claim(max(sample.taken_at, EARLIEST_MS), sample.uptime_ms, arrived_ms)
        believed = sample.clock == "ntp" and claim.is_believed(self._prompt_ms(one.boot_id))
        visitors = sample.visitors
        return NewSample(
            run_id=one.run_id,
            seq=sample.seq,
            first_seq=sample.first_seq,
            router_id=one.router_id,
            boot_id=one.boot_id,
            uptime_ms=sample.uptime_ms,
            arrived_ms=arrived_ms,
            at_ms=claim.taken_ms if believed else arrived_ms,
            quality="ntp" if believed else "arrival",
            covers_ms=sample.covers_ms,
            sections=_sections(sample),
            clients=sample.clients,
            clients_min=sample.clients_min,
            clients_max=sample.clients_max,
            active=sample.active,
            weak=_weak(sample),
            client_ms=sample.client_ms,
            observed_ms=sample.observed_ms,
            visitors=visitors.count if visitors else None,
            visitors_since_ms=visitors.since if visitors else None,
            counters=counters.pack(
                {
                    self._names.interface(one.router_id, name): value
                    for name, value in ids.counters(sample).items()
                }
            ),
            clocked=believed,
            claim_ms=claim.taken_ms if sample.clock == "ntp" and not believed else None,
            counted=counted(sample),
        )

    def _insert(self, rows: list[NewSample], messages: list[NewMessage]) -> None:
        if rows:
            stored.add(self._db, rows, messages)
            rows.clear()
            messages.clear()


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
    return (WIFI if all_bss else 0) | (UPLINK if uplink else 0)


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
