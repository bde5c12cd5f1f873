"""One message of the broker as what the store takes; pure.

Rule: every message becomes an item, whatever its bytes.
Rule: a packed sample is unpacked here; everything behind sees JSON.
"""

from contextlib import suppress

from titik_collector.broker_link.inbox import ReceivedMessage
from titik_collector.ingest import decode, plausible
from titik_collector.received import (
    Arrived,
    Item,
    Malformed,
    ReplyReceived,
    RunningReceived,
    StatusReceived,
)
from titik_wire import codec, packed, topics
from titik_wire.errors import UnknownVersion, WireError
from titik_wire.fleet_messages import RouterReply, Running
from titik_wire.messages import Sample

_MAY_BE_PACKED = tuple(f"/{kind}" for kind in topics.PACKED)


def to_item(received: ReceivedMessage, now_ms: int) -> Item:
    """A message of a router or a malformed one, with `now_ms` as its arrival."""
    received = _unpacked(received)
    try:
        message = decode.decode(received.topic, received.payload)
    except UnknownVersion as error:
        return Malformed(
            received.topic, received.payload, str(error), arrived_ms=now_ms, later_version=True
        )
    except WireError as error:
        return _malformed(received, str(error), now_ms)
    if isinstance(message, decode.SAMPLES):
        return _sample(received, message, now_ms)
    if isinstance(message, decode.STATUSES):
        return StatusReceived(message, now_ms)
    if isinstance(message, Running):
        return RunningReceived(message, now_ms)
    if isinstance(message, RouterReply):
        return ReplyReceived(message, now_ms)
    return _malformed(received, "not a message of a router", now_ms)


def _unpacked(received: ReceivedMessage) -> ReceivedMessage:
    """Nothing behind this meets a packed payload, unless it is damaged or where none may be."""
    if packed.is_packed(received.payload) and received.topic.endswith(_MAY_BE_PACKED):
        with suppress(WireError):  # `decode` reports the damage as a WireError
            return received._replace(payload=packed.unpack(received.payload))
    return received


def _sample(received: ReceivedMessage, sample: Sample, now_ms: int) -> Item:
    doubt = plausible.doubt(sample)
    if doubt is not None:  # no `span`: a seq that cannot be true settles nothing
        return Malformed(
            received.topic, received.payload, doubt, arrived_ms=now_ms, router=sample.router
        )
    is_live = received.topic == topics.sample(sample.router)  # else `backlog`; there is no third
    return Arrived(sample, received.payload, live=is_live, arrived_ms=now_ms)


def _malformed(received: ReceivedMessage, rule: str, now_ms: int) -> Malformed:
    """With its router and seqs, as far as topic and payload show them."""
    try:
        address = topics.parse(received.topic)
    except WireError:
        return Malformed(received.topic, received.payload, rule, arrived_ms=now_ms)
    is_sample = address.kind in ("sample", "backlog")
    return Malformed(
        received.topic,
        received.payload,
        rule,
        arrived_ms=now_ms,
        router=address.name,
        span=codec.identity(received.payload) if is_sample else None,
    )
