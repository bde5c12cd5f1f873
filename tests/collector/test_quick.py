"""The quick decoder and the codec say the same of all bytes; the codec is right by definition."""

import contextlib
import json
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from tests.cases import few
from tests.wire.examples import BARE_SAMPLE, CASES, FULL_SAMPLE, topic_of
from tests.wire.strategies import messages
from tests.wire.test_hostile import GOOD, HOSTILE, TOPIC
from titik_collector.ingest import decode as quick
from titik_wire import codec, topics
from titik_wire.city_messages import Message
from titik_wire.errors import WireError
from titik_wire.limits import MAX_PAYLOAD
from titik_wire.messages import Bss, Net, Sample, Status

FULL = codec.encode(FULL_SAMPLE)


def verdict(decode: Any, topic: str, payload: bytes) -> object:
    """The message with the types of all its parts, or the kind and words of the error."""
    try:
        message = decode(topic, payload)
    except WireError as error:
        return type(error), str(error), error.path
    return typed(message), repr(message)


def typed(value: Any) -> object:
    """A value with its types, all the way down: 1 is not 1.0 and not True."""
    if isinstance(value, Struct):
        return type(value).__name__, [typed(getattr(value, one)) for one in value.__struct_fields__]
    if is_dataclass(value):
        return type(value).__name__, [typed(getattr(value, one.name)) for one in fields(value)]
    if isinstance(value, tuple):
        return tuple, [typed(one) for one in value]
    return type(value), value


def agree(topic: str, payload: bytes) -> None:
    """Both say the same."""
    assert verdict(codec.decode, topic, payload) == verdict(quick.decode, topic, payload)


def is_quick(topic: str, payload: bytes) -> bool:
    """Whether the codec was not needed."""
    with contextlib.suppress(Exception):  # any is a reason to ask the codec
        return quick._decode(topic, payload) is not None
    return False


@pytest.mark.parametrize(("message", "topic", "payload"), CASES)
def test_the_contract_s_cases_are_read_the_same(
    message: Message, topic: str, payload: bytes
) -> None:
    """Each message of the contract, to the type of every part."""
    assert message == codec.decode(topic, payload)
    agree(topic, payload)


@pytest.mark.parametrize(
    ("message", "topic", "payload"), [row for row in CASES if isinstance(row[0], Sample | Status)]
)
def test_what_routers_send_needs_no_codec(message: Message, topic: str, payload: bytes) -> None:
    """Otherwise all the tests here would pass on a decoder that is never used."""
    assert typed(message) == typed(quick._decode(topic, payload))


