"""Places what a collector of an earlier version accepted and had not placed when it ended.

Such a collector acknowledged samples by their heads. Here each is read to its end: what breaks the
contract is kept as malformed, and its seq from stored to refused. The table goes when it is
empty. This module can be deleted when no such store is left.
"""

import logging
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from titik_collector.ingest import decode
from titik_collector.ingest.caps import Caps
from titik_collector.store import ids, malformed, waiting_rows
from titik_collector.store.database import Database
from titik_collector.store.ids import NamedBoot, Names
from titik_collector.store.malformed import Refused
from titik_collector.store.runs import Run, Runs
from titik_collector.timeline import boot_times
from titik_collector.timeline.placing import Accepted, Placing
from titik_wire import topics
from titik_wire.errors import WireError
from titik_wire.messages import Sample

log = logging.getLogger(__name__)


class WaitingSample(NamedTuple):
    """A sample as the table has it."""

    router: str
    run: str
    seq: int
    router_id: int
    run_id: int
    boot_id: int
    arrived_ms: int
    covered: bool
    payload: bytes


_decode = msgspec.msgpack.Decoder(list[WaitingSample]).decode


def place(db: Database) -> None:
    """Place all of them, 64 in a transaction; a process that dies goes on at its next start.

    StoreError: the rest is still there.
    """
    if not waiting_rows.is_there(db):
        return
    samples = waiting_rows.samples(db)
    if samples:
        log.info("placing samples that an earlier version left samples=%d", samples)
    left = _Left(db)
    while left.step():
        pass
    with db.transaction():
        waiting_rows.drop_table(db)


class _Left:
    def __init__(self, db: Database) -> None:
        self._db = db
        self._names = Names(db)
        self._placing = Placing(db, self._names)
        self._runs = Runs(db)
        self._caps = Caps()

    def step(self) -> bool:
        """Place the oldest row of them; False if there is none."""
        row = waiting_rows.oldest(self._db)
        if row is None:
            return False
        with self._db.transaction():
            fit = [*self._fit(_unpack(row.packed))]
            self._names.write()
            placed = self._placing.place(fit)
            boot_times.place_boots(self._db, placed)
            self._runs.write()
            waiting_rows.remove(self._db, row.id)
        return True

    def _fit(self, kept: list[WaitingSample]) -> Iterator[Accepted]:
        for one in kept:
            try:
                sample = self._read(one)
            except WireError as error:
                self._refuse(one, str(error))
            else:
                yield Accepted(
                    Run(one.run_id, one.router_id, one.run),
                    NamedBoot((one.router_id, sample.boot), one.boot_id),
                    one.arrived_ms,
                    one.covered,
                    one.payload,
                    sample,
                    ids.counters(sample),
                )

    def _read(self, one: WaitingSample) -> Sample:
        sample = decode.decode(topics.backlog(one.router), one.payload)
        if not isinstance(sample, decode.SAMPLES) or (sample.run, sample.seq) != (one.run, one.seq):
            raise WireError("is not what it was accepted for", "seq")
        counted = ids.counters(sample)
        self._names.read((), [(one.router_id, name) for name in counted])
        new = self._names.new_interfaces(one.router_id, counted)
        if new and not self._caps.allow("interface", one.router_id, one.arrived_ms, len(new)):
            raise WireError("more new interfaces than a router may make in an hour", "net")
        self._names.make_interfaces(one.router_id, new)
        return sample

    def _refuse(self, one: WaitingSample, rule: str) -> None:
        malformed.count(self._db, malformed.MALFORMED, 1)
        topic = topics.backlog(one.router)
        malformed.keep(self._db, [Refused(topic, one.payload, rule, one.arrived_ms)])
        run = self._runs.find(one.router_id, one.run)
        if run is not None:
            run.unstore(one.seq)


def _unpack(packed: bytes) -> list[WaitingSample]:
    try:
        return _decode(zlib.decompress(packed))
    except (zlib.error, msgspec.MsgspecError) as error:  # to try again would hold up all others
        log.error("samples that an earlier version left are damaged, skipped reason=%s", error)
        return []
