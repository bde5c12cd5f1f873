"""The end of the agent's log, kept in memory alone for a city that asks.

Rule: it is one string of bytes with a limit, because most routers are never asked.
Rule: of an error its kind is kept, and not its words: they may quote what a device answered.
"""

import logging
import time

from titik_agent.limits import MAX_LOG_TAIL, MAX_LOOKED
from titik_wire.limits import MAX_LOG_LINES


class LogTail(logging.Handler):
    """Keeps the newest lines of a log, of whatever level the log has."""

    def __init__(self) -> None:
        super().__init__()
        self._kept = b""

    def emit(self, record: logging.LogRecord) -> None:
        """Add a line, and forget the oldest; who logs is never disturbed."""
        try:
            self._add(record)
        except Exception:
            self.handleError(record)

    def _add(self, record: logging.LogRecord) -> None:
        at = time.strftime("%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        text = f"{at} {record.levelname} {record.name}: {record.getMessage()}"
        if record.exc_info and record.exc_info[0] is not None:
            text += f" ({record.exc_info[0].__name__})"
        text = text.replace("\n", " ")
        if len(text) > MAX_LOOKED:
            # Between words: of half an address nobody can see that it is one.
            text = text[:MAX_LOOKED].rpartition(" ")[0]
        line = text.encode("utf-8", "replace")
        lines = [*self._kept.split(b"\n"), line] if self._kept else [line]
        kept = b"\n".join(lines[-MAX_LOG_LINES:])
        if len(kept) > MAX_LOG_TAIL:
            kept = kept[-MAX_LOG_TAIL:].partition(b"\n")[2]
        self._kept = kept

    def lines(self) -> list[str]:
        """The oldest first."""
        return self._kept.decode("utf-8", "replace").split("\n") if self._kept else []
