"""Writes accepted samples as rows with the time that is known at once.

Rule: a range that contains stored rows replaces them; one that lies inside a row is a duplicate.
"""

from collections.abc import Iterable
from typing import NamedTuple, cast

from titik_collector.figures.table import counted
from titik_collector.store import body, counters
from titik_collector.store import samples as stored
from titik_collector.store.boot_samples import SampleRow
from titik_collector.store.database import Database
from titik_collector.store.ids import Counters, NamedBoot, Names
from titik_collector.store.runs import Run
from titik_collector.store.samples import FLOW_OFFLOAD, UPLINK, WIFI, NewMessage, NewSample
from titik_collector.timeline.change import Change
from titik_collector.timeline.placing_rules import EARLIEST_MS, Claim
from titik_wire.messages import Bss, Sample


class Accepted(NamedTuple):
    """A sample whose seqs are settled; `covered` if all of them were stored before."""

    run: Run
    boot: NamedBoot
    arrived_ms: int
    covered: bool
    payload: bytes
    sample: Sample
    counted: Counters  # what it counts, by interface


class Placing:
    """Writes rows of `sample` and `body`; what the samples name has its number."""

    def __init__(self, db: Database, known: Names) -> None:
        self._db = db
        self._names = known

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
            row = self._row(one)
            rows.append(row)
            packed = body.pack(one.payload)
            messages.append(NewMessage(row.run_id, row.seq, row.arrived_ms, packed))
            changes.append(_stored(row))
        self._insert(rows, messages)
        return changes

    def _is_duplicate(self, one: Accepted) -> bool:
        """Contained in a stored range, or pieced together from rows that are pruned by now."""
        first, last = one.sample.first_seq, one.sample.seq
        begins = stored.first_seq_at(self._db, one.run.id, last)
        if begins is not None and begins <= first:
            return True
        return stored.seqs_inside(self._db, one.run.id, first, last) != last - first + 1

    def _remove_inside(self, one: Accepted) -> list[Change]:
        """Take out the rows that a merged range contains."""
        run, sample = one.run, one.sample
        return [
            Change(
                run.router_id,
                gone.boot_id,
                run.id,
                gone.seq,
                gone.uptime_ms,
                "removed",
                gone.at_ms,
                gone.reach_ms,
            )
            for gone in stored.remove_inside(self._db, run.id, sample.first_seq, sample.seq)
        ]

    def _row(self, one: Accepted) -> NewSample:
        sample, arrived_ms = one.sample, one.arrived_ms
        claim = Claim(max(sample.taken_at, EARLIEST_MS), sample.uptime_ms, arrived_ms)
        believed = sample.clock == "ntp" and claim.is_believed(one.boot.prompt_ms)
        visitors = sample.visitors
        return NewSample(
            run_id=one.run.id,
            seq=sample.seq,
            first_seq=sample.first_seq,
            router_id=one.run.router_id,
            boot_id=one.boot.id,
            uptime_ms=sample.uptime_ms,
            arrived_ms=arrived_ms,
            at_ms=claim.taken_ms if believed else arrived_ms,
            quality="ntp" if believed else "arrival",
            covers_ms=sample.covers_ms,
            sections=_sections(sample, one.counted),
            clients=sample.clients,
            clients_min=sample.clients_min,
            clients_max=sample.clients_max,
            active=sample.active,
            weak=_weak(sample),
            client_ms=sample.client_ms,
            observed_ms=sample.observed_ms,
            visitors=visitors.count if visitors else None,
            visitors_since_ms=visitors.since if visitors else None,
            counters=counters.pack(self._names.numbered(one.run.router_id, one.counted)),
            clocked=int(believed),
            claim_ms=claim.taken_ms if sample.clock == "ntp" and not believed else None,
            counted=counted(sample),
        )

    def _insert(self, rows: list[NewSample], messages: list[NewMessage]) -> None:
        if rows:
            stored.add(self._db, rows, messages)
            rows.clear()
            messages.clear()


def _stored(new: NewSample) -> Change:
    row = SampleRow(
        new.run_id,
        new.seq,
        new.uptime_ms,
        new.at_ms if new.clocked else None,
        new.arrived_ms,
        new.at_ms,
        new.quality,
        new.covers_ms,
        None if new.client_ms is None else new.observed_ms,
        new.sections,
    )
    key = (new.router_id, new.boot_id, new.run_id, new.seq, new.uptime_ms)
    return Change(*key, "stored", row=row)


def _sections(sample: Sample, counted: Counters) -> int:
    """Of what the byte counters are complete; rates pass over a sample that lacks them.

    Besides, whether bytes pass them by.
    """
    roles = {role for role, _, _ in counted}
    all_bss = "bss" in roles and all([_is_counted(one) for one in sample.bss or ()])
    counted_by = (WIFI if all_bss else 0) | (UPLINK if "uplink" in roles else 0)
    return counted_by | (FLOW_OFFLOAD if sample.flow_offload else 0)


def _is_counted(bss: Bss) -> bool:
    if bss.since is None:  # one that is off the air may have no interface
        return bool(bss.off_air)
    return bss.rx_bytes is not None and bss.tx_bytes is not None


def _weak(sample: Sample) -> int | None:
    """Clients with a weak signal; a BSS that is off the air has none."""
    if sample.clients is None:
        return None
    weak = [one.weak for one in sample.bss or () if not one.off_air]
    return None if None in weak else sum(cast(list[int], weak))
