"""Where samples become durable: one transaction per batch, and every sample counted once.

Rule: the key is (router, run, first_seq, seq). A range that contains stored ranges replaces
them; one that is contained in a stored range is a duplicate. So any order, any number of
deliveries, and any merging on the way give the same rows.
Rule: a sample is acknowledged when it was decoded whole and has its row.
Rule: a failure keeps nothing of the batch and raises StoreError; the caller tries it again.
Rule: what is not registered, over the cap, or of a later contract is counted, and not acked.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from titik_collector.ingest.boots import Boots
from titik_collector.ingest.caps import DEFAULT_CAPS, Caps, Meter
from titik_collector.ingest.received import Arrived, Item, Malformed, StatusReceived
from titik_collector.ingest.saved import Saved
from titik_collector.ingest.seqs import Seqs
from titik_collector.store import malformed, unknown_routers
from titik_collector.store.database import Database
from titik_collector.store.ids import Names
from titik_collector.store.places import NamedRouter
from titik_collector.store.runs import Run
from titik_collector.timeline import boot_times
from titik_collector.timeline.placing import Accepted, Placing
from titik_wire.messages import Ack

Heard = tuple[int, Arrived | StatusReceived]  # with the id of its registered router


class Registered(Protocol):
    """Which routers are registered."""

    def router_id(self, name: str) -> int | None:
        """The store's id, or None if it is not registered."""
        ...


class Derived(Protocol):
    """Something computed from a batch inside its transaction, such as presence."""

    def record(self, items: Sequence[Heard]) -> None:
        """Items of registered routers with their router's id, in order of arrival."""
        ...

    def forget(self) -> None:
        """The transaction failed."""
        ...


@dataclass(slots=True)
class _Batch:
    """A batch while it is saved."""

    saved: Saved = field(default_factory=Saved)
    accepted: list[Accepted] = field(default_factory=list)  # to be placed in time
    heard: list[Heard] = field(default_factory=list)  # what is new to presence


