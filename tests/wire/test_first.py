"""The first collectors and routers go on reading what later ones write.

A test of a new condition calls `read_by_the_first` with the sample that reports it.
"""

from dataclasses import MISSING, asdict, fields, is_dataclass
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import first
from tests.wire.examples import CASES, topic_of
from tests.wire.strategies import MESSAGES, messages
from titik_wire import city_messages, fleet_messages
from titik_wire import messages as messages_now
from titik_wire.city_messages import AlertNow, Message
from titik_wire.codec import encode

# It has no such topics, and subscribes to none.
NEW = (AlertNow, *get_args(fleet_messages.FleetMessage))
MESSAGES_NOW = vars(messages_now) | vars(city_messages) | vars(fleet_messages)
CODEC, MESSAGES_THEN = (first.contract()[name] for name in ("codec", "messages"))


def read_by_the_first(message: Message) -> Any:
    """The message as the first codec decodes it; its WireError if it refuses it."""
    return CODEC.decode(topic_of(message), encode(message))


def known_to(old: Any, new: Any) -> Any:
    """`new`, as plain data, without the fields that `old` has no place for."""
    if isinstance(old, dict):
        return {name: known_to(value, new[name]) for name, value in old.items()}
    if isinstance(old, tuple | list):
        return [known_to(one, other) for one, other in zip(old, new, strict=True)]
    return new


@pytest.mark.thorough
@pytest.mark.parametrize(
    "cls", [one for one in MESSAGES if one not in NEW], ids=lambda cls: cls.__name__
)
@given(data=st.data())
def test_the_first_reads_every_message(cls: type[Message], data: st.DataObject) -> None:
    """No published value is new, no old field has gone, and unknown fields are ignored."""
    message = data.draw(messages(cls))
    old = plain(read_by_the_first(message))
    assert old == known_to(old, plain(message))


@pytest.mark.parametrize(
    ("message", "topic", "payload"), [one for one in CASES if not isinstance(one[0], NEW)]
)
def test_the_first_reads_every_example(message: Message, topic: str, payload: bytes) -> None:
    """The documented messages, as they are on the wire."""
    old = plain(CODEC.decode(topic, payload))
    assert old == known_to(old, plain(message))


def test_the_first_refuses_a_topic_that_it_does_not_know() -> None:
    """As it does whatever else it did not ask for."""
    for message, topic, payload in CASES:
        if isinstance(message, NEW):
            with pytest.raises(CODEC.WireError, match="no such topic"):
                CODEC.decode(topic, payload)


def test_what_the_first_wrote_lacks_nothing_that_is_needed() -> None:
    """A field that is new since then can be absent."""
    needed = [
        f"{cls.__name__}.{one.name}"
        for old in vars(MESSAGES_THEN).values()
        if isinstance(old, type)
        and is_dataclass(old)
        and (cls := MESSAGES_NOW.get(old.__name__)) is not None
        for one in fields(cls)
        if one.name not in {then.name for then in fields(old)} and one.default is MISSING
    ]
    assert [] == needed


def plain(message: Any) -> Any:
    """Dataclasses as dicts and tuples as lists, so that those of two packages can be compared."""
    return listed(asdict(message))


def listed(value: Any) -> Any:
    """Every tuple inside as a list."""
    if isinstance(value, dict):
        return {name: listed(one) for name, one in value.items()}
    return [listed(one) for one in value] if isinstance(value, tuple | list) else value
