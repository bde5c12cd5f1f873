"""Messages to JSON bytes and back; total in both directions. A sample may come packed.

Rule: any byte string gives a message or a WireError, nothing else.
Rule: what `encode` writes, `decode` reads back equal.
Rule: unknown fields are ignored, so that a later writer may add some.

Strategy: each dataclass is compiled once, at import, into a list of its fields. Each field has a
function that reads one JSON value and one that writes it. Both check the limits in `kinds`. What
collectors publish of the city, and what they wish of routers, is imported and compiled when it is
first used: most routers never do.
"""

import json
import re
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    NoReturn,
    TypeVar,
    cast,
    get_args,
    get_origin,
)

from titik_wire import instant, topics
from titik_wire.errors import UnknownVersion, WireError
from titik_wire.kinds import ByRun, Instant, Items, Real, Text, Whole
from titik_wire.limits import MAX_PAYLOAD, MAX_WHOLE
from titik_wire.messages import (
    Ack,
    AckedRun,
    CollectorStatus,
    Held,
    Sample,
    Span,
    Status,
)
from titik_wire.packed import unpack

if TYPE_CHECKING:
    from titik_wire.city_messages import Message

VERSION: Final = 1

T = TypeVar("T")
Read = Callable[[Any, str], Any]  # JSON value and its path to Python value, or WireError
Write = Callable[[Any, str], Any]  # Python value and its path to JSON value, or WireError
Codec = tuple[Read, Write]


def encode(message: "Message") -> bytes:
    """Compact JSON, at most MAX_PAYLOAD bytes; WireError for a value outside its limits."""
    _, write = _OBJECTS.get(type(message)) or _compiled(type(message))
    plain: dict[str, Any] = {"v": VERSION, **write(message, "")}
    if isinstance(message, Ack):
        del plain["router"]  # the topic says it
    _check_whole(message)
    payload = json.dumps(plain, separators=(",", ":"), ensure_ascii=False).encode()
    if len(payload) > MAX_PAYLOAD:
        raise WireError(f"{len(payload)} bytes, at most {MAX_PAYLOAD} are allowed")
    return payload


def decode(topic: str, payload: bytes) -> "Message":
    """Read a message that arrived on `topic`; its author must be the one that the topic names."""
    address = topics.parse(topic)
    plain = _parse(unpack(payload) if address.kind in topics.PACKED else payload)
    _check_version(plain)
    if address.kind == "ack":
        plain["router"] = address.name
    cls = _MESSAGES.get(address.kind) or _later(address.kind)
    read, _ = _OBJECTS.get(cls) or _compiled(cls)
    message = cast("Message", read(plain, ""))
    _check_address(message, address)
    _check_whole(message)
    return message


def identity(payload: bytes) -> tuple[str, int, int] | None:
    """Run, first seq and seq of a sample that `decode` refused, if they alone can be read."""
    try:
        plain = _parse(unpack(payload))
        run = _RUN[0](plain.get("run"), "run")
        seq = _SEQ[0](plain.get("seq"), "seq")
        first = _SEQ[0](plain.get("first_seq", seq), "first_seq")
        _check_block(first, seq)
    except WireError:
        return None
    return run, first, seq


def revision(payload: bytes) -> int | None:
    """The revision of a wish that `decode` refused, if it alone can be read."""
    try:
        found: int = _SEQ[0](_parse(payload).get("revision"), "revision")
    except WireError:
        return None
    return found


def _parse(payload: bytes) -> dict[str, Any]:
    if len(payload) > MAX_PAYLOAD:
        raise WireError(f"{len(payload)} bytes, at most {MAX_PAYLOAD} are allowed")
    try:
        # Not from bytes: json would accept UTF-16 and UTF-32 too.
        plain = _JSON(payload.decode("utf-8"))
    except RecursionError:
        raise WireError("nested too deeply") from None
    except ValueError as error:  # also UnicodeDecodeError and numbers of thousands of digits
        raise WireError(f"not JSON in UTF-8: {error}") from error
    if not isinstance(plain, dict):
        raise WireError("not a JSON object")
    return plain


