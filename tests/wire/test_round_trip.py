"""Whatever a writer may say, a reader reads back; whatever arrives, a reader survives."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.examples import CASES, topic_of
from tests.wire.strategies import MESSAGES, messages
from titik_wire import WireError
from titik_wire.city_messages import Message
from titik_wire.codec import decode, encode, identity
from titik_wire.limits import MAX_PAYLOAD
from titik_wire.messages import Sample

TOPICS = sorted({topic for _, topic, _ in CASES})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)

# Prints the bytes that are left of reading; in a process without the threads of other tests.
READING = """
import gc, tracemalloc
from tests.wire.examples import CASES
from titik_wire.codec import decode

_, topic, payload = CASES[0]
decode(topic, payload)
others = []  # as a process allocates in between, so that addresses differ
tracemalloc.start()
for number in range(1000):
    decode(topic, payload)
    others += [b"%052d" % number for _ in range(3)]
others.clear()
gc.collect()
print(sum(one.size for one in tracemalloc.take_snapshot().statistics("filename")))
"""


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_decode_reads_what_encode_wrote(cls: type[Message], data: st.DataObject) -> None:
    """encode and decode are inverse for every message."""
    message = data.draw(messages(cls))
    payload = encode(message)
    assert message == decode(topic_of(message), payload)
    assert payload == encode(decode(topic_of(message), payload))
    assert len(payload) <= MAX_PAYLOAD


@given(sample=messages(Sample))
def test_identity_is_that_of_the_sample(sample: Sample) -> None:
    """A refused sample is accounted under the same run and seqs as a read one."""
    assert (sample.run, sample.first_seq, sample.seq) == identity(encode(sample))


@given(topic=st.sampled_from(TOPICS), payload=st.binary(max_size=200))
def test_no_bytes_raise_anything_but_wire_error(topic: str, payload: bytes) -> None:
    """Total decoding: a message or a WireError."""
    survive(topic, payload)


@given(topic=st.text(max_size=60), payload=st.sampled_from([payload for _, _, payload in CASES]))
def test_no_topic_raises_anything_but_wire_error(topic: str, payload: bytes) -> None:
    """Total decoding covers the topic too."""
    survive(topic, payload)


@given(case=st.sampled_from(CASES), data=st.data())
def test_no_value_in_a_field_raises_anything_but_wire_error(
    case: tuple[Message, str, bytes], data: st.DataObject
) -> None:
    """Any JSON value in the place of any other one is read or refused."""
    _, topic, payload = case
    plain = json.loads(payload)
    holder, slot = data.draw(st.sampled_from(list(slots(plain))))
    holder[slot] = data.draw(JSON)
    survive(topic, json.dumps(plain).encode())


@given(case=st.sampled_from(CASES), data=st.data())
def test_no_damaged_byte_raises_anything_but_wire_error(
    case: tuple[Message, str, bytes], data: st.DataObject
) -> None:
    """A message with bytes overwritten or cut off is read or refused."""
    _, topic, payload = case
    start = data.draw(st.integers(0, len(payload) - 1))
    damage = data.draw(st.binary(max_size=4))
    survive(topic, payload[:start] + damage + payload[start + len(damage) :])
    survive(topic, payload[:start])


def slots(plain: Any) -> Iterator[tuple[Any, str | int]]:
    """Every place in a JSON value that holds another one."""
    keys: Iterable[str | int] = plain if isinstance(plain, dict) else range(len(plain))
    for key in keys:
        yield plain, key
        if isinstance(plain[key], (dict, list)):
            yield from slots(plain[key])


def survive(topic: str, payload: bytes) -> None:
    """Read it; only a WireError may come out."""
    with contextlib.suppress(WireError):
        decode(topic, payload)
    identity(payload)


@pytest.mark.thorough
def test_reading_leaves_nothing_behind() -> None:
    """CPython remembers up to 4096 names of attributes by address; a new decoder brings four."""
    kept = subprocess.run([sys.executable, "-c", READING], stdout=subprocess.PIPE, check=True)
    assert int(kept.stdout) < 3_000
