"""The kinds of value as JSON Schema (draft 7, which AsyncAPI 3 extends)."""

from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from titik_wire.codec import VERSION
from titik_wire.kinds import ByRun, Instant, Items, Real, Text, Whole
from titik_wire.messages import Held, Span
from tools.contract import MESSAGES, about, described

Schema = dict[str, Any]

REFERENCE: Final = "#/components/schemas/"
RUN: Final = "^[0-9a-f]{16}$"
PLAIN: Final = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$"
SPAN: Final[Schema] = {
    "type": "array",
    "items": {"type": "integer", "minimum": 1},
    "minItems": 2,
    "maxItems": 2,
}
NOTHING_OR_SPAN: Final[Schema] = {
    "oneOf": [{"type": "array", "maxItems": 0}, SPAN],
    "description": "[lowest, highest], or [] when the spool holds nothing of this run any more",
}


def of_class(cls: type[Any]) -> Schema:
    """One message or part; other fields are allowed, because readers ignore them."""
    properties: dict[str, Schema] = {}
    required = []
    if cls in MESSAGES:
        properties["v"] = {"const": VERSION, "description": "version of the contract"}
        required.append("v")
    for field in described(cls):
        properties[field.name] = {**of_kind(field.annotation), "description": field.meaning}
        if field.required:
            required.append(field.name)
    for name, schema in properties.items():
        if "$ref" in schema:  # draft 7 ignores what stands beside a reference
            properties[name] = {
                "allOf": [{"$ref": schema["$ref"]}],
                "description": schema["description"],
            }
    return {
        "type": "object",
        "description": about(cls),
        "properties": properties,
        "required": required,
    }


def of_kind(annotation: Any) -> Schema:
    """One kind of value; optional or not is the object's affair."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return of_kind(next(one for one in arguments if one is not NoneType))
    if origin is Annotated:
        return _limited(arguments[0], arguments[1])
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if annotation == Span:
        return SPAN
    if annotation is bool:
        return {"type": "boolean"}
    return {"$ref": REFERENCE + annotation.__name__}


def _limited(base: Any, kind: Any) -> Schema:
    match kind:
        case Whole():
            return {"type": "integer", "minimum": kind.minimum, "maximum": kind.maximum}
        case Real():
            return {"type": "number", "minimum": kind.minimum, "maximum": kind.maximum}
        case Text(pattern=None):
            return {"type": "string", "maxLength": kind.max_chars, "pattern": PLAIN}
        case Text():
            return {"type": "string", "pattern": f"^{kind.pattern}$"}
        case Instant():
            return {"type": "string", "format": "date-time", "pattern": TIME}
        case Items():
            inner = of_kind(get_args(base)[0])
            return {"type": "array", "items": inner, "maxItems": kind.maximum}
        case ByRun():
            inner = get_args(base)[0]
            return {
                "type": "object",
                "propertyNames": {"pattern": RUN},
                "additionalProperties": NOTHING_OR_SPAN if inner is Held else of_kind(inner),
                "maxProperties": kind.maximum,
            }
    raise TypeError(f"no schema for {kind}")
