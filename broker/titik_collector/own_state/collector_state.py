"""What the collector knows of itself: connected, storing, behind; and the file that says it.

Rule: the file answers when the store cannot be read and the broker is gone.
Rule: the file is replaced whole. On a full disk its bytes are overwritten in place instead, and
its length never changes, so that this needs no new block.
"""

import contextlib
import dataclasses
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from titik_collector.limits import MAX_PROBLEM, MAX_STATE

log = logging.getLogger(__name__)

EVERY_S = 5.0  # it is written this often
STALE_MS = 30_000  # an older file means that the collector hangs or was killed


@dataclass(frozen=True, slots=True)
class CollectorState:
    """The collector about itself; times are milliseconds since 1970."""

    collector: str  # its id
    pid: int
    at_ms: int  # when all this was so
    since_ms: int  # since when `connected` and `storing` are as they are
    connected: bool = False  # to the broker, subscriptions included
    storing: bool = False  # what is received is committed
    broker_problem: str | None = None  # why it is not connected, in words
    store_problem: str | None = None  # why it does not store, in words
    stored_ms: int | None = None  # when a batch was last committed; None: not since the start
    behind_ms: int = 0  # for how long work has waited without a pause
    beat: int = 0  # rises with each status that is published

    @property
    def problem(self) -> str | None:
        """The problem in words, the store's first; None: all is well."""
        return self.store_problem or self.broker_problem

    def is_stale(self, now_ms: int) -> bool:
        """Whether no one writes the file, though no one removed it."""
        return now_ms - self.at_ms > STALE_MS


def read(files: Sequence[Path]) -> CollectorState | None:
    """The newest state that one of these files has; None: no collector runs, or none can be read.

    A clean stop removes the file. Ask `is_stale` of what this returns.
    """
    found = [state for state in map(_read, files) if state is not None]
    return max(found, key=lambda state: state.at_ms, default=None)


@dataclass(eq=False)
class StateFile:
    """Writes the file; the first place that can be written is used."""

    _files: Sequence[Path]
    _folder: Path | None = None  # made if it is missing, as after each start of the machine
    _failed: str | None = None

    def write(self, state: CollectorState) -> None:
        """Write it; what cannot be written anywhere is logged once."""
        content = _encode(state)
        reasons = []
        for file in self._files:
            try:
                self._write(file, content)
            except OSError as error:
                reasons.append(f"{file}: {error.strerror}")
            else:
                self._failed = None
                return
        reason = "; ".join(reasons)
        if reason != self._failed:
            log.warning("state file cannot be written reason=%s", reason)
        self._failed = reason

    def _write(self, file: Path, content: bytes) -> None:
        if file.parent == self._folder:
            self._folder.mkdir(mode=0o755, exist_ok=True)
        new = file.with_name(f"{file.name}.new")
        try:
            new.write_bytes(content)
            new.chmod(0o644)  # no secrets, and monitoring runs as another user
            new.replace(file)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink()
            with open(file, "r+b", buffering=0) as there:
                there.write(content)

    def remove(self) -> None:
        """The collector stops: without a file no one takes it for running."""
        for file in self._files:
            with contextlib.suppress(OSError):
                file.unlink()


def _encode(state: CollectorState) -> bytes:
    plain = dataclasses.asdict(state)
    for name in ("broker_problem", "store_problem"):
        plain[name] = plain[name] and plain[name][:MAX_PROBLEM]
    text = json.dumps(plain, indent=1, ensure_ascii=False).encode("utf-8", "replace")
    return text[: MAX_STATE - 1].ljust(MAX_STATE - 1) + b"\n"


def _read(file: Path) -> CollectorState | None:
    try:
        with open(file, "rb") as opened:
            plain = json.loads(opened.read(2 * MAX_STATE))
    except (OSError, ValueError, RecursionError):
        return None
    return _checked(plain) if isinstance(plain, dict) else None


def _checked(plain: dict[str, Any]) -> CollectorState | None:
    """The state, if every field is there and of its type; a later version may write more."""
    values = {}
    for field in dataclasses.fields(CollectorState):
        value = plain.get(field.name)
        if not isinstance(value, field.type):  # type: ignore[arg-type]  # no annotation is text
            return None
        values[field.name] = value
    return CollectorState(**values)
