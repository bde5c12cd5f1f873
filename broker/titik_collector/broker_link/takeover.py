"""Before the first connect: who was at work at this broker, and how much it knows.

A client that changes nothing reads what the broker holds of a collector before us.
Rule: it is read before we connect as the collector, for that would evict a collector that runs
there, and before anything retained is written over.
Rule: a status of another store or epoch that is still published is another collector's. One that
stands still for WATCH_S is a ghost, left by a broker that lost power.
Rule: an empty store does not follow another one silently: what that has acknowledged would be lost,
but for what routers still keep.
Rule: what cannot be read delays no connection. It is logged once the connection stands.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from titik_collector.broker_link.conversation import Conversation
from titik_collector.limits import MAX_NAMED
from titik_collector.store import identity
from titik_collector.store.database import Database, StoreError
from titik_collector.store.identity import Identity
from titik_collector.wording.mendable import Mendable
from titik_mqtt.endpoint import Endpoint
from titik_mqtt.failures import LinkDown
from titik_wire import codec, topics
from titik_wire.city_messages import Message
from titik_wire.errors import WireError
from titik_wire.messages import Ack, CollectorStatus

log = logging.getLogger(__name__)

WATCH_S = 25.0  # two beats and a half
PATIENCE_S = 5.0  # for each answer of the broker


class OtherCollector(Mendable):
    """Another collector or another store was at work here; the text has evidence and remedy."""


@dataclass(frozen=True, slots=True)
class Found:
    """The status and the acks that the broker holds; no acks if ours are the newest."""

    status: CollectorStatus | None = None
    acks: tuple[Ack, ...] = ()


@dataclass(eq=False)
class Takeover:
    """Looks once, and brings the store above what the broker has of it."""

    _db: Database
    _door: Endpoint | None  # where a second client may read; None: nothing is read
    _collector: str  # its id
    identity: Identity
    # Stores acks; how many samples they cover that the store lacks, by router.
    _believe: Callable[[Sequence[Ack]], Mapping[str, int]]
    _unread: str | None = None  # why the broker could not be read

    def look(self) -> None:
        """OtherCollector if one is at work there; LinkDown if the store fails."""
        own = self.identity
        if self._door is None:
            return
        try:
            found = look(self._door, self._collector, own)
            if found.acks and not identity.is_begun(self._db):
                raise OtherCollector(_other_store(found))
            if found.status is not None and found.status.store == own.store:
                own = identity.raise_above(self._db, own, found.status.epoch or 0)
            _log_lost(self._believe(found.acks))
        except LinkDown as error:
            self._unread = str(error)
            return  # the connection fails too, or there is no such door
        except StoreError as error:
            raise LinkDown(f"the store fails: {error}") from error
        self.identity, self._door, self._unread = own, None, None

    def connected(self) -> None:
        """From here on the status at the broker is our own."""
        if self._unread is not None:
            log.warning("connected without checking for another collector reason=%s", self._unread)
        self._door = self._unread = None


def _other_store(found: Found) -> str:
    name = found.status and found.status.store
    return (
        f"this store is empty, and the city has another one: the broker has its acks for"
        f" {len(found.acks)} routers, and its id is {name or 'not known'}. Bring it here with"
        " `titik store copy OLD titik.toml`, or a backup of it with `titik restore --only-store"
        " FILE`. If it is gone for good: `titik store begin`, then start the collector; routers"
        " send again what they still keep, and the rest counts as lost"
    )


def _log_lost(lost: Mapping[str, int]) -> None:
    if lost:
        log.warning(
            "samples lost with a newer state of this store: the broker's acks cover them and"
            " they are not here; what routers still keep of them comes again samples=%d routers=%d",
            sum(lost.values()),
            len(lost),
        )
    for router, samples in sorted(lost.items())[:MAX_NAMED]:
        log.warning("lost with a newer state of this store router=%s samples=%d", router, samples)


def look(door: Endpoint, collector: str, own: Identity, watch_s: float = WATCH_S) -> Found:
    """OtherCollector if one goes on publishing; LinkDown if the broker cannot be read.

    The door must leave client ids to the clients, or our own session would be taken over.
    """
    if door.tls is not None:
        # Perhaps by an address of this machine, which is not in the certificate.
        door = door._replace(tls=door.tls._replace(check_hostname=False))
    name = f"{topics.CLIENT_ID}look:{collector}"
    with Conversation(door, name, PATIENCE_S).open() as conversation:
        statuses = _statuses(_fetch(conversation, topics.collector(collector)))
        status = statuses[-1] if statuses else None
        if status is not None and _is_suspect(status, own):
            _watch(conversation, collector, own, watch_s)
        acks: list[Ack] = []
        if not _is_ours(status, own):
            found = _fetch(conversation, topics.ALL_ACKS)
            acks = [one for one in found if isinstance(one, Ack)]
    return Found(status, tuple(acks))


def _is_alive(status: CollectorStatus) -> bool:
    """Whether it was connected when it published this; one whose store fails says `offline`."""
    return status.state == "online" or status.storing is not None


def _is_suspect(status: CollectorStatus, own: Identity) -> bool:
    """Our own lease shows that no other collector has this file open, whatever the status says."""
    ours = status.store == own.store and (status.epoch or 0) < own.epoch and not own.moved
    # A collector of a version without beats looks like a ghost.
    return _is_alive(status) and status.beat is not None and not ours


def _is_ours(status: CollectorStatus | None, own: Identity) -> bool:
    """This very file wrote last at this broker, so that no ack there is above it."""
    if status is None or own.moved:
        return False
    return (status.store, status.epoch) == (own.store, own.epoch - 1)


def _watch(conversation: Conversation, collector: str, own: Identity, watch_s: float) -> None:
    def moved() -> CollectorStatus | None:
        live = _statuses(_messages(conversation))
        others = [one for one in live if (one.store, one.epoch) != (own.store, own.epoch)]
        return others[-1] if others else None

    conversation.received_messages.clear()  # what is retained
    beat = topics.beat(collector)
    conversation.subscribe(beat, f"{beat} cannot be read", qos=0)
    conversation.until(lambda: moved() is not None, watch_s)
    other = moved()
    if other is not None and _is_alive(other):
        raise OtherCollector(
            f"another collector is at work here: id {other.collector}, store {other.store or '?'},"
            f" epoch {other.epoch or 0}, version {other.version}; this store is {own.store}, epoch"
            f" {own.epoch}. Stop one of the two. A copy of a city needs a broker of its own:"
            " [broker] directory or port in its titik.toml"
        )


def _fetch(conversation: Conversation, topic: str) -> list[Message]:
    """What is retained on a topic; QoS 0, so that it all comes before the second answer."""
    conversation.received_messages.clear()
    conversation.subscribe(topic, f"{topic} cannot be read", qos=0)
    conversation.unsubscribe(topics.NOTHING, f"{topic} cannot be read")
    return _messages(conversation)


def _statuses(messages: Sequence[Message]) -> list[CollectorStatus]:
    return [one for one in messages if isinstance(one, CollectorStatus)]


def _messages(conversation: Conversation) -> list[Message]:
    """What came, except what was cleared or is of a later version."""
    found: list[Message] = []
    for topic, payload in conversation.received_messages:
        with suppress(WireError):
            found.append(codec.decode(topic, payload))
    return found
