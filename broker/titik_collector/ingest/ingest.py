"""From messages to committed samples to acknowledgements, in that order and no other.

Rule: a message is acknowledged to the broker after its batch is committed. The router's ack is
published after that. So whatever dies in between, the message comes again.
Rule: a batch is what the socket gave until it was empty, at most MAX_BATCH; never a timer.
Rule: while the store fails, nothing is read, so memory stays bounded by one batch.
Rule: if a bug of ours stops one message, only that message is kept as malformed. It neither ends
the collector, which would meet it again at its next start, nor delays the messages beside it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from titik_collector.broker_link.inbox import Inbox, Outbox, ReceivedMessage
from titik_collector.ingest import items
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.saved import Saved
from titik_collector.limits import MAX_BATCH
from titik_collector.received import Item, Malformed
from titik_collector.store.database import is_of_the_store
from titik_collector.store.identity import Identity
from titik_wire import codec, topics
from titik_wire.errors import WireError
from titik_wire.messages import Ack

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Ingest:
    """Drives messages through decode, save and the two acknowledgements."""

    _inbox: Inbox
    _outbox: Outbox
    _batches: BatchWriter
    _now_ms: Callable[[], int]
    _batch: Sequence[ReceivedMessage] = ()
    _items: list[tuple[ReceivedMessage, Item]] = field(default_factory=list)
    flood: bool = False  # the last batch was full, so that more messages wait
    identity: Callable[[], Identity] | None = None  # of the store, for acks that lack something

    def step(self, wait_s: float) -> Saved | None:
        """One batch; None if nothing came. StoreError: it is kept, call again to retry it."""
        if not self._batch:
            self._batch = self._inbox.receive(MAX_BATCH, wait_s)
            self.flood = len(self._batch) == MAX_BATCH
            now_ms = self._now_ms()
            # An empty payload is a retained message being cleared.
            self._items = [(one, items.to_item(one, now_ms)) for one in self._batch if one.payload]
        if not self._batch:
            return None
        saved = self._save()
        self._inbox.acknowledge(self._batch)
        self.drop_batch()
        self._acknowledge_routers(saved.routers)
        return saved

    def _save(self) -> Saved:
        try:
            return self._batches.save([item for _, item in self._items])
        except Exception as error:
            if is_of_the_store(error):  # the disk or the server: the whole batch is tried again
                raise
            log.exception("a bug stops the batch, its messages are stored one by one")
        saved = Saved()
        for received, item in self._items:
            saved.add(self._save_one(received, item))
        return saved

    def _save_one(self, received: ReceivedMessage, item: Item) -> Saved:
        """Store it, or keep its beginning as malformed, without an ack.

        The router sends it again, gives it up after ten tries, and the sample counts as lost.
        """
        try:
            return self._batches.save([item])
        except Exception as error:
            if is_of_the_store(error):
                raise
            rule = f"cannot be stored, a bug of the collector: {type(error).__name__}"
            log.error(
                "message not stored, its beginning is kept topic=%s reason=%s", received.topic, rule
            )
            whole = Malformed(received.topic, received.payload, rule, arrived_ms=self._now_ms())
            return self._batches.save([whole])

    def drop_batch(self) -> None:
        """Forget what is not committed: a broker delivers it again on the next connection."""
        self._batch, self._items = (), []

    def acknowledge_all(self) -> None:
        """Publish every open ack again, on each connect."""
        self._publish(dict(self._batches.routers_with_open_runs()))

    def _acknowledge_routers(self, routers: Mapping[int, str]) -> None:
        if routers:
            self._publish(routers)
        self._outbox.flush()  # also sends what acknowledges messages to the broker, so always

    def _publish(self, routers: Mapping[int, str]) -> None:
        for ack in self._batches.acks(routers):
            if self.identity is not None and any(run.lacks for run in ack.runs):
                own = self.identity()
                ack = replace(ack, store=own.store, epoch=own.epoch)
            self._outbox.publish(topics.ack(ack.router), fit(ack), retain=True)


def fit(ack: Ack) -> bytes:
    """The ack's payload, with fewer ranges if it is too large.

    The router learns of the others from later acks.
    """
    while True:
        try:
            return codec.encode(ack)
        except WireError:
            runs = tuple(
                replace(
                    run,
                    also=run.also[: len(run.also) // 2],
                    lacks=run.lacks[: len(run.lacks) // 2],
                )
                for run in ack.runs
            )
            if runs == ack.runs:
                raise
            ack = replace(ack, runs=runs)