def _refuse_nan(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# One for all: of each that is made, CPython's cache of methods keeps the names of its attributes.
_JSON: Final = json.JSONDecoder(parse_constant=_refuse_nan).decode


def _check_version(plain: dict[str, Any]) -> None:
    version = plain.get("v")
    if type(version) is not int or version < 1:
        raise WireError("must be a whole number from 1", "v")
    if version != VERSION:
        raise UnknownVersion(f"{version} is a later contract, this reader knows {VERSION}", "v")


def _check_address(message: Any, address: topics.Address) -> None:
    """A payload that names somebody else than its topic is an impostor's, or misrouted."""
    match address.kind:
        case "collector":
            same = message.collector == address.name
        case "now":
            same = message.scope == address.scope and address.name in (None, message.name)
        case "rollup":
            same = (message.window, message.scope) == (address.window, address.scope)
            same = same and address.name in (None, message.name)
        case "alert":
            named = (message.scope, message.name, message.kind)
            same = named == (address.scope, address.name, address.rule)
        case _:
            same = message.router == address.name
    if not same:
        raise WireError("names another author than the topic", "topic")


def _check_whole(message: "Message") -> None:
    """The rules between fields."""
    if isinstance(message, Sample):
        check_sample(message)
    elif hasattr(message, "clients_min"):  # a rollup
        _check_range(message)


def check_sample(sample: Sample) -> None:
    """The rules between fields of a sample."""
    _check_block(sample.first_seq, sample.seq)
    _check_counters(sample)
    _check_range(sample)
    for one in sample.bss or ():
        _check_range(one)


def _check_range(part: Any) -> None:
    least, most = part.clients_min, part.clients_max
    if least is not None and most is not None and least > most:
        raise WireError("is above clients_max", "clients_min")


def _check_block(first: int, last: int) -> None:
    """Ranges are aligned blocks, so that any two of a run nest or are disjoint."""
    size = last - first + 1
    if size < 1 or size & (size - 1) or (first - 1) % size:
        raise WireError(f"{first} to {last} is no aligned block of seqs", "first_seq")


def _check_counters(sample: Sample) -> None:
    """A counter has one value in a sample; with two, a store could keep neither."""
    seen = set()
    for section in ("bss", "net", "past"):
        for n, one in enumerate(getattr(sample, section) or ()):
            role = "bss" if section == "bss" else one.role
            counter = (role, one.ifname, one.since)
            if counter in seen:
                raise WireError("repeats a role, ifname and since", f"{section}[{n}]")
            seen.add(counter)


def _whole(limits: Whole) -> Codec:
    low, high = limits.minimum, limits.maximum

    def check(value: Any, path: str) -> int:
        # `type`, not isinstance: True is an int to Python, and a collector would count with it.
        if type(value) is not int:
            raise WireError("must be a whole number", path)
        if not low <= value <= high:
            raise WireError(f"must be {low} to {high}", path)
        return value

    return check, check


def _real(limits: Real) -> Codec:
    low, high = limits.minimum, limits.maximum

    def check(value: Any, path: str) -> float:
        if type(value) not in (int, float):
            raise WireError("must be a number", path)
        if not low <= value <= high:  # false for NaN and the infinities too
            raise WireError(f"must be {low} to {high}", path)
        return float(value)

    return check, check


# Control characters break terminals and logs; lone surrogates cannot be stored as UTF-8.
_PLAIN_TEXT: Final = re.compile("[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*")


def _text(limits: Text) -> Codec:
    wanted = re.compile(limits.pattern) if limits.pattern else _PLAIN_TEXT
    rule = f"must match {limits.pattern}" if limits.pattern else "has control characters"

    def check(value: Any, path: str) -> str:
        if type(value) is not str:
            raise WireError("must be text", path)
        if len(value) > limits.max_chars:
            raise WireError(f"must have at most {limits.max_chars} characters", path)
        if wanted.fullmatch(value) is None:
            raise WireError(rule, path)
        return value

    return check, check


def _choice(allowed: tuple[str, ...]) -> Codec:
    def check(value: Any, path: str) -> str:
        if type(value) is not str or value not in allowed:
            raise WireError(f"must be one of {', '.join(allowed)}", path)
        return value

    return check, check


def _boolean() -> Codec:
    def check(value: Any, path: str) -> bool:
        if type(value) is not bool:
            raise WireError("must be true or false", path)
        return value

    return check, check


def _instant() -> Codec:
    def read(value: Any, path: str) -> int:
        if type(value) is not str:
            raise WireError("must be a time such as 2026-11-23T03:04:05.120Z", path)
        try:
            return instant.from_text(value)
        except ValueError as error:
            raise WireError(str(error), path) from error

    def write(value: Any, path: str) -> str:
        if type(value) is not int:
            raise WireError("must be milliseconds since 1970", path)
        try:
            return instant.to_text(value)
        except ValueError as error:
            raise WireError(str(error), path) from error

    return read, write


def _span() -> Codec:
    read_seq, _ = _whole(Whole(1))

    def read(value: Any, path: str) -> Span:
        if type(value) is not list or len(value) != 2:
            raise WireError("must be [first, last]", path)
        first, last = (read_seq(number, path) for number in value)
        if first > last:
            raise WireError("must be [first, last]", path)
        return first, last

    def write(value: Any, path: str) -> list[int]:
        return list(read(list(value), path))

    return read, write


def _list(limits: Items, item: Codec) -> Codec:
    read_item, write_item = item

    def read(value: Any, path: str) -> tuple[Any, ...]:
        if type(value) is not list:
            raise WireError("must be a list", path)
        return many(read_item, value, path)

    def write(value: Any, path: str) -> list[Any]:
        return list(many(write_item, value, path))

    def many(convert: Read, value: Any, path: str) -> tuple[Any, ...]:
        if len(value) > limits.maximum:
            raise WireError(f"must have at most {limits.maximum} items", path)
        return tuple([convert(one, f"{path}[{n}]") for n, one in enumerate(value)])

    return read, write


def _by_run(limits: ByRun, item: Codec) -> Codec:
    """An object with runs as keys, its values what `item` writes of each; ordered as given."""
    read_item, write_item = item

    def read(value: Any, path: str) -> tuple[Any, ...]:
        if type(value) is not dict:
            raise WireError("must be an object", path)
        if len(value) > limits.maximum:
            raise WireError(f"must have at most {limits.maximum} runs", path)
        return tuple(
            [read_item((_RUN[0](run, path), one), f"{path}.{run}") for run, one in value.items()]
        )

    def write(value: Any, path: str) -> dict[str, Any]:
        plain = {_RUN[1](one.run, path): write_item(one, f"{path}.{one.run}") for one in value}
        if len(plain) != len(value) or len(plain) > limits.maximum:
            raise WireError(f"must have at most {limits.maximum} runs, each once", path)
        return plain

    return read, write


def _held() -> Codec:
    read_span, write_span = _span()

    def read(pair: Any, path: str) -> Held:
        run, value = pair
        return Held(run, None if value == [] else read_span(value, path))

    def write(held: Held, path: str) -> list[int]:
        return [] if held.span is None else cast(list[int], write_span(held.span, path))

    return read, write


def _acked_run() -> Codec:
    read_object, write_object = _object(AckedRun)

    def read(pair: Any, path: str) -> AckedRun:
        run, value = pair
        if type(value) is not dict:
            raise WireError("must be an object", path)
        return cast(AckedRun, read_object({**value, "run": run}, path))

    def write(acked: AckedRun, path: str) -> dict[str, Any]:
        plain = cast(dict[str, Any], write_object(acked, path))
        del plain["run"]
        return plain

    return read, write


def _object(cls: type[Any]) -> Codec:
    """A dataclass: required fields, and optional ones that are left out when they are what a
    reader takes for them: None, or an empty list, or false.
    """
    plan = [(f.name, f.default, *_codec(present(f.type))) for f in fields(cls)]

    def read(value: Any, path: str) -> Any:
        if type(value) is not dict:
            raise WireError("must be an object", path)
        prefix = f"{path}." if path else ""
        values = {}
        for name, default, read_field, _ in plan:
            if name in value:
                values[name] = read_field(value[name], prefix + name)
            elif default is MISSING:
                raise WireError("is missing", prefix + name)
        return cls(**values)

    def write(message: Any, path: str) -> dict[str, Any]:
        prefix = f"{path}." if path else ""
        plain = {}
        for name, default, _, write_field in plan:
            value = getattr(message, name)
            if value != default:
                plain[name] = write_field(value, prefix + name)
        return plain

    return read, write


def present(annotation: Any) -> Any:
    """`X | None` as X; any other annotation as it is."""
    if get_origin(annotation) is UnionType or str(get_origin(annotation)) == "typing.Union":
        left = [one for one in get_args(annotation) if one is not NoneType]
        return left[0]
    return annotation


def _codec(annotation: Any) -> Codec:
    if get_origin(annotation) is Annotated:
        base, kind = get_args(annotation)
        match kind:
            case Whole():
                return _whole(kind)
            case Real():
                return _real(kind)
            case Text():
                return _text(kind)
            case Instant():
                return _instant()
            case Items():
                return _list(kind, _codec(get_args(base)[0]))
            case ByRun():
                return _by_run(kind, _KEYED[get_args(base)[0]])
    if get_origin(annotation) is Literal:
        return _choice(get_args(annotation))
    if annotation == Span:
        return _span()
    if annotation is bool:
        return _boolean()
    if is_dataclass(annotation):
        return _object(cast(type[Any], annotation))
    raise TypeError(f"no codec for {annotation}")


_RUN: Final = _text(Text(16, r"[0-9a-f]{16}"))
_SEQ: Final = _whole(Whole(1, MAX_WHOLE))
_KEYED: Final[dict[Any, Codec]] = {Held: _held(), AckedRun: _acked_run()}
_MESSAGES: Final[dict[str, type[Any]]] = {
    "status": Status,
    "sample": Sample,
    "backlog": Sample,
    "ack": Ack,
    "collector": CollectorStatus,
}
_OBJECTS: Final[dict[type[Any], Codec]] = {cls: _object(cls) for cls in set(_MESSAGES.values())}


def _later(kind: str) -> type[Any]:
    if kind in ("now", "rollup", "alert"):
        from titik_wire.city_messages import AlertNow, Now, Rollup

        _MESSAGES.update(now=Now, rollup=Rollup, alert=AlertNow)
    else:
        from titik_wire.fleet_messages import (
            Question,
            RouterCertificate,
            RouterReply,
            RouterSettings,
            RouterUpgrade,
            Running,
        )

        _MESSAGES.update(
            settings=RouterSettings, certificate=RouterCertificate, upgrade=RouterUpgrade
        )
        _MESSAGES.update(request=Question, running=Running, answer=RouterReply)
    return _MESSAGES[kind]


def _compiled(cls: type[Any]) -> Codec:
    return _OBJECTS.setdefault(cls, _object(cls))
