"""Where a sample's sections come from; one file per source.

Rule: fetching and parsing are apart; parsing is pure.
Rule: a partial read is a failed read (SourceError), never a smaller number.
Rule: every read ends within a second or so by its own deadline.
"""

from typing import Any, Protocol, runtime_checkable


class SourceError(Exception):
    """The device did not answer, or not in a way we understand; the section is left out."""


class Source(Protocol):
    """One section of a sample. `name` is what `failed` lists when `read` raises SourceError."""

    name: str
    field: str  # the field of `titik_wire.messages.Sample` that `read` fills

    def read(self) -> Any | None:
        """The field's value; None when this router has no such thing, which is no failure."""
        ...


@runtime_checkable
class EventSource(Source, Protocol):
    """A source that hears of changes between samples through file descriptors."""

    def filenos(self) -> tuple[int, ...]:
        """Descriptors to wait on for reading; they may change after every `pump` or `read`."""
        ...

    def pump(self) -> bool:
        """Handle what is readable without blocking; True if a client joined or left."""
        ...