@pytest.mark.parametrize("payload", [row[1] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_hostile_json_breaks_the_same_rule(payload: bytes) -> None:
    """In the same words."""
    agree(TOPIC, payload)


@pytest.mark.thorough
@pytest.mark.parametrize("cls", [Sample, Status], ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_any_valid_message_is_read_the_same(cls: type[Message], data: st.DataObject) -> None:
    """Whatever an agent may send."""
    message = data.draw(messages(cls))
    payload = codec.encode(message)
    assert message == codec.decode(topic_of(message), payload)
    agree(topic_of(message), payload)


ODD = [
    '1', '0', '-0', '-1', '1.0', '1e2', '-0.0', '0.5', '1e400', '-1e400', '1e-400', 'true', 'false',
    'null', '9007199254740991', '9007199254740992', '18446744073709551616', '1' + '0' * 400,
    '9' * 4299, '9' * 4300, '9' * 4301, '0.' + '9' * 4400, '""', '"x"', '"\\ud800"', '"\\u0000"',
    '"\\u0041"', '"\x7f"', '"\x9f"', '"\x80"', '"a\nb"', '"\u2028"', '"\U0001f600"', '"\ufffe"',
    '"9f2c41d07be35a68"', '"9f2c41d07be35a68\\n"', '"tirosa-1"', '"2026-11-23T03:04:05.120Z"',
    '"2026-11-23T03:04:60.000Z"', '"2026-11-23T24:00:00.000Z"', '"2026-02-29T03:04:05.120Z"',
    '"1969-12-31T23:59:59.999Z"', '"2026-11-23T03:04:5.0120Z"', '"2026-11-23T03:04:05.120z"',
    '"2026-11-23T03:04:+5.120Z"', '"9999-12-31T23:59:59.999Z"', '"0000-01-01T00:00:00.000Z"',
    '[]', '{}', '[1]', '[1,2]', '[2,1]', '[1,2,3]', '[[1,2]]', '{"9f2c41d07be35a68":[1,2]}',
    '{"9f2c41d07be35a68":[]}', '{"9f2c41d07be35a68":[2,1]}', '{"9f2c41d07be35a68":[1.0,2]}',
    '{"9f2c41d07be35a68":null}', '{"9F":[]}', '"ntp"', '"guess"', '"online"', '"bss"', 'NaN',
    'Infinity', '01', '1.', '.5', '+1', '[' * 400 + ']' * 400, '[' * 2000 + ']' * 2000,
    '{"a":' * 900 + '1' + '}' * 900, '"v"', '{"v":1}',
    '"' + 'x' * 65 + '"', '"' + 'x' * 12000 + '"',
]  # fmt: skip
NAMES = sorted(
    {one.name for cls in (Sample, Status, Bss, Net) for one in fields(cls)} | {"v", "x", "\\u0076"}
)


@pytest.mark.parametrize("odd", few(12, ODD), ids=lambda odd: f"{odd[:24]!r}x{len(odd)}")
def test_an_odd_value_in_any_field_gets_the_same_verdict(odd: str) -> None:
    """Added at the end, where it overrides the field, and in the middle, where it is one of two."""
    for name in NAMES:
        member = f'"{name}":{odd}'.encode()
        agree(TOPIC, GOOD[:-1] + b"," + member + b"}")
        agree(TOPIC, GOOD.replace(b'"v":1,', b'"v":1,' + member + b",", 1))


MEMBERS = sorted(json.loads(FULL))


@pytest.mark.parametrize("odd", few(12, ODD), ids=lambda odd: f"{odd[:24]!r}x{len(odd)}")
def test_an_odd_value_inside_a_section_gets_the_same_verdict(odd: str) -> None:
    """Every value of a full sample, in turn."""
    plain = json.loads(FULL)
    for section in ("agent", "host", "visitors", "reach", "probe", "bss", "radios", "net", "past"):
        parts = plain[section]
        one = parts[0] if isinstance(parts, list) else parts
        for name in one:
            changed = {**one, name: "@"}
            whole = {**plain, section: [changed] if isinstance(parts, list) else changed}
            text = json.dumps(whole, separators=(",", ":"), ensure_ascii=False)
            agree(topics.backlog("tirosa-1"), text.replace('"@"', odd).encode("utf-8"))


@given(data=st.data())
def test_any_damage_gets_the_same_verdict(data: st.DataObject) -> None:
    """Bytes changed, dropped, added, doubled."""
    _, topic, payload = data.draw(
        st.sampled_from([row for row in CASES if isinstance(row[0], Sample | Status)])
    )
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(payload)))
        until = at + data.draw(st.integers(0, 12))
        new = data.draw(
            st.one_of(
                st.binary(max_size=3),
                st.sampled_from([payload[at:until] * 2, *(one.encode() for one in ODD[:30])]),
                st.text(st.sampled_from('0123456789"{}[],:.-eE\\ \n\x7f\x85é'), max_size=3).map(
                    str.encode
                ),
            )
        )
        payload = payload[:at] + new + payload[until:]
    agree(topic, payload)


@pytest.mark.parametrize(
    "topic",
    ["", "x", topics.ack("tirosa-1"), topics.now("city", "a"), topics.sample("tirosa-2"),
     topics.status("tirosa-1"), topics.sample("tirosa-1") + "\n"],
)  # fmt: skip
def test_a_wrong_topic_gets_the_same_verdict(topic: str) -> None:
    """Another author, another kind, none at all."""
    agree(topic, GOOD)


def test_a_key_spelt_with_escapes_is_the_same_key() -> None:
    """A later version hidden so would else be read as this one."""
    agree(TOPIC, GOOD[:-1] + b',"\\u0076":2}')
    agree(TOPIC, GOOD[:-1] + b',"v":2}')


def test_bytes_that_are_no_utf8_are_refused_also_where_nobody_looks() -> None:
    """In a field that this version does not know."""
    for odd in (b"\xff", b"\xed\xa0\x80", b"\xc2", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xc2\x85"):
        agree(TOPIC, GOOD[:-1] + b',"later":"' + odd + b'"}')
        agree(TOPIC, GOOD[:-1] + b',"' + odd + b'":1}')


def test_a_field_of_a_later_writer_is_ignored_quickly() -> None:
    """A fleet half upgraded costs no more."""
    payload = GOOD[:-1] + b',"later":{"a":[1,2,{"b":null}]}}'
    assert is_quick(TOPIC, payload)
    agree(TOPIC, payload)


def test_a_sample_of_many_sections_is_read_quickly() -> None:
    """Not only the small ones."""
    bss = tuple(replace((FULL_SAMPLE.bss or ())[0], ifname=f"phy{n}-ap0") for n in range(20))
    payload = codec.encode(replace(BARE_SAMPLE, bss=bss))
    assert len(payload) > 4300
    assert is_quick(TOPIC, payload)
    agree(TOPIC, payload)


def test_sizes_around_the_limit_are_judged_the_same() -> None:
    """12 KiB are read, one byte more is not."""
    for extra in (-1, 0, 1):
        pad = MAX_PAYLOAD + extra - len(GOOD)
        agree(TOPIC, GOOD + b" " * pad)
