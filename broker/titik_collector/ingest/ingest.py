"""From messages to committed samples to acknowledgements, in that order and no other.

Rule: a message is acknowledged to the broker after its batch is committed. The router's ack is
published after that. So whatever dies in between, the message comes again.
Rule: a batch is what the socket gave until it was empty, at most MAX_BATCH; never a timer.
Rule: while the store fails, nothing is read, so memory stays bounded by one batch.
Rule: a packed sample is unpacked here; everything behind sees JSON.
Rule: a message that a bug of ours keeps from being stored is put away alone. It neither ends the
collector, which would meet it again at its next start, nor holds up the messages beside it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from titik_collector.broker_link.inbox import Inbox, Outbox, ReceivedMessage
from titik_collector.ingest import decode, plausible
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.saved import Saved
from titik_collector.limits import MAX_BATCH
from titik_collector.received import Arrived, Item, Malformed, StatusReceived
from titik_collector.store.database import is_of_the_store
from titik_wire import codec, packed, topics
from titik_wire.errors import UnknownVersion, WireError
from titik_wire.messages import Ack, Sample, Status

log = logging.getLogger(__name__)

_MAY_BE_PACKED = tuple(f"/{kind}" for kind in topics.PACKED)


@dataclass(eq=False)
class Ingest:
    """Drives messages through decode, save and the two acknowledgements."""

    _inbox: Inbox
    _outbox: Outbox
    _batches: BatchWriter
    _now_ms: Callable[[], int]
    _batch: Sequence[ReceivedMessage] = ()
    _items: list[tuple[ReceivedMessage, Item]] = field(default_factory=list)

    def step(self, wait_s: float) -> Saved | None:
        """One batch; None if nothing came. StoreError: it is kept, call again to retry it."""
        if not self._batch:
            self._batch = self._inbox.receive(MAX_BATCH, wait_s)
            now_ms = self._now_ms()
            # An empty payload is a retained message being cleared.
            self._items = [(one, to_item(one, now_ms)) for one in self._batch if one.payload]
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
            if is_of_the_store(error):
                raise
            log.exception("a bug keeps a message from being stored, the batch is stored singly")
        saved = Saved()
        for received, item in self._items:
            saved.add(self._save_one(received, item))
        return saved

    def _save_one(self, received: ReceivedMessage, item: Item) -> Saved:
        """Store it, or put it away: its router sends it again, and gives it up in the end."""
        try:
            return self._batches.save([item])
        except Exception as error:
            if is_of_the_store(error):
                raise
            rule = f"cannot be stored, a bug of the collector: {type(error).__name__}"
            log.error(
                "message not stored, its beginning is kept topic=%s reason=%s", received.topic, rule
            )
            whole = Malformed(received.topic, received.payload, rule, self._now_ms())
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
        self._outbox.flush()

    def _publish(self, routers: Mapping[int, str]) -> None:
        for ack in self._batches.acks(routers):
            self._outbox.publish(topics.ack(ack.router), fit(ack), retain=True)


def fit(ack: Ack) -> bytes:
    """The ack's payload; if it is too large, with fewer ranges: they come when `upto` passes."""
    while True:
        try:
            return codec.encode(ack)
        except WireError:
            runs = tuple(replace(run, also=run.also[: len(run.also) // 2]) for run in ack.runs)
            if runs == ack.runs:
                raise
            ack = replace(ack, runs=runs)


def to_item(received: ReceivedMessage, now_ms: int) -> Item:
    """What a message is to the store; total, whatever its bytes."""
    received = _unpacked(received)
    try:
        message = decode.decode(received.topic, received.payload)
    except UnknownVersion as error:
        return Malformed(received.topic, received.payload, str(error), now_ms, later_version=True)
    except WireError as error:
        return _malformed(received, str(error), now_ms)
    if isinstance(message, Sample):
        doubt = plausible.doubt(message)
        if doubt is not None:  # its seq is not accounted, for it cannot be
            return Malformed(received.topic, received.payload, doubt, now_ms, message.router)
        live = received.topic == topics.sample(message.router)  # else `backlog`; there is no third
        return Arrived(message, received.payload, live, now_ms)
    if isinstance(message, Status):
        return StatusReceived(message, now_ms)
    return _malformed(received, "not a message of a router", now_ms)


def _unpacked(received: ReceivedMessage) -> ReceivedMessage:
    """Nothing behind this meets a packed payload, unless it is damaged or where none may be."""
    if packed.is_packed(received.payload) and received.topic.endswith(_MAY_BE_PACKED):
        with suppress(WireError):  # which decoding it puts into words
            return received._replace(payload=packed.unpack(received.payload))
    return received


def _malformed(received: ReceivedMessage, rule: str, now_ms: int) -> Malformed:
    try:
        address = topics.parse(received.topic)
    except WireError:
        return Malformed(received.topic, received.payload, rule, now_ms)
    is_sample = address.kind in ("sample", "backlog")
    span = codec.identity(received.payload) if is_sample else None
    return Malformed(received.topic, received.payload, rule, now_ms, address.name, span)
