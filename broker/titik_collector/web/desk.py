"""The desk as the page asks for it: in a thread of its own, with one connection.

Rule: to look makes no desk; to write does.
Rule: a desk that cannot be read answers nobody, so nobody looks instead of the right ones.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from titik_collector.accounts import forgetting
from titik_collector.config.model import Config
from titik_collector.desk import posting
from titik_collector.desk.posting import Posted
from titik_collector.limits import MAX_ASKED_DESK
from titik_collector.store import desk_opening
from titik_collector.store.database import Database, StoreError

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
DEADLINE_S = 10.0
LOOK_S = 5.0  # between two looks at what others entered
FORGET_S = 86_400.0  # between two times that old rows are deleted


def now_ms() -> int:
    """The time by which people enter something."""
    return round(time.time() * 1000)


class NoDesk(Exception):
    """What people entered cannot be read now, in words for the log."""


class Desk:
    """What people entered for one city."""

    def __init__(self, config: Config) -> None:
        self._where = config.page_store
        self._thread = ThreadPoolExecutor(1, "desk")
        self._db: Database | None = None
        self._file = 0  # the inode that is open
        self._waiting = 0
        self._forget_s = 0.0  # not before
        self._kept: str | None = None  # why old rows were not deleted, the last time
        self._look_s = 0.0  # not before
        self.posted = Posted()  # what counts for alerts, as it was some seconds ago

    async def ask(self, question: Callable[[Database], Answer], without: Answer) -> Answer:
        """The answer, or `without` where nothing was entered yet; NoDesk."""
        return await self._in_thread(lambda: self._look(question, without))

    async def write(self, change: Callable[[Database], Answer]) -> Answer:
        """Change something; NoDesk."""
        return await self._in_thread(lambda: change(self._open()))

    async def enter(self, change: Callable[[Database], Answer]) -> Answer:
        """The same for what the collector has to know; NoDesk."""
        return await self._in_thread(lambda: self._enter(change))

    def look(self) -> None:
        """See what others entered, every few seconds; call it often, and from one thread."""
        now_s = time.monotonic()
        if now_s >= self._look_s:
            self._look_s = now_s + LOOK_S
            self._thread.submit(self._see)

    def begin(self) -> None:
        """Let the collector see the desk as it is: nobody did if the page was killed before."""
        self._thread.submit(self._begin)

    def forget(self, forget_ms: int, audit_days: int) -> None:
        """Delete what is too old, once a day; call it often, and from one thread."""
        now_s = time.monotonic()
        if not forget_ms or now_s < self._forget_s:
            return
        self._forget_s = now_s + FORGET_S

        self._thread.submit(self._forget, forget_ms, audit_days)

    def close(self) -> None:
        """Let go of it."""
        self._thread.submit(self._close)
        self._thread.shutdown()

    def _enter(self, change: Callable[[Database], Answer]) -> Answer:
        answer = change(db := self._open())
        posting.post(db, self._where)
        self.posted = posting.read(db, now_ms())
        return answer

    def _begin(self) -> None:
        try:
            self._look(lambda _: None, None)
        except StoreError as error:
            log.warning("the desk cannot be read reason=%s", error)

    def _see(self) -> None:
        """What cannot be read stays; whoever asks next reads why."""
        with contextlib.suppress(StoreError):
            self.posted = self._look(lambda db: posting.read(db, now_ms()), Posted())

    def _forget(self, forget_ms: int, audit_days: int) -> None:
        """What fails is tried again tomorrow, and logged once."""
        kept = None
        try:
            self._look(lambda db: forgetting.forget(db, forget_ms, audit_days), None)
        except StoreError as error:
            kept = str(error)
        if kept is not None and kept != self._kept:
            log.warning("old rows of the desk are not deleted reason=%s", kept)
        self._kept = kept

    async def _in_thread(self, step: Callable[[], Answer]) -> Answer:
        if self._waiting >= MAX_ASKED_DESK:
            raise NoDesk("too many wait for the desk")
        self._waiting += 1
        try:
            # What has not begun by then is never asked; who came for it reads why.
            return await asyncio.wait_for(
                asyncio.get_running_loop().run_in_executor(self._thread, step), DEADLINE_S
            )
        except TimeoutError as error:
            raise NoDesk(f"the desk did not answer within {DEADLINE_S:g} s") from error
        except StoreError as error:
            self._thread.submit(self._close)  # the next one opens it again
            raise NoDesk(str(error)) from error
        finally:
            self._waiting -= 1

    def _look(self, question: Callable[[Database], Answer], without: Answer) -> Answer:
        if self._db is None and not desk_opening.exists(self._where):
            return without
        return question(self._open())

    def _open(self) -> Database:
        """The desk that is there now: a backup may have taken the other one's place."""
        if self._db is not None and self._inode() != self._file:
            self._close()
        if self._db is None:
            self._db = desk_opening.open_desk(self._where)
            self._file = self._inode()
            posting.post(self._db, self._where)
        return self._db

    def _inode(self) -> int:
        if self._where.path is None:
            return 0
        try:
            return desk_opening.file_of(self._where.path).stat().st_ino
        except OSError:
            return -1

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
