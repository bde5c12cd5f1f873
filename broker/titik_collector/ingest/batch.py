"""Where samples become durable: one transaction per batch, all of it or nothing.

Rule: a failure keeps nothing of the batch and raises StoreError; the caller tries it again. What is
in memory stays as true as what is stored.
Rule: runs are written before samples, and samples before what is computed from them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from titik_collector.ingest.boots import Boots
from titik_collector.ingest.caps import Caps
from titik_collector.ingest.intake import Batch, Intake
from titik_collector.ingest.saved import Saved
from titik_collector.ingest.seqs import Seqs
from titik_collector.live.presence import Presence
from titik_collector.received import Item
from titik_collector.registry.registry import Registry
from titik_collector.store import malformed, unknown_routers, wishes
from titik_collector.store.database import Database
from titik_collector.store.ids import Names
from titik_collector.store.subject_names import NamedRouter
from titik_collector.timeline.boot_times import BootTimes
from titik_collector.timeline.placing import Placing
from titik_wire.messages import Ack


class BatchWriter:
    """Saves batches into an open database; see the module's rules."""

    def __init__(
        self,
        db: Database,
        registered: Registry,
        caps: Caps | None = None,
        presence: Presence | None = None,
    ) -> None:
        """`presence`: kept for those who ask it; None: it is made here."""
        self._db = db
        self._registered = registered
        self._presence = presence or Presence(db)
        self._caps = caps or Caps()
        self._names = Names(db)
        self._seqs = Seqs(db, self._caps)
        self._boots = Boots(db, self._names, self._caps)
        self._intake = Intake(registered, self._caps, self._names, self._seqs, self._boots)
        self._placing = Placing(db, self._names)
        self._boot_times = BootTimes(db)

    def save(self, items: Sequence[Item]) -> Saved:
        """Commit a batch; StoreError if nothing of it was kept."""
        batch = Batch()
        with self._all_or_nothing():
            # `take` decides what is new; the writes number it before any row names it.
            self._intake.take(items, batch)
            self._names.write()
            for one in batch.accepted:
                one.run.boot_id = one.boot.id
            changes = [*self._seqs.write(), *self._boots.take_changes()]
            # `place` inserts the rows of samples (store/samples.py), with the time known now.
            changes += self._placing.place(batch.accepted)
            self._boot_times.place(changes)
            self._presence.record(batch.heard)
            for router_id, report in batch.running:
                if wishes.hear(self._db, router_id, report.running, report.arrived_ms):
                    batch.saved.wishes.add(router_id)
            malformed.keep(self._db, batch.refused)
            unknown_routers.hear(self._db, batch.unknown)
            for name, more in batch.saved.counts().items():
                malformed.count(self._db, name, more)
        return batch.saved

    def acks(self, routers: Mapping[int, str]) -> list[Ack]:
        """What each router may forget: its open runs, the ones touched last."""
        return self._seqs.acks(routers)

    def routers_with_open_runs(self) -> list[NamedRouter]:
        """Every registered router that has an open run."""
        return self._seqs.routers_with_open_runs()

    def believe(self, acks: Sequence[Ack]) -> dict[str, int]:
        """Take in acks that a broker holds: what they cover and is not here counts as lost.

        A newer state of this store published them. How many are lost, by router; StoreError if
        nothing was kept.
        """
        lost: dict[str, int] = {}
        with self._all_or_nothing():
            for ack in acks:
                router_id = self._registered.router_id(ack.router)
                more = 0 if router_id is None else self._seqs.believe(router_id, ack)
                if more:
                    lost[ack.router] = more
            self._seqs.write()
            malformed.count(self._db, "restored", sum(lost.values()))
        return lost

    def time_jumped(self) -> None:
        """What is in memory was stamped before."""
        self._forget()

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        self._caps.begin()
        try:
            with self._db.transaction():
                yield
        except BaseException:
            self._caps.undo()
            self._forget()
            raise
        self._seqs.trim()
        self._names.trim()

    def _forget(self) -> None:
        """What is in memory may not be what is stored."""
        for part in (self._seqs, self._names, self._boots, self._boot_times, self._presence):
            part.forget()
