"""What a source is: one section of a sample."""

from typing import Any, Protocol, runtime_checkable


class SourceError(Exception):
    """The device did not answer, or not in a way we understand; the section is left out."""


class Source(Protocol):
    """One section of a sample. `name` is what `failed` lists when `read` raises SourceError."""

    name: str
    field: str  # the field of `titik_wire.messages.Sample` that `read` fills

    def read(self) -> Any | None:
        """The field's value; None when this router has no such thing, which is no failure."""


@runtime_checkable
class EventSource(Source, Protocol):
    """A source that hears of changes between samples through file descriptors."""

    def filenos(self) -> tuple[int, ...]:
        """Descriptors to wait on for reading; they may change after every `pump` or `read`."""

    def pump(self) -> bool:
        """Handle what is readable without blocking; True if a client joined or left."""
