"""What a program sends, read once; a wrong field is named.

Rule: an unknown field is an error, because a typing mistake would be lost.
"""

from dataclasses import fields
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from titik_collector.limits import MAX_SHOWN
from titik_collector.web import forms
from titik_collector.web.api.replying import JSON
from titik_collector.web.error_pages import BadQuery

Entry = TypeVar("Entry")


async def read(request: Request, shape: type[Entry]) -> Entry:
    """One object; BadQuery, or HTTPException 413 and 415."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise HTTPException(415, f"Send {JSON}.")
    raw = await forms.body_of(request)
    try:
        found = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise BadQuery("body", str(error), "send one object of JSON") from error
    if not isinstance(found, dict):
        raise BadQuery("body", "is no object", "send one object of JSON")
    names = [one.name for one in fields(shape)]  # type: ignore[arg-type]  # a dataclass
    for name in found:
        if name not in names:
            raise BadQuery(name[:MAX_SHOWN], "is no field here", f"use {', '.join(names)}")
    return _converted(found, shape)


def _converted(found: dict[str, Any], shape: type[Entry]) -> Entry:
    try:
        return msgspec.convert(found, shape)
    except msgspec.ValidationError as error:
        raise BadQuery("body", str(error), "see docs/openapi.json") from error
