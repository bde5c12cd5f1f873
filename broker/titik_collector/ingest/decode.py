"""Decodes what routers send much faster than the contract's codec, and never otherwise.

Rule: what is decoded here equals what `codec.decode` gives, down to the types.
Rule: at any doubt the codec decides, and it alone words an error. Doubt is what the two read
differently, or what takes long to decide: escapes, control characters, deep nesting, odd numbers.

Strategy: each dataclass gets a mirror with the same fields whose types carry the limits of
`kinds` in msgspec's words. An object read as a mirror then becomes one of the real class. That
costs less than building it again, since both have the same slots.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import field, fields, is_dataclass, make_dataclass
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, cast, get_args, get_origin

import msgspec
from msgspec import Meta

from titik_collector.limits import MAX_KNOWN_TOPICS, MAX_NESTING
from titik_wire import codec, instant, topics
from titik_wire.errors import WireError
from titik_wire.kinds import ByRun, Instant, Items, Real, Text, Whole
from titik_wire.limits import MAX_PAYLOAD, MAX_WHOLE
from titik_wire.messages import Held, Message, Sample, Status

_RUN: Final = r"^[0-9a-f]{16}\Z"
_SEQ: Any = Annotated[int, Meta(ge=1, le=MAX_WHOLE)]
_SMALL: Final = 1600  # bytes, in which nothing nests deeper than Python reads
# Python refuses longer whole numbers, wherever they are.
_DIGITS: Final = sys.get_int_max_str_digits() or MAX_PAYLOAD
_LONG_NUMBER: Final = re.compile(rb"[0-9]{%d}" % _DIGITS)
_CONTROL: Final = re.compile("[\x7f-\x9f]")  # the ones below are errors in JSON, unless escaped
_SECOND: Final = re.compile(r"[0-5][0-9]\.[0-9]{3}Z")

_set: Final = object.__setattr__


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
    router, read, finish = reader
    message = read(payload)
    if message.router != router:
        return None
    finish(message)
    codec.check_whole(message)  # the rules between fields, in one place
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


Reader = tuple[str, Callable[[bytes], Any], Callable[[Any], None]]


@lru_cache(MAX_KNOWN_TOPICS)
def _reader(topic: str) -> Reader | None:
    """The router of a topic, and how its messages are read and made real."""
    address = topics.parse(topic)
    found = _READERS.get(address.kind)
    return None if found is None or address.name is None else (address.name, *found)


def _mirror(cls: type[Any]) -> type[Any]:
    """The same fields, typed for msgspec; an optional one may be absent and not null."""
    if cls not in _MIRRORS:
        parts = [
            (one.name, _hint(codec.present(one.type)), field(default=one.default))
            for one in fields(cls)
        ]
        name = f"Quick{cls.__name__}"
        _MIRRORS[cls] = make_dataclass(name, parts, frozen=True, slots=True)
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


def _finisher(cls: type[Any]) -> Callable[[Any], None]:
    """What makes an object of the mirror, with all that it holds, one of `cls`."""
    plain = [(one.name, real) for one in fields(cls) if (real := _plain(one.type)) is not None]
    steps = [(one.name, step) for one in fields(cls) if (step := _step(one.type)) is not None]

    def finish(value: Any) -> None:
        for name, real in plain:
            part = getattr(value, name)
            if type(part) is tuple:
                for one in part:
                    _set(one, "__class__", real)
            elif part is not None:
                _set(part, "__class__", real)
        for name, step in steps:
            part = getattr(value, name)
            if part is not None:
                _set(value, name, step(part))
        _set(value, "__class__", cls)

    return finish


def _plain(annotation: Any) -> type[Any] | None:
    """The class of a field that holds one object or several with nothing to finish in them."""
    annotation = codec.present(annotation)
    if get_origin(annotation) is Annotated and isinstance(get_args(annotation)[1], Items):
        annotation = get_args(get_args(annotation)[0])[0]
    if is_dataclass(annotation) and not any(
        _plain(one.type) or _step(one.type) for one in fields(annotation)
    ):
        return cast(type[Any], annotation)
    return None


def _step(annotation: Any) -> Callable[[Any], Any] | None:
    """What makes another field's value out of what msgspec read; None: nothing."""
    annotation = codec.present(annotation)
    if get_origin(annotation) is Annotated:
        base, kind = get_args(annotation)
        match kind:
            case Instant():
                return _instant
            case ByRun():
                return _spool
            case Items() if is_dataclass(get_args(base)[0]) and _plain(annotation) is None:
                raise TypeError(f"no step for {annotation}")
    if is_dataclass(annotation) and _plain(annotation) is None:
        return _whole(_finisher(cast(type[Any], annotation)))
    return None


def _whole(finish: Callable[[Any], None]) -> Callable[[Any], Any]:
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
    kind: (msgspec.json.Decoder(_mirror(cls)).decode, _finisher(cls))
    for kind, cls in (("sample", Sample), ("backlog", Sample), ("status", Status))
}
