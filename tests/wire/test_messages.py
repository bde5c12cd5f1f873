"""One table for both directions of the contract: a message, its topic and its bytes."""

from dataclasses import replace
from typing import get_args

import pytest

from tests.wire.examples import BARE_SAMPLE, BOOT, CASES, RUN, topic_of
from titik_wire import WireError, topics
from titik_wire.city_messages import Message
from titik_wire.codec import decode, encode
from titik_wire.messages import Ack, AckedRun, Past, Sample

IDS = [f"{type(message).__name__}-{n}" for n, (message, _, _) in enumerate(CASES)]


@pytest.mark.parametrize(("message", "payload"), [(m, p) for m, _, p in CASES], ids=IDS)
def test_encode_writes_the_bytes(message: Message, payload: bytes) -> None:
    """Writers leave out what was not read and write compact JSON."""
    assert payload == encode(message)


@pytest.mark.parametrize(("message", "topic", "payload"), CASES, ids=IDS)
def test_decode_reads_the_message(message: Message, topic: str, payload: bytes) -> None:
    """Readers get the same frozen data back."""
    assert message == decode(topic, payload)


@pytest.mark.parametrize(("message", "topic"), [(m, t) for m, t, _ in CASES], ids=IDS)
def test_a_message_knows_its_topic(message: Message, topic: str) -> None:
    """Only `backlog` is the sender's choice; every other topic follows from the message."""
    assert topic.replace("/backlog", "/sample") == topic_of(message)


def test_every_kind_of_message_is_in_the_table() -> None:
    """A new message kind starts as a row of CASES."""
    assert {type(message) for message, _, _ in CASES} == set(get_args(Message))


def test_a_sample_is_the_same_on_both_its_topics() -> None:
    """`sample` is the present and `backlog` the past; the bytes do not differ."""
    payload = encode(BARE_SAMPLE)
    assert BARE_SAMPLE == decode(topics.backlog("tirosa-1"), payload)


def test_absent_and_zero_are_different_messages() -> None:
    """A gap is never drawn as zero, so the two never share their bytes."""
    none_seen = replace(BARE_SAMPLE, clients=0)
    assert none_seen == decode(topics.sample("tirosa-1"), encode(none_seen))
    assert encode(BARE_SAMPLE) != encode(none_seen)


def test_nothing_read_and_nothing_there_are_different_messages() -> None:
    """No BSS section means that BSSes could not be read; an empty one, that there are none."""
    no_bss = replace(BARE_SAMPLE, bss=())
    assert no_bss == decode(topics.sample("tirosa-1"), encode(no_bss))
    assert b'"bss":[]' in encode(no_bss)
    assert b'"bss"' not in encode(BARE_SAMPLE)


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (replace(BARE_SAMPLE, router="Tirosa 1"), "router"),
        (replace(BARE_SAMPLE, clients=-1), "clients"),
        (replace(BARE_SAMPLE, clients=2**53), "clients"),
        (replace(BARE_SAMPLE, clients=True), "clients"),
        (replace(BARE_SAMPLE, clients=3.0), "clients"),  # type: ignore[arg-type]
        (replace(BARE_SAMPLE, taken_at=-1), "taken_at"),
        (replace(BARE_SAMPLE, taken_at=0.5), "taken_at"),  # type: ignore[arg-type]
        (replace(BARE_SAMPLE, taken_at=True), "taken_at"),
        (replace(BARE_SAMPLE, run="9F2C41D07BE35A68"), "run"),
        (replace(BARE_SAMPLE, clock="gps"), "clock"),  # type: ignore[arg-type]
        (replace(BARE_SAMPLE, first_seq=182), "first_seq"),
        (replace(BARE_SAMPLE, clients_min=3, clients_max=2), "clients_min"),
        (replace(BARE_SAMPLE, past=(Past("wan", "uplink", BOOT, 1, 2),) * 2), "past[1]"),
        (replace(BARE_SAMPLE, past=(Past("wan", "uplink", BOOT, 1, 2),) * 65), "past"),
        (replace(BARE_SAMPLE, spool=BARE_SAMPLE.spool * 2), "spool"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_encode_refuses_what_no_reader_would_take(message: Sample, path: str) -> None:
    """A broken message stops at its writer, and the error names the field."""
    with pytest.raises(WireError) as refused:
        encode(message)
    assert path == refused.value.path


def test_encode_refuses_text_that_is_not_unicode() -> None:
    """Lone surrogates cannot be stored as UTF-8."""
    broken = replace(BARE_SAMPLE, agent=replace(BARE_SAMPLE.agent, failed=("\ud800",)))
    with pytest.raises(WireError, match=r"agent\.failed\[0\]"):
        encode(broken)


def test_an_acked_run_is_named_once() -> None:
    """Two entries for one run would leave the reader to guess."""
    with pytest.raises(WireError, match="each once"):
        encode(Ack("tirosa-1", (AckedRun(RUN, 1), AckedRun(RUN, 2))))
