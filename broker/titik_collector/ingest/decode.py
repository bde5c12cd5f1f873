"""Decodes what routers send much faster than the contract's codec, and never otherwise.

Rule: what is decoded here has the fields of what `codec.decode` gives, with values of their types.
Rule: at any doubt the codec decides, and it alone words an error. Doubt is what the two read
differently, or what takes long to decide: escapes, control characters, deep nesting, odd numbers.

Strategy: each dataclass gets a mirror, a struct of msgspec with the same name and fields. Its types
carry the limits of `kinds` in msgspec's words. Behind this module a mirror stands for the real
class: to make that of it, or to read dataclasses, takes twice as long.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, cast, get_args, get_origin

import msgspec
from msgspec import Meta

from titik_collector.limits import MAX_KNOWN_TOPICS, MAX_NESTING
from titik_wire import codec, instant, topics
from titik_wire.city_messages import Message
from titik_wire.errors import WireError
from titik_wire.kinds import ByRun, Instant, Items, Real, Text, Whole
from titik_wire.limits import MAX_PAYLOAD, MAX_WHOLE
from titik_wire.messages import Held, Sample, Status

_RUN: Final = r"^[0-9a-f]{16}\Z"
_SEQ: Any = Annotated[int, Meta(ge=1, le=MAX_WHOLE)]
_SMALL: Final = 1600  # bytes, in which nothing nests deeper than Python reads
# Python refuses longer whole numbers, wherever they are.
_DIGITS: Final = sys.get_int_max_str_digits() or MAX_PAYLOAD
_LONG_NUMBER: Final = re.compile(rb"[0-9]{%d}" % _DIGITS)
_CONTROL: Final = re.compile("[\x7f-\x9f]")  # the ones below are errors in JSON, unless escaped
_SECOND: Final = re.compile(r"[0-5][0-9]\.[0-9]{3}Z")


def decode(topic: str, payload: bytes) -> Message:
    """The same as `codec.decode`, its errors too."""
    try:
        message = _decode(topic, payload)
    except (msgspec.MsgspecError, WireError, ValueError, RecursionError):
        message = None
    return codec.decode(topic, payload) if message is None else message


def _decode(topic: str, payload: bytes) -> Message | None:
    """The message, or None or an error for one that the codec is to read."""
    reader = _reader(topic)
    if reader is None or _is_doubtful(payload):
        return None
    router, read, finish, check_whole = reader
    message = read(payload)
    if message.router != router:
        return None
    finish(message)
    check_whole(message)
    return cast(Message, message)


def _is_doubtful(payload: bytes) -> bool:
    # Without escapes a key has one spelling, and a control character only those checked here.
    if (
        not payload.startswith(b'{"v":1,')
        or payload.rfind(b'"v"') != 1
        or b"\\" in payload
        or b"\x7f" in payload
    ):
        return True
    if not payload.isascii() and _CONTROL.search(payload.decode()) is not None:
        return True
    return len(payload) > _SMALL and _is_odd(payload)


def _is_odd(payload: bytes) -> bool:
    return (
        len(payload) > MAX_PAYLOAD
        or payload.count(b"[") + payload.count(b"{") > MAX_NESTING
        or (len(payload) > _DIGITS and _LONG_NUMBER.search(payload) is not None)
    )


Check = Callable[[Any], None]
Reader = tuple[str, Callable[[bytes], Any], Check, Check]


@lru_cache(MAX_KNOWN_TOPICS)
def _reader(topic: str) -> Reader | None:
    """The router of a topic, and how its messages are read, finished and checked."""
    address = topics.parse(topic)
    found = _READERS.get(address.kind)
    return None if found is None or address.name is None else (address.name, *found)


def _mirror(cls: type[Any]) -> type[Any]:
    """The same fields, typed for msgspec; an optional one may be absent and not null."""
    if cls not in _MIRRORS:
        parts: list[Any] = [
            (one.name, hint) if one.default is MISSING else (one.name, hint, one.default)
            for one in fields(cls)
            for hint in (_hint(codec.present(one.type)),)
        ]
        _MIRRORS[cls] = msgspec.defstruct(cls.__name__, parts, gc=False)  # no circles
    return _MIRRORS[cls]


def _hint(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        base, kind = get_args(annotation)
        match kind:
            case Whole():
                return Annotated[int, Meta(ge=kind.minimum, le=kind.maximum)]
            case Real():
                return Annotated[float, Meta(ge=kind.minimum, le=kind.maximum)]
            case Text():
                pattern = None if kind.pattern is None else rf"^(?:{kind.pattern})\Z"
                return Annotated[str, Meta(max_length=kind.max_chars, pattern=pattern)]
            case Instant():
                return str
            case Items():
                item: Any = _hint(get_args(base)[0])
                return Annotated[tuple[item, ...], Meta(max_length=kind.maximum)]
            case ByRun() if get_args(base)[0] is Held:
                run = Annotated[str, Meta(pattern=_RUN)]
                span = Annotated[tuple[_SEQ, ...], Meta(max_length=2)]
                return Annotated[dict[run, span], Meta(max_length=kind.maximum)]
    if get_origin(annotation) is Literal or annotation is bool:
        return annotation
    if is_dataclass(annotation):
        return _mirror(cast(type[Any], annotation))
    raise TypeError(f"no hint for {annotation}")


def _finisher(cls: type[Any]) -> Check:
    """What gives an object of the mirror the values that msgspec cannot read."""
    steps = [(one.name, step) for one in fields(cls) if (step := _step(one.type)) is not None]

    def finish(value: Any) -> None:
        for name, step in steps:
            part = getattr(value, name)
            if part is not None:
                setattr(value, name, step(part))

    return finish


def _step(annotation: Any) -> Callable[[Any], Any] | None:
    """What makes a field's value out of what msgspec read; None: nothing."""
    annotation = codec.present(annotation)
    if get_origin(annotation) is Annotated:
        base, kind = get_args(annotation)
        match kind:
            case Instant():
                return _instant
            case ByRun():
                return _spool
            case Items() if _has_steps(get_args(base)[0]):
                raise TypeError(f"no step for {annotation}")
    return _whole(_finisher(annotation)) if _has_steps(annotation) else None


