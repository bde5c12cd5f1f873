"""What becomes of a message: stored, a duplicate, refused, over a cap, or not registered.

Rule: the key is (router, run, first_seq, seq). A range that contains stored ranges replaces
them; one that is contained in a stored range is a duplicate. So any order, any number of
deliveries, and any merging on the way give the same rows.
Rule: a sample is acknowledged when it was decoded whole and has its row.
Rule: what is not registered, over the cap, or of a later contract is counted, and not acked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from titik_collector.ingest.boots import Boots
from titik_collector.ingest.caps import Caps
from titik_collector.ingest.saved import Saved
from titik_collector.ingest.seqs import Seqs
from titik_collector.received import (
    Arrived,
    Item,
    Malformed,
    ReplyReceived,
    RunningReceived,
    StatusReceived,
)
from titik_collector.registry.registry import Registry
from titik_collector.store import ids
from titik_collector.store.ids import BootName, Counters, InterfaceName, Names
from titik_collector.store.malformed import Refused
from titik_collector.store.runs import Run, RunName
from titik_collector.timeline.placing import Accepted


@dataclass(slots=True)
class Batch:
    """A batch while it is saved."""

    saved: Saved = field(default_factory=Saved)
    accepted: list[Accepted] = field(default_factory=list)  # to be placed in time
    # What is new to presence, with the router's id.
    heard: list[tuple[int, Arrived | StatusReceived]] = field(default_factory=list)
    running: list[tuple[int, RunningReceived]] = field(default_factory=list)  # with router
    refused: list[Refused] = field(default_factory=list)
    unknown: list[tuple[str, int]] = field(default_factory=list)  # routers, and when


class _Named(NamedTuple):
    """A message, its router if that is registered, and what a sample counts."""

    router_id: int | None
    item: Item
    counted: Counters


class Intake:
    """Takes messages into a batch, in its transaction; see the module's rules."""

    def __init__(
        self,
        registered: Registry,
        caps: Caps,
        names: Names,
        seqs: Seqs,
        boots: Boots,
    ) -> None:
        self._registered = registered
        self._caps = caps
        self._names = names
        self._seqs = seqs
        self._boots = boots

    def take(self, items: Sequence[Item], batch: Batch) -> None:
        """Decide what becomes of messages, and note it in the batch."""
        known = [self._named(item) for item in items]
        self._read(known)
        for one in known:
            item = one.item
            if isinstance(item, Malformed):
                self._refuse(one.router_id, item, batch)
            elif one.router_id is None:
                batch.unknown.append((item.router, item.arrived_ms))
                batch.saved.unregistered += 1
            elif isinstance(item, Arrived):
                self._take_sample(one.router_id, item, one.counted, batch)
            elif isinstance(item, StatusReceived):
                self._take_status(one.router_id, item, batch)
            else:
                self._take_word(one.router_id, item, batch)

    def _named(self, item: Item) -> _Named:
        router_id = None if item.router is None else self._registered.router_id(item.router)
        counted = ids.counters(item.sample) if isinstance(item, Arrived) else {}
        return _Named(router_id, item, counted)

    def _read(self, known: Sequence[_Named]) -> None:
        """Read what the messages name in one go."""
        runs: list[RunName] = []
        boots: list[BootName] = []
        interfaces: list[InterfaceName] = []
        for router_id, item, counted in known:
            if router_id is None:
                continue
            if isinstance(item, Arrived):
                sample = item.sample
                runs.append((router_id, sample.run))
                runs += [(router_id, held.run) for held in (*sample.spool, *(sample.kept or ()))]
                boots.append((router_id, sample.boot))
                interfaces += [(router_id, name) for name in counted]
            elif isinstance(item, StatusReceived):
                boots.append((router_id, item.status.boot))
            elif isinstance(item, Malformed) and item.span is not None:
                runs.append((router_id, item.span[0]))
        self._seqs.read(runs)
        self._names.read(boots, interfaces)

    def _take_sample(self, router_id: int, item: Arrived, counted: Counters, batch: Batch) -> None:
        sample, saved = item.sample, batch.saved
        run = self._seqs.run(router_id, sample.run, item.arrived_ms)
        covered = run is not None and run.has(sample.first_seq, sample.seq)
        if not covered:  # whether there is room for it or not, its router lives
            batch.heard.append((router_id, item))
        if run is None or not self._accept(run, item, counted, covered, batch):
            saved.capped += 1
            return
        boot = self._boots.find(router_id, sample.boot)
        self._seqs.settle(run, sample, boot, item.arrived_ms)
        saved.routers[router_id] = sample.router

    def _accept(
        self, run: Run, item: Arrived, counted: Counters, covered: bool, batch: Batch
    ) -> bool:
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
        if not self._has_room(router_id, item, counted):
            return False
        boot = self._boots.make(router_id, sample.boot, online=item.live)
        batch.accepted.append(
            Accepted(run, boot, item.arrived_ms, covered, item.payload, sample, counted)
        )
        saved.stored += not covered
        saved.duplicates += covered
        # What comes once more shows nothing of when it was taken.
        prompt = not covered and self._boots.judge(router_id, boot, item)
        if item.live:
            saved.fresh.append((router_id, item))
            (saved.prompt.add if prompt else saved.prompt.discard)(router_id)
        return True

    def _has_room(self, router_id: int, item: Arrived, counted: Counters) -> bool:
        """None of the rows that the sample adds is over a cap; its interfaces are made then."""
        now_ms = item.arrived_ms
        if not (
            self._caps.allow("sample", router_id, now_ms)
            and self._boots.may_be(router_id, item.sample.boot, now_ms)
        ):
            return False
        new = self._names.new_interfaces(router_id, counted)
        if new:
            if not self._caps.allow("interface", router_id, now_ms, len(new)):
                return False
            self._names.make_interfaces(router_id, new)
        return True

    def _take_status(self, router_id: int, item: StatusReceived, batch: Batch) -> None:
        boot_name, now_ms = item.status.boot, item.arrived_ms
        allowed = self._caps.allow("sample", router_id, now_ms)
        if not (allowed and self._boots.may_be(router_id, boot_name, now_ms)):
            batch.saved.capped += 1
            return
        batch.heard.append((router_id, item))
        if item.status.state == "online":
            self._boots.hear(router_id, boot_name)
        else:
            self._boots.make(router_id, boot_name, online=False)

    def _take_word(
        self, router_id: int, item: RunningReceived | ReplyReceived, batch: Batch
    ) -> None:
        """It says nothing of whether the router is there: the broker may have kept it."""
        saved = batch.saved
        if not self._caps.allow("sample", router_id, item.arrived_ms):
            saved.capped += 1
        elif isinstance(item, RunningReceived):
            batch.running.append((router_id, item))
            saved.running.append((router_id, item.running))
        else:
            saved.replies.append((router_id, item.reply))

    def _refuse(self, router_id: int | None, item: Malformed, batch: Batch) -> None:
        """Keep a message that broke the contract, and settle its seqs if they can be read."""
        saved = batch.saved
        if item.later_version:  # the router keeps it until this collector is upgraded
            saved.later_version += 1
            return
        saved.malformed += 1
        batch.refused.append(Refused(item.topic, item.payload, item.rule, item.arrived_ms))
        if item.router is None or item.span is None or router_id is None:
            return
        if not self._caps.allow("sample", router_id, item.arrived_ms):
            return
        if self._seqs.refuse(router_id, item.span, item.arrived_ms):
            saved.routers[router_id] = item.router