class Store:
    """Saves batches into an open database; see the module's rules."""

    def __init__(
        self,
        db: Database,
        registered: Registered,
        caps: Caps = DEFAULT_CAPS,
        derived: Sequence[Derived] = (),
    ) -> None:
        self._db = db
        self._registered = registered
        self._derived = derived
        self._caps = Meter(caps)
        self._names = Names(db)
        self._seqs = Seqs(db, self._caps)
        self._boots = Boots(db, self._names, self._caps)
        self._placing = Placing(db, self._names, self._boots.prompt_ms)

    def save(self, items: Sequence[Item]) -> Saved:
        """Commit a batch; StoreError if nothing of it was kept."""
        batch = _Batch()
        with self._all_or_nothing():
            for item in items:
                self._take(item, batch)
            self._write(batch)
        return batch.saved

    def ack(self, router_id: int, router: str) -> Ack:
        """What `router` may forget: its open runs, the ones touched last."""
        return self._seqs.ack(router_id, router)

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
        self._seqs.forget()
        self._boots.time_jumped()
        for derived in self._derived:
            derived.forget()

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """One transaction; what is in memory stays as true as what is stored."""
        self._caps.begin()
        try:
            with self._db.transaction():
                yield
        except BaseException:
            self._forget()
            raise
        self._seqs.trim()

    def _take(self, item: Item, batch: _Batch) -> None:
        if isinstance(item, Malformed):
            self._refuse(item, batch.saved)
            return
        router_id = self._registered.router_id(item.router)
        if router_id is None:
            unknown_routers.hear(self._db, item.router, item.arrived_ms)
            batch.saved.unregistered += 1
            return
        if isinstance(item, StatusReceived):
            is_heard = self._take_status(router_id, item, batch)
        else:
            is_heard = self._take_sample(router_id, item, batch)
        if is_heard:
            batch.heard.append((router_id, item))

    def _write(self, batch: _Batch) -> None:
        """Runs before samples, samples before what is computed from them."""
        self._seqs.write()
        changes = self._boots.take_changes() + self._placing.place(batch.accepted)
        boot_times.settle_times(self._db, changes)
        for derived in self._derived:
            derived.record(batch.heard)
        self._count(batch.saved)

    def _take_status(self, router_id: int, item: StatusReceived, batch: _Batch) -> bool:
        """False if the router sends too much."""
        token, at_ms = item.status.boot, item.arrived_ms
        if not (
            self._caps.sample(router_id, at_ms) and self._boots.may_be(router_id, token, at_ms)
        ):
            batch.saved.capped += 1
            return False
        if item.status.state == "online":
            self._boots.hear(router_id, token)
        else:
            self._boots.make(router_id, token, online=False)
        return True

    def _take_sample(self, router_id: int, item: Arrived, batch: _Batch) -> bool:
        """Settle a sample's seqs; False if that is all, since nothing in it is new."""
        sample, now_ms = item.sample, item.arrived_ms
        run = self._seqs.run(router_id, sample.run, now_ms)
        if run is None:
            batch.saved.capped += 1
            return True
        covered = run.has(sample.first_seq, sample.seq)
        if covered and sample.first_seq == sample.seq:
            batch.saved.duplicates += 1
            if item.live and self._boots.may_be(router_id, sample.boot, now_ms):
                self._boots.hear(router_id, sample.boot)
        elif self._has_room(router_id, item):
            self._accept(run, item, covered, batch)
        else:
            batch.saved.capped += 1
            return True
        self._seqs.settle(run, sample, now_ms)
        batch.saved.routers[router_id] = sample.router
        return not covered

    def _accept(self, run: Run, item: Arrived, covered: bool, batch: _Batch) -> None:
        """A sample that gets a row; if it is `covered`, only where it replaces what it contains."""
        router_id, saved = run.router_id, batch.saved
        run.boot_id = self._boots.make(router_id, item.sample.boot, online=item.live)
        batch.accepted.append(
            Accepted(
                router_id,
                run.id,
                run.boot_id,
                item.arrived_ms,
                covered,
                item.payload,
                item.sample,
            )
        )
        saved.stored += not covered
        saved.duplicates += covered
        prompt = self._boots.judge(router_id, run.boot_id, item)
        if item.live:
            saved.fresh.append((router_id, item))
            (saved.prompt.add if prompt else saved.prompt.discard)(router_id)

    def _has_room(self, router_id: int, item: Arrived) -> bool:
        """None of the rows that the sample adds is over a cap."""
        now_ms = item.arrived_ms
        return (
            self._caps.sample(router_id, now_ms)
            and self._boots.may_be(router_id, item.sample.boot, now_ms)
            and self._make_interfaces(router_id, item)
        )

    def _make_interfaces(self, router_id: int, item: Arrived) -> bool:
        """The sample's interfaces have numbers; False if the new ones are over the cap."""
        new = self._names.new_interfaces(router_id, item.sample)
        if new and not self._caps.interfaces(router_id, item.arrived_ms, len(new)):
            return False
        for name in new:
            self._names.interface(router_id, name)
        return True

    def _refuse(self, item: Malformed, saved: Saved) -> None:
        """Keep a message that broke the contract, and settle its seqs if they can be read."""
        if item.later_version:  # the router keeps it until this collector is upgraded
            saved.later_version += 1
            return
        saved.malformed += 1
        malformed.keep(self._db, item.topic, item.payload, item.rule, item.arrived_ms)
        if item.router is None or item.span is None:
            return
        router_id = self._registered.router_id(item.router)
        if router_id is None or not self._caps.sample(router_id, item.arrived_ms):
            return
        if self._seqs.refuse(router_id, item.span, item.arrived_ms):
            saved.routers[router_id] = item.router

    def _count(self, saved: Saved) -> None:
        counts: dict[malformed.Counted, int] = {
            malformed.MALFORMED: saved.malformed,
            "later_version": saved.later_version,
            "capped": saved.capped,
            "unregistered": saved.unregistered,
        }
        for name, more in counts.items():
            malformed.count(self._db, name, more)

    def _forget(self) -> None:
        self._seqs.forget()
        self._names.forget()
        self._boots.forget()
        self._caps.undo()
        for derived in self._derived:
            derived.forget()
