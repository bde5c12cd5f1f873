"""The kinds of value a message holds, with their limits; the codec and the JSON Schemas read them.

Every number that a counter may reach stays below 2**53, so that every JSON reader keeps it exact.
"""

from dataclasses import dataclass
from typing import Annotated

from titik_wire import limits
from titik_wire.value import Value


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Whole(Value):
    """An integer between `minimum` and `maximum`, both included."""

    minimum: int = 0
    maximum: int = limits.MAX_WHOLE


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Real(Value):
    """A finite number between `minimum` and `maximum`, both included."""

    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Text(Value):
    """At most `max_chars` characters without control characters or lone surrogates.

    `pattern`, if given, must match the whole text.
    """

    max_chars: int
    pattern: str | None = None


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Instant(Value):
    """Milliseconds since 1970 in Python; RFC 3339 UTC with milliseconds on the wire."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Items(Value):
    """A list of at most `maximum` values."""

    maximum: int


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ByRun(Value):
    """A JSON object whose keys are the values' `run`; at most `maximum` of them."""

    maximum: int = limits.MAX_RUNS


SLUG = rf"[a-z0-9-]{{1,{limits.MAX_SLUG}}}"

Slug = Annotated[str, Text(limits.MAX_SLUG, SLUG)]
# Of one length, which is no limit.
RunId = Annotated[str, Text(16, r"[0-9a-f]{16}")]
Boot = Annotated[str, Text(36, r"[0-9a-f-]{1,36}")]
Token = Annotated[str, Text(limits.MAX_TOKEN)]
Ifname = Annotated[str, Text(limits.MAX_IFNAME)]
Label = Annotated[str, Text(limits.MAX_LABEL)]
Title = Annotated[str, Text(limits.MAX_TITLE)]
Ssid = Annotated[str, Text(limits.MAX_SSID)]
Count = Annotated[int, Whole()]
People = Annotated[int, Whole(0, limits.MAX_PEOPLE)]
Seq = Annotated[int, Whole(1)]
Time = Annotated[int, Instant()]
Ratio = Annotated[float, Real(0.0, 1.0)]
Bps = Annotated[int, Whole()]
Load = Annotated[float, Real(0.0, limits.MAX_LOAD)]
Mean = Annotated[float, Real(0.0, limits.MAX_MEAN)]
Rtt = Annotated[float, Real(0.0, limits.MAX_RTT_MS)]
DayStarts = Annotated[tuple[Time, ...], Items(limits.MAX_DAY_STARTS)]
