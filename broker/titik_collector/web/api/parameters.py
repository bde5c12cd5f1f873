"""What a program asks for: the parameters of an address, read once; a wrong one is named.

Rule: an unknown parameter is an error, because a typing mistake would be answered wrongly.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from zoneinfo import ZoneInfo

from starlette.requests import Request

from titik_collector.figures.windows import Span
from titik_collector.limits import MAX_SHOWN
from titik_collector.web.error_pages import BadQuery
from titik_collector.wording import when

# What `moment` reads, as a program writes it; times without an offset are read too, as the
# city's. What is asked for begins before now.
PAST: Mapping[str, Any] = {
    "anyOf": [
        {"type": "string", "pattern": "^([1-9][0-9]{0,3}[mhd]|[1-9][0-9]{0,2}w|[1-4]?[1-9]y)$"},
        {"type": "string", "format": "date"},
        {"type": "string", "format": "date-time"},
    ]
}
TIME: Mapping[str, Any] = {"anyOf": [{"type": "string", "enum": ["now"]}, *PAST["anyOf"]]}

EVERYWHERE = frozenset({"lang", "theme"})  # say how people see a page; harmless here


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an endpoint, as the document has it."""

    name: str
    text: str
    example: str | None = None
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    where: Literal["path", "query"] = "query"


def some_of(words: Iterable[str]) -> dict[str, str]:
    """The schema of what `several` reads."""
    one = f"({'|'.join(words)})"
    return {"type": "string", "pattern": f"^{one}(,{one})*$"}


def check(request: Request, known: Sequence[Parameter]) -> None:
    """Each parameter is known, and there once."""
    names = [one.name for one in known if one.where == "query"]
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in names and name not in EVERYWHERE:
            raise BadQuery(name, "is no parameter here", f"use {_listed(names)}")
        if given.count(name) > 1:
            raise BadQuery(name, "is there twice", "give it once")


def choice(request: Request, name: str, allowed: Sequence[str], default: str | None) -> str | None:
    """One of some words."""
    value = request.query_params.get(name, default)
    if value is not None and value not in allowed:
        raise BadQuery(name, f"{_short(value)} is not one of its values", f"use {_listed(allowed)}")
    return value


def several(request: Request, name: str, allowed: Sequence[str]) -> list[str]:
    """Some of some words, with commas between them; all of them if it is not given."""
    text = request.query_params.get(name)
    if text is None:
        return list(allowed)
    found = list(dict.fromkeys(text.split(",")))
    for value in found:
        if value not in allowed:
            raise BadQuery(name, f"{_short(value)} is not known", f"use some of {_listed(allowed)}")
    return found


def number(request: Request, name: str, lowest: int, highest: int, default: int) -> int:
    """A whole number."""
    text = request.query_params.get(name, str(default))
    allowed = f"use a whole number from {lowest} to {highest}"
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadQuery(name, f"{_short(text)} is no whole number", allowed)
    if not lowest <= int(text) <= highest:
        raise BadQuery(name, f"{text} is out of range", allowed)
    return int(text)


def moment(request: Request, name: str, default: str, zone: ZoneInfo, now_ms: int) -> int:
    """A time, as `titik history --since` takes it."""
    # A plus that was not encoded arrives as a space: 2026-11-28T08:00+08:00.
    text = request.query_params.get(name, default).replace(" ", "+")
    try:
        return when.parse(text, zone, now_ms)
    except when.BadTime as error:
        wrong, _, remedy = str(error).partition("; ")
        raise BadQuery(name, wrong, remedy) from error


def span(request: Request, since: str, zone: ZoneInfo, now_ms: int) -> Span:
    """`from` and `to`; a time after now ends now."""
    start_ms = moment(request, "from", since, zone, now_ms)
    end_ms = min(moment(request, "to", "now", zone, now_ms), now_ms)
    if start_ms >= end_ms:
        raise BadQuery(
            "from", "does not lie before `to` and now", "use an earlier time, such as 24h"
        )
    return Span(start_ms, end_ms)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _short(text: str) -> str:
    return repr(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…")
