"""A packed sample is the sample, and nothing that only looks packed harms a reader."""

import contextlib
import hashlib
import os
import subprocess
import sys
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.examples import BARE_SAMPLE, CASES, FULL_SAMPLE
from tests.wire.strategies import messages
from titik_wire import WireError, topics
from titik_wire.codec import decode, encode, identity
from titik_wire.limits import MAX_PAYLOAD
from titik_wire.messages import Sample
from titik_wire.packed import DICTIONARY, MARKER, is_packed, pack, unpack

TOPIC = topics.sample("tirosa-1")
GOOD = encode(BARE_SAMPLE)
PACKED = pack(GOOD)


def deflated(plain: bytes, dictionary: bytes = DICTIONARY) -> bytes:
    """Any bytes as a stream, without a marker."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=dictionary)
    return deflate.compress(plain) + deflate.flush()


def packed_often(times: int) -> bytes:
    """One in the other, like boxes."""
    payload = GOOD
    for _ in range(times):
        payload = MARKER + deflated(payload)
    return payload


# (what it is, the bytes, what the error says)
HOSTILE: list[tuple[str, bytes, str]] = [
    ("the marker alone", MARKER, "cut short"),
    ("a bomb of 10 MB", MARKER + deflated(b" " * 10_000_000), "more than 12288 bytes"),
    ("one byte more than allowed", pack(GOOD.ljust(MAX_PAYLOAD + 1)), "more than 12288 bytes"),
    ("a stream that never ends", MARKER + b"\0\0\0\xff\xff" * 2000, "cut short"),
    ("more packed bytes than allowed", PACKED + b"\0" * MAX_PAYLOAD, "at most"),
    ("a byte after the end", PACKED + b"\0", "after the end"),
    ("two of them", PACKED + PACKED, "after the end"),
    ("packed twice", MARKER + deflated(PACKED), "twice"),
    ("packed a hundred times", packed_often(100), "twice"),
    ("JSON behind a marker", MARKER + GOOD, "not packed as it says"),
    ("noise", MARKER + bytes(range(256)), "not packed as it says"),
    ("a reference before the dictionary", MARKER + b"\x03\xfe\xff", "not packed as it says"),
    ("another marker", b"\x02" + PACKED[1:], "not JSON"),
    ("no marker", PACKED[1:], "not JSON"),
    ("zlib's header", MARKER + zlib.compress(GOOD), "not packed as it says"),
    ("no JSON in it", MARKER + deflated(b"hello"), "not JSON"),
    ("nothing in it", MARKER + deflated(b""), "not JSON"),
    ("nested JSON in it", MARKER + deflated(b"[" * MAX_PAYLOAD), "not JSON|nested"),
]


@pytest.mark.parametrize("sample", [BARE_SAMPLE, FULL_SAMPLE], ids=["bare", "full"])
def test_a_packed_sample_is_read_as_the_sample(sample: Sample) -> None:
    """On both topics of samples, and its identity too."""
    payload = pack(encode(sample))
    assert is_packed(payload)
    assert sample == decode(TOPIC, payload)
    assert sample == decode(topics.backlog("tirosa-1"), payload)
    assert (sample.run, sample.first_seq, sample.seq) == identity(payload)


@given(sample=messages(Sample))
def test_unpack_gives_what_was_packed(sample: Sample) -> None:
    """Byte for byte, whatever the sample."""
    assert encode(sample) == unpack(pack(encode(sample)))


@given(payload=st.binary(max_size=300))
def test_no_payload_grows(payload: bytes) -> None:
    """What packing would make longer is sent as it is."""
    assert len(pack(payload)) <= len(payload)


def test_a_full_sample_takes_a_third() -> None:
    """The dictionary knows what samples say."""
    assert len(pack(encode(FULL_SAMPLE))) * 3 < len(encode(FULL_SAMPLE))


def test_the_dictionary_of_a_marker_never_changes() -> None:
    """Routers in the field pack with it; another dictionary needs another marker."""
    digest = "e5625280c11074524f98aa0426da8cad88cdace44df9989b58e8031d388d319b"
    assert (b"\x01", digest) == (MARKER, hashlib.sha256(DICTIONARY).hexdigest())


def test_a_packed_sample_of_an_earlier_release_is_read() -> None:
    """Not only what today's zlib writes."""
    old = bytes.fromhex(
        "019dd53b0a80301004d013adec27ab89e7f00231ba602568eddd0d82a0c6468b812966ea57fa"
        "302df31a2f4004e3e468c0a61f4563ed1f5e78778a71b4d38ce29509c9839c0b23758f264919"
        "c830824baa10a236c0264609873012dda151e52cc51b37042c1d4a8bae45ad887f73439fb4d9"
        "76"
    )
    assert BARE_SAMPLE == decode(TOPIC, old)


