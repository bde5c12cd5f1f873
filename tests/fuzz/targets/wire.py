"""The contract: any topic and payload give a message or a WireError, the same by both decoders.

An input is a topic, a newline, and the payload.
"""

from collections.abc import Sequence

from tests.wire.examples import CASES
from tests.wire.test_hostile import HOSTILE, TOPIC
from titik_collector.ingest import decode
from titik_wire import codec, packed, topics
from titik_wire.city_messages import Message
from titik_wire.errors import WireError

DEEP = 700  # lists and objects; nested in one another, the deepest that any caller can read


def seeds() -> Sequence[bytes]:
    sound = [topic.encode() + b"\n" + payload for _, topic, payload in CASES]
    sound += [topic.encode() + b"\n" + packed.pack(payload) for _, topic, payload in CASES]
    return [*sound, *(TOPIC.encode() + b"\n" + payload for _, payload, _, _ in HOSTILE)]


def one(data: bytes) -> None:
    raw, _, payload = data.partition(b"\n")
    topic = raw.decode("utf-8", "replace")
    message, output = _decode(topic, payload)
    codec.identity(payload)
    _agrees(topic, payload, message, output)
    if message is not None:
        _returns(topic, message)


def _decode(topic: str, payload: bytes) -> tuple[Message | None, str]:
    try:
        return codec.decode(topic, payload), ""
    except WireError as error:
        return None, repr(error)


def _agrees(topic: str, payload: bytes, message: Message | None, output: str) -> None:
    """The collector's decoder gives the same, down to the types, and words errors alike.

    How deep Python reads JSON depends on who calls: beyond, only the kind of error is compared.
    """
    try:
        other, worded = decode.decode(topic, payload), ""
    except WireError as error:
        other, worded = None, repr(error)
    if payload.count(b"[") + payload.count(b"{") > DEEP:
        output, worded = output and "WireError", worded and "WireError"
    assert (repr(message), output) == (repr(other), worded)


def _returns(topic: str, message: Message) -> None:
    """What was read is written and read again equal, if it is not too large to be written."""
    try:
        payload = codec.encode(message)
    except WireError as error:
        if "bytes, at most" in str(error):
            return
        raise AssertionError("cannot be written again") from error
    assert message == codec.decode(topic, payload)
    topics.parse(topic)
