"""What becomes of a message: stored, a duplicate, refused, over a cap, or not registered.

Rule: the key is (router, run, first_seq, seq). A range that contains stored ranges replaces
them; one that is contained in a stored range is a duplicate. So any order, any number of
deliveries, and any merging on the way give the same rows.
Rule: a sample is acknowledged when it was decoded whole and has its row.
Rule: what is not registered, over the cap, or of a later contract is counted, and not acked.
"""

from dataclasses import dataclass, field

from titik_collector.ingest.boots import Boots
from titik_collector.ingest.caps import Caps
from titik_collector.ingest.saved import Saved
from titik_collector.ingest.seqs import Seqs
from titik_collector.received import Arrived, Item, Malformed, StatusReceived
from titik_collector.registry.registry import Registry
from titik_collector.store import malformed, unknown_routers
from titik_collector.store.database import Database
from titik_collector.store.ids import Names
from titik_collector.store.runs import Run
from titik_collector.timeline.placing import Accepted


@dataclass(slots=True)
class Batch:
    """A batch while it is saved."""

    saved: Saved = field(default_factory=Saved)
    accepted: list[Accepted] = field(default_factory=list)  # to be placed in time
    # What is new to presence, with the router's id.
    heard: list[tuple[int, Arrived | StatusReceived]] = field(default_factory=list)


class Intake:
    """Takes messages into a batch, in its transaction; see the module's rules."""

    def __init__(
        self,
        db: Database,
        registered: Registry,
        caps: Caps,
        names: Names,
        seqs: Seqs,
        boots: Boots,
    ) -> None:
        self._db = db
        self._registered = registered
        self._caps = caps
        self._names = names
        self._seqs = seqs
        self._boots = boots

    def take(self, item: Item, batch: Batch) -> None:
        """Decide what becomes of a message, and note it in the batch."""
        if isinstance(item, Malformed):
            self._refuse(item, batch.saved)
            return
        router_id = self._registered.router_id(item.router)
        if router_id is None:
            unknown_routers.hear(self._db, item.router, item.arrived_ms)
            batch.saved.unregistered += 1
        elif isinstance(item, StatusReceived):
            self._take_status(router_id, item, batch)
        else:
            self._take_sample(router_id, item, batch)

    def _take_sample(self, router_id: int, item: Arrived, batch: Batch) -> None:
        sample, saved = item.sample, batch.saved
        run = self._seqs.run(router_id, sample.run, item.arrived_ms)
        covered = run is not None and run.has(sample.first_seq, sample.seq)
        if not covered:  # whether there is room for it or not, its router lives
            batch.heard.append((router_id, item))
        if run is None or not self._accept(run, item, covered, batch):
            saved.capped += 1
            return
        self._seqs.settle(run, sample, item.arrived_ms)
        saved.routers[router_id] = sample.router

    def _accept(self, run: Run, item: Arrived, covered: bool, batch: Batch) -> bool:
        """Give a sample its row, if it may have one; False: over a cap.

        `covered`: all of its seqs are stored, so that it is a duplicate. It may replace what it
        contains.
        """
        router_id, saved, sample = run.router_id, batch.saved, item.sample
        if covered and sample.first_seq == sample.seq:
            saved.duplicates += 1
            if item.live and self._boots.may_be(router_id, sample.boot, item.arrived_ms):
                self._boots.hear(router_id, sample.boot)
            return True
        if not self._has_room(router_id, item):
            return False
        run.boot_id = boot_id = self._boots.make(router_id, sample.boot, online=item.live)
        batch.accepted.append(
            Accepted(router_id, run.id, boot_id, item.arrived_ms, covered, item.payload, sample)
        )
        saved.stored += not covered
        saved.duplicates += covered
        # What comes once more shows nothing of when it was taken.
        prompt = not covered and self._boots.judge(router_id, boot_id, item)
        if item.live:
            saved.fresh.append((router_id, item))
            (saved.prompt.add if prompt else saved.prompt.discard)(router_id)
        return True

    def _has_room(self, router_id: int, item: Arrived) -> bool:
        """None of the rows that the sample adds is over a cap; its interfaces have numbers then."""
        now_ms = item.arrived_ms
        if not (
            self._caps.allow("sample", router_id, now_ms)
            and self._boots.may_be(router_id, item.sample.boot, now_ms)
        ):
            return False
        new = self._names.new_interfaces(router_id, item.sample)
        if new and not self._caps.allow("interface", router_id, now_ms, len(new)):
            return False
        for name in new:
            self._names.interface(router_id, name)
        return True

    def _take_status(self, router_id: int, item: StatusReceived, batch: Batch) -> None:
        token, now_ms = item.status.boot, item.arrived_ms
        allowed = self._caps.allow("sample", router_id, now_ms)
        if not (allowed and self._boots.may_be(router_id, token, now_ms)):
            batch.saved.capped += 1
            return
        batch.heard.append((router_id, item))
        if item.status.state == "online":
            self._boots.hear(router_id, token)
        else:
            self._boots.make(router_id, token, online=False)

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
        if router_id is None or not self._caps.allow("sample", router_id, item.arrived_ms):
            return
        if self._seqs.refuse(router_id, item.span, item.arrived_ms):
            saved.routers[router_id] = item.router