def _has_steps(cls: Any) -> bool:
    return is_dataclass(cls) and any(_step(one.type) for one in fields(cls))


def _whole(finish: Check) -> Callable[[Any], Any]:
    def step(part: Any) -> Any:
        finish(part)
        return part

    return step


def _spool(spans: dict[str, tuple[int, ...]]) -> tuple[Held, ...]:
    return tuple([Held(run, _span(span)) for run, span in spans.items()])


def _span(span: tuple[int, ...]) -> tuple[int, int] | None:
    if not span:
        return None
    first, last = span  # ValueError for one alone
    if first > last:
        raise ValueError
    return first, last


def _instant(text: str) -> int:
    if _SECOND.fullmatch(text, 17) is None:
        raise ValueError
    return _minute(text[:17]) + int(text[17:19]) * 1000 + int(text[20:23])


@lru_cache(4096)
def _minute(text: str) -> int:
    """All samples of a minute share it."""
    return instant.from_text(f"{text}00.000Z")


_MIRRORS: Final[dict[type[Any], type[Any]]] = {}
_READERS: Final = {
    kind: (msgspec.json.Decoder(_mirror(cls)).decode, _finisher(cls), check)
    for kind, cls, check in (
        ("sample", Sample, codec.check_sample),
        ("backlog", Sample, codec.check_sample),
        ("status", Status, lambda _: None),
    )
}
SAMPLES: Final = (Sample, cast(type[Sample], _MIRRORS[Sample]))  # what `decode` gives of each
STATUSES: Final = (Status, cast(type[Status], _MIRRORS[Status]))
