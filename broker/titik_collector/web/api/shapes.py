"""Frozen dataclasses as JSON, and as JSON Schema 2020-12, which OpenAPI 3.1 has.

Rule: a field that is None is left out, because it is not known; in a list it is null, because its
place counts.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

Schema = dict[str, Any]
REFERENCE = "#/components/schemas/"
_PLAIN: dict[Any, Schema] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    NoneType: {"type": "null"},
}


@dataclass(frozen=True, slots=True)
class About:
    """What a field means, and what JSON Schema says more of its values."""

    text: str
    more: Mapping[str, Any] = field(default_factory=dict)


def encoded(answer: Any) -> bytes:
    """The answer as it is sent."""
    return msgspec.json.encode(_plain(answer))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        named = {one.name: getattr(value, one.name) for one in fields(value)}
        return {name: _plain(one) for name, one in named.items() if one is not None}
    if isinstance(value, tuple) and value and is_dataclass(value[0]):
        return [_plain(one) for one in value]
    return value  # numbers, texts and lists of them; a year of hours is not walked through


def components(answers: list[type[Any]]) -> dict[str, Schema]:
    """The schemas of these classes, and of all that are in them, by name."""
    found: dict[str, Schema] = {}
    waiting = list(answers)
    while waiting:
        cls = waiting.pop(0)
        if cls.__name__ not in found:
            found[cls.__name__] = of_class(cls)
            waiting += _classes(get_type_hints(cls).values())
    return dict(sorted(found.items()))


def of_class(cls: type[Any]) -> Schema:
    """One object; other fields may be added in a later version, so they are allowed."""
    hints = get_type_hints(cls, include_extras=True)
    required = [one.name for one in fields(cls) if one.default is MISSING]
    return {
        "type": "object",
        "description": " ".join((cls.__doc__ or "").split()),
        "properties": {name: of_hint(hint) for name, hint in hints.items()},
        **({"required": required} if required else {}),
    }


def of_hint(hint: Any) -> Schema:
    """One value. Of a field that may be absent, the value that it has where it is there."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        about: About = arguments[1]
        inner = of_hint(_known(arguments[0]))
        return {**inner, "description": about.text, **about.more}
    if origin in (Union, UnionType):
        return {"anyOf": [of_hint(one) for one in arguments]}
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is tuple:
        return _list(arguments)
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": of_hint(arguments[1])}
    if is_dataclass(hint):
        return {"$ref": REFERENCE + getattr(hint, "__name__", "")}
    return dict(_PLAIN[hint])


def _known(hint: Any) -> Any:
    """`int | None` as `int`."""
    if get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint):
        (known,) = [one for one in get_args(hint) if one is not NoneType]
        return known
    return hint


def _list(arguments: tuple[Any, ...]) -> Schema:
    first, *rest = arguments
    found: Schema = {"type": "array", "items": of_hint(first)}
    if rest != [...]:
        found |= {"minItems": len(arguments), "maxItems": len(arguments)}
    return found


def _classes(hints: Any) -> list[type[Any]]:
    found: list[type[Any]] = []
    for hint in hints:
        if is_dataclass(hint) and isinstance(hint, type):
            found.append(hint)
        else:
            found += _classes(get_args(hint))
    return found
