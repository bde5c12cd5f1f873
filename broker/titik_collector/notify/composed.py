"""A message in the words of its receiver, ready for any channel; data."""

from dataclasses import dataclass
from typing import NamedTuple

from titik_collector.alerts.alert import Message
from titik_collector.store.delivery_rows import Box


class MessageKey(NamedTuple):
    """Which message it is, for life: a store that was restored gives a number again."""

    box: Box
    number: int
    made_ms: int

    @property
    def id(self) -> str:
        """Short, and the same at each try."""
        return f"{'n' if self.box == 'store' else 'o'}-{self.number}-{self.made_ms:x}"


class MailPdf(NamedTuple):
    """A file that an e-mail brings."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """What one receiver gets at one try."""

    key: MessageKey
    incident: int | None  # None: it is about none
    thread: str | None  # the same for all messages of one incident; None: it stands alone
    city: str  # its name
    receiver: str
    message: Message
    subject: str
    lines: tuple[str, ...]  # the first says what, where and since when
    rows: tuple[tuple[str, str], ...] = ()  # places, each with a length and a cause
    last: tuple[str, ...] = ()  # what stands below them
    link: str | None = None  # where the page shows it
    ack_url: str | None = None  # where a program acknowledges it
    language: str = "id"
    at_ms: int = 0  # when it was composed
    since: str = ""  # ISO 8601
    until: str | None = None
    pdf: MailPdf | None = None  # only e-mails bring it

    @property
    def text(self) -> str:
        """All of it, for what shows plain text."""
        return self._joined(self.lines)

    @property
    def rest(self) -> str:
        """The same for what shows the subject above it; empty if that says all."""
        lines = self.lines[1:] if self.lines[:1] == (self.subject,) else self.lines
        return self._joined(lines).strip()

    def _joined(self, lines: tuple[str, ...]) -> str:
        rows = [f"- {name}: {what}" if what else f"- {name}" for name, what in self.rows]
        parts = ["\n".join(lines), "\n".join(rows), "\n".join(self.last), self.link or ""]
        return "\n\n".join(part for part in parts if part) + "\n"
