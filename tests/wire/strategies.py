"""Hypothesis strategies for messages, derived from the same annotations that the codec reads.

Rule: a new field or message is generated without an edit here.
"""

from dataclasses import fields
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st

from titik_wire.city_messages import AlertNow, Message, Now, Rollup
from titik_wire.fleet_messages import (
    Question,
    RouterCertificate,
    RouterReply,
    RouterSettings,
    RouterUpgrade,
    Running,
)
from titik_wire.kinds import ByRun, Instant, Items, Real, Text, Whole
from titik_wire.limits import MAX_MS
from titik_wire.messages import Ack, CollectorStatus, Sample, Span, Status

MESSAGES: tuple[type[Message], ...] = (
    *(Status, Sample, Ack, CollectorStatus),
    *(RouterSettings, RouterCertificate, RouterUpgrade, Question, Running, RouterReply),
    *(Now, Rollup, AlertNow),
)
# Few items and short texts: the size limit has tests of its own, and a message above it is none.
MANY = 3
LONG = 40


_MADE: dict[type[Message], st.SearchStrategy[Any]] = {}


def messages(cls: type[Message]) -> st.SearchStrategy[Any]:
    """Any valid message of one kind; made once, which takes longer than to draw from it."""
    if cls not in _MADE:
        _MADE[cls] = _object(cls)
    return _MADE[cls]


def _object(cls: type[Any]) -> st.SearchStrategy[Any]:
    parts = st.fixed_dictionaries({f.name: _value(f.type) for f in fields(cls)})
    return parts.map(lambda values: cls(**_consistent(cls, values)))


def _consistent(cls: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """The rules between fields, so that every draw is a valid message."""
    if cls is Sample:
        size = 1 << (values["first_seq"] % 5)
        block = values["first_seq"] % 1_000_000
        values["first_seq"], values["seq"] = block * size + 1, (block + 1) * size
        _name_counters_once(values)
    least, most = values.get("clients_min"), values.get("clients_max")
    if least is not None and most is not None:
        values["clients_min"], values["clients_max"] = sorted((least, most))
    return values


def _name_counters_once(values: dict[str, Any]) -> None:
    seen = set()
    for section in ("bss", "net", "past"):
        kept = []
        for one in values[section] or ():
            counter = (getattr(one, "role", "bss"), one.ifname, one.since)
            if counter not in seen:
                seen.add(counter)
                kept.append(one)
        values[section] = None if values[section] is None else tuple(kept)


def _value(annotation: Any) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _limited(arguments[0], arguments[1])
    if annotation == Span:
        return st.tuples(_whole(Whole(1)), _whole(Whole(1))).map(lambda pair: tuple(sorted(pair)))
    if origin in (Union, UnionType):
        return st.one_of(*(_value(one) for one in arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    if annotation is NoneType:
        return st.none()
    if annotation is bool:
        return st.booleans()
    assert isinstance(annotation, type), annotation
    return _object(annotation)


def _limited(base: Any, kind: Any) -> st.SearchStrategy[Any]:
    match kind:
        case Whole():
            return _whole(kind)
        case Real():
            return st.floats(kind.minimum, kind.maximum)
        case Text():
            return text(kind)
        case Instant():
            return st.integers(0, MAX_MS)
        case Items():
            return _several(base, kind.maximum, None)
        case ByRun():
            return _several(base, kind.maximum, lambda one: one.run)
    raise TypeError(f"no strategy for {kind}")


def _several(base: Any, limit: int, unique_by: Any) -> st.SearchStrategy[Any]:
    item = _value(get_args(base)[0])
    return st.lists(item, max_size=min(MANY, limit), unique_by=unique_by).map(tuple)


def _whole(kind: Whole) -> st.SearchStrategy[int]:
    return st.integers(kind.minimum, kind.maximum)


def text(kind: Text) -> st.SearchStrategy[str]:
    """Text within a kind's limits."""
    if kind.pattern is not None:
        return st.from_regex(kind.pattern, fullmatch=True)
    allowed = st.characters(exclude_categories=("Cs", "Cc"))
    return st.text(allowed, max_size=min(LONG, kind.max_chars))
