"""What people entered, as the collector reads it.

Rule: it never waits for whoever writes the desk, and never fails: what was last known stays.
Rule: of a file only the file's times are looked at, unless it was replaced. A server is asked in a
thread of its own, so one that hangs holds up no acknowledgement.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from titik_collector.alerts.desk_facts import DeskFacts
from titik_collector.desk import deliveries, posting, work_times
from titik_collector.desk.posting import Posted
from titik_collector.figures.windows import Span
from titik_collector.limits import MAX_POSTED
from titik_collector.store import desk_opening, notify_opening
from titik_collector.store.database import Database, StoreError
from titik_collector.store.opening import Where

log = logging.getLogger(__name__)
FIRST_S, WAIT_S = 3.0, 0.5  # for a server's answer: the first one, and each later one
ANSWER_S = 2.0  # that its statements may take
EARLY_MS = 5000  # between two looks of the collector


class DeskReading:
    """The desk of one store, from its first look to `close`."""

    def __init__(self, where: Where, zone: ZoneInfo) -> None:
        self._zone = zone
        self._source: _FilePosted | _ServerPosted
        self._delivered: _FilePosted | _ServerPosted
        if where.path is None:
            self._source = _ServerPosted(
                lambda: desk_opening.open_for_collector(where), posting.read, posting.TABLE
            )
            self._delivered = _ServerPosted(
                lambda: notify_opening.open_for_collector(where), deliveries.read, deliveries.TABLE
            )
        else:
            self._source = _FilePosted(posting.file_of(where.path))
            self._delivered = _FilePosted(deliveries.file_of(where.path))

    def facts(self, now_ms: int) -> DeskFacts:
        """What counts at that moment."""
        posted, arrived = self._source.posted(now_ms), self._delivered.posted(now_ms)
        return facts_of(replace(posted, delivered=arrived.delivered), now_ms, self._zone)

    def close(self) -> None:
        """Let go of it."""
        self._source.close()
        self._delivered.close()


def facts_of(posted: Posted, now_ms: int, zone: ZoneInfo) -> DeskFacts:
    """What of it counts at a moment.

    The clocks of the server and of the city may differ by little: what begins when it is entered
    has begun, and maintenance begins some seconds early.
    """
    soon = Span(now_ms, now_ms + EARLY_MS)
    return DeskFacts(
        acks=tuple(one for one in posted.acks if now_ms < one.until_ms),
        silences=tuple(one for one in posted.silences if now_ms < one.until_ms),
        maintenance=tuple(work_times.within(posted.maintenance, soon, zone)),
        delivered=posted.delivered,
        questions=posted.questions,
        rollout=posted.rollout,
    )


class _Problem:
    """Logs a problem once, and its end.

    Rule: who makes a desk opens it to the collector a moment later, so one look proves nothing.
    """

    def __init__(self) -> None:
        self._logged: str | None = None
        self._is_wrong = False  # at the look before

    def is_now(self, problem: str | None) -> None:
        """What is wrong now; None: nothing."""
        was_wrong, self._is_wrong = self._is_wrong, problem is not None
        if problem is None and self._logged is not None:
            log.info("the desk can be read again")
            self._logged = None
        elif problem is not None and was_wrong and problem != self._logged:
            log.warning("the desk cannot be read, the last of it counts reason=%s", problem)
            self._logged = problem


class _FilePosted:
    """What is posted beside a desk in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._posted = Posted()
        self._reported = _Problem()

    def posted(self, _: int) -> Posted:
        """The newest that could be read."""
        try:
            found = self._file.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if seen != self._seen:
                with self._file.open("rb") as raw:
                    self._posted = posting.read_file(raw.read(MAX_POSTED))
                self._seen = seen
        except FileNotFoundError:
            self._seen, self._posted = None, Posted()
            self._reported.is_now(None)
        except OSError as error:
            remedy = "who writes it opens it to the collector's group when it starts"
            self._reported.is_now(f"{self._file}: {error.strerror}; {remedy}")
        except (ValueError, msgspec.DecodeError) as error:
            self._reported.is_now(f"{self._file}: {error}")
        else:
            self._reported.is_now(None)
        return self._posted

    def close(self) -> None:
        """Nothing is open."""


class _ServerPosted:
    """The tables of a desk on a server, or of what was delivered."""

    def __init__(
        self, opens: Callable[[], Database], reads: Callable[[Database, int], Posted], table: str
    ) -> None:
        self._opens, self._reads, self._table = opens, reads, table
        self._db: Database | None = None
        self._posted = Posted()
        self._reported = _Problem()
        self._answered = threading.Event()
        self._asks: list[int] = []
        self._asked = threading.Condition()
        self._is_closed = False
        self._is_first = True
        self._thread = threading.Thread(target=self._answer, name="desk", daemon=True)
        self._thread.start()

    def posted(self, now_ms: int) -> Posted:
        """The newest; a server that does not answer in time leaves the last one."""
        with self._asked:
            self._answered.clear()
            self._asks[:] = [now_ms]
            self._asked.notify()
        self._answered.wait(FIRST_S if self._is_first else WAIT_S)
        self._is_first = False
        return self._posted

    def close(self) -> None:
        """The thread ends with the answer that it waits for."""
        with self._asked:
            self._is_closed = True
            self._asked.notify()

    def _answer(self) -> None:
        while (now_ms := self._next()) is not None:
            self._look(now_ms)
            self._answered.set()
        self._let_go()

    def _next(self) -> int | None:
        with self._asked:
            self._asked.wait_for(lambda: self._asks or self._is_closed)
            return None if self._is_closed else self._asks.pop()

    def _look(self, now_ms: int) -> None:
        try:
            self._db = self._db or self._opens()
            if not self._db.has_table(self._table):
                self._posted = Posted()  # nothing was entered yet
            else:
                with self._db.snapshot(ANSWER_S):
                    self._posted = self._reads(self._db, now_ms)
            self._reported.is_now(None)
        except StoreError as error:
            self._reported.is_now(str(error))
            self._let_go()

    def _let_go(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
