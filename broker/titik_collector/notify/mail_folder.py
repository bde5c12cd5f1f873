"""E-mails as files in a folder: what a mail server would get, for a trial without one.

Rule: every try of a message writes the same file, so that nothing is there twice.
"""

from dataclasses import dataclass
from pathlib import Path

from titik_collector.files.replace import Owner, replacing
from titik_collector.notify import mail
from titik_collector.notify.composed import Composed
from titik_collector.notify.undelivered import Passed, Undelivered, nothing

NOWHERE = "titik.invalid"  # a name that no machine can have (RFC 2606)
_READABLE = Owner(-1, -1, 0o644)


@dataclass(frozen=True, slots=True)
class FolderChannel:
    """The way into one folder."""

    folder: Path
    city_title: str

    def deliver(self, one: Composed, passed: Passed = nothing) -> None:
        """Write it; Undelivered if that fails."""
        built = mail.build(one, f"{one.receiver}@{NOWHERE}", f"titik@{NOWHERE}", self.city_title)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self.folder / f"{one.key.id}.eml", _READABLE) as raw:
                raw.write(built.as_bytes())
        except OSError as error:
            where = error.filename or self.folder
            remedy = "choose a folder that the user of `titik notify` can write"
            raise Undelivered("send", f"{where}: {error.strerror}", remedy=remedy) from error
        passed("send")
