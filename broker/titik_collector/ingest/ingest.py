"""From messages to committed samples to acknowledgements, in that order and no other.

Rule: a message is acknowledged to the broker after its batch is committed, and the router's ack
is published after that; so whatever dies in between, the message comes again.
Rule: a batch is what the socket gave until it was empty, at most MAX_BATCH; never a timer.
Rule: while the store fails, nothing is read, so memory stays bounded by one batch.
Rule: a packed sample is unpacked here; everything behind sees JSON.
Rule: a message that a bug of ours keeps from being stored is quarantined alone. It neither ends the
collector, which would meet it again at its next start, nor holds up the messages beside it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple, Protocol

from titik_collector.ingest import decode, plausible
from titik_collector.ingest.batch import Arrived, Item, Poison, Said, Saved, Store
from titik_collector.store.database import StoreError, Unstorable
from titik_wire import codec, packed, topics
from titik_wire.errors import UnknownVersion, WireError
from titik_wire.messages import Ack, Sample, Status

log = logging.getLogger(__name__)

MAX_BATCH = 1000
_MAY_BE_PACKED = tuple(f"/{kind}" for kind in topics.PACKED)


class Letter(NamedTuple):
    """One message as the broker delivered it; `token` acknowledges it."""

    topic: str
    payload: bytes
    token: tuple[int, int]  # connection and packet: an ack is good on its own connection only


class Inbox(Protocol):
    """Where messages come from; the seam to whatever broker is behind it."""

    def receive(self, most: int, wait_s: float) -> Sequence[Letter]:
        """Up to `most` letters: waits for the first, then takes what is there."""
        ...

    def acknowledge(self, letters: Sequence[Letter]) -> None:
        """The letters are committed; the broker may forget them."""
        ...


class Outbox(Protocol):
    """Where what the collector says goes."""

    def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        """Hand over one message; lost if the link is down: what is retained is said again."""
        ...

    def flush(self) -> None:
        """Send what was handed over; without it, that waits for the next `receive`."""
        ...


class Ingest:
    """Drives letters through decode, save and the two acknowledgements."""

    def __init__(
        self,
        inbox: Inbox,
        outbox: Outbox,
        store: Store,
        now_ms: Callable[[], int],
    ) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._store = store
        self._now_ms = now_ms
        self._batch: Sequence[Letter] = ()
        self._items: list[tuple[Letter, Item]] = []

    def step(self, wait_s: float) -> Saved | None:
        """One batch; None if nothing came. StoreError: it is kept, call again to retry it."""
        if not self._batch:
            self._batch = self._inbox.receive(MAX_BATCH, wait_s)
            now_ms = self._now_ms()
            # An empty payload is a retained message being cleared, and says nothing.
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
            return self._store.save([item for _, item in self._items])
        except Exception as error:
            if _is_the_store_s(error):
                raise
            log.exception("a bug keeps a message from being stored, the batch is stored singly")
        saved = Saved()
        for letter, item in self._items:
            saved.add(self._save_one(letter, item))
        return saved

    def _save_one(self, letter: Letter, item: Item) -> Saved:
        """Store it, or quarantine it: its router sends it again, and gives it up in the end."""
        try:
            return self._store.save([item])
        except Exception as error:
            if _is_the_store_s(error):
                raise
            rule = f"cannot be stored, a bug of the collector: {type(error).__name__}"
            log.error("message quarantined topic=%s reason=%s", letter.topic, rule)
            return self._store.save([Poison(letter.topic, letter.payload, rule, self._now_ms())])

    def drop_batch(self) -> None:
        """Forget what is not committed: a broker delivers it again on the next connection."""
        self._batch, self._items = (), []

    def acknowledge_all(self) -> None:
        """Say every open ack again, on each connect."""
        for router_id, router in self._store.routers_with_open_runs():
            self._publish(self._store.ack(router_id, router))

    def _acknowledge_routers(self, routers: Mapping[int, str]) -> None:
        for router_id, router in routers.items():
            self._publish(self._store.ack(router_id, router))
        self._outbox.flush()

    def _publish(self, ack: Ack) -> None:
        self._outbox.publish(topics.ack(ack.router), fit(ack), retain=True)


def _is_the_store_s(error: Exception) -> bool:
    """The store fails for every message: disk full, locked, damaged."""
    return isinstance(error, StoreError) and not isinstance(error, Unstorable)


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


def to_item(letter: Letter, now_ms: int) -> Item:
    """What a letter is to the store; total, whatever its bytes."""
    letter = _unpacked(letter)
    try:
        message = decode.decode(letter.topic, letter.payload)
    except UnknownVersion as error:
        return Poison(letter.topic, letter.payload, str(error), now_ms, later_version=True)
    except WireError as error:
        return _poison(letter, str(error), now_ms)
    if isinstance(message, Sample):
        doubt = plausible.doubt(message)
        if doubt is not None:  # its seq is not accounted, for it cannot be
            return Poison(letter.topic, letter.payload, doubt, now_ms, message.router)
        live = letter.topic.endswith("/sample")  # else on `backlog`; decoding knows no third
        return Arrived(message, letter.payload, live, now_ms)
    if isinstance(message, Status):
        return Said(message, now_ms)
    return _poison(letter, "not a message of a router", now_ms)


def _unpacked(letter: Letter) -> Letter:
    """Nothing behind this meets a packed payload, unless it is damaged or where none may be."""
    if packed.is_packed(letter.payload) and letter.topic.endswith(_MAY_BE_PACKED):
        with suppress(WireError):  # which decoding it puts into words
            return letter._replace(payload=packed.unpack(letter.payload))
    return letter


def _poison(letter: Letter, rule: str, now_ms: int) -> Poison:
    try:
        address = topics.parse(letter.topic)
    except WireError:
        return Poison(letter.topic, letter.payload, rule, now_ms)
    is_sample = address.kind in ("sample", "backlog")
    span = codec.identity(letter.payload) if is_sample else None
    return Poison(letter.topic, letter.payload, rule, now_ms, address.name, span)


__all__ = ["Inbox", "Ingest", "Letter", "Outbox", "StoreError", "to_item"]