def test_a_packed_payload_of_the_limit_is_read() -> None:
    """The limit is that of the JSON, packed or not."""
    assert BARE_SAMPLE == decode(TOPIC, pack(GOOD.ljust(MAX_PAYLOAD)))


@pytest.mark.parametrize(("payload", "rule"), [one[1:] for one in HOSTILE],
                         ids=[one[0] for one in HOSTILE])  # fmt: skip
def test_what_only_looks_packed_is_refused(payload: bytes, rule: str) -> None:
    """A WireError names the rule it broke, and its identity cannot be read."""
    with pytest.raises(WireError, match=rule):
        decode(TOPIC, payload)
    assert identity(payload) is None


@pytest.mark.parametrize("size", range(1, len(PACKED)))
def test_a_packed_sample_cut_short_is_refused(size: int) -> None:
    """At whatever byte: never half a sample, never an older one's rest."""
    with pytest.raises(WireError):
        decode(TOPIC, PACKED[:size])


def test_a_bomb_takes_little_memory() -> None:
    """A packet's worth of it would unpack to 20 MB."""
    bomb = (MARKER + deflated(b" " * 12_000_000))[:MAX_PAYLOAD]
    tracemalloc.start()
    try:
        with pytest.raises(WireError, match="more than"):
            unpack(bomb)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


@given(flips=st.lists(st.tuples(st.integers(1, len(PACKED) - 1), st.integers(1, 255)), min_size=1))
def test_no_damage_raises_anything_but_wire_error(flips: list[tuple[int, int]]) -> None:
    """Total decoding: a message or a WireError."""
    payload = bytearray(PACKED)
    for at, bits in flips:
        payload[at] ^= bits
    with contextlib.suppress(WireError):
        decode(TOPIC, bytes(payload))


@given(tail=st.binary(max_size=100))
def test_no_stream_raises_anything_but_wire_error(tail: bytes) -> None:
    """Nor do other bytes behind a marker."""
    with contextlib.suppress(WireError):
        decode(TOPIC, MARKER + tail)


@pytest.mark.parametrize(("topic", "payload"), [
    case[1:] for case in CASES if topics.parse(case[1]).kind not in topics.PACKED
])  # fmt: skip
def test_only_samples_may_come_packed(topic: str, payload: bytes) -> None:
    """Acks, statuses and what engineers read stay JSON."""
    decode(topic, payload)
    with pytest.raises(WireError, match="not JSON"):
        decode(topic, MARKER + deflated(payload))


def test_the_module_prints_payloads_as_json() -> None:
    """What an engineer pipes `mosquitto_sub -F %x` into; a damaged one does not end it."""
    lines = [PACKED, GOOD, PACKED[:-1], PACKED]
    done = subprocess.run(
        [sys.executable, "-m", "titik_wire.packed"],
        input="".join(f"{one.hex()}\n" for one in lines) + "zz\n",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [GOOD.decode()] * 3 == done.stdout.splitlines()
    assert 2 == len(done.stderr.splitlines())
