"""The city as pages ask for it: the newest status, and answers of the store.

Rule: the page only reads. A store that cannot be read now is asked again each second.
Rule: gathering takes at most a tenth of the time, so the collector keeps the processor. A store
that nobody wrote is not read again, but for what time alone changes.
Rule: a question runs in a thread of two, with a connection of its own, and has a deadline. The
store gives up what nobody waits for any more.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeVar

from titik_collector.alerts.alert import Incident
from titik_collector.config.model import Config
from titik_collector.figures.scope import FOR_EVER_MS
from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_INCIDENTS, MAX_QUESTIONS
from titik_collector.queries import server_warnings, status
from titik_collector.queries.server_warnings import Warned
from titik_collector.queries.status import CityStatus
from titik_collector.store import alert_rows, incident_rows, kept_messages, opening, simulated
from titik_collector.store.database import Database, StoreError
from titik_collector.timeline import server_clock
from titik_collector.web.desk import Desk
from titik_collector.wording.sentence import Sentence

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

EVERY_S = 1.0  # between two looks at the store
SHARE = 10  # a look of a second is followed by nine of rest
REST_S = 20.0  # at most
QUIET_MS = 10_000  # what time alone changes is shown so late
BUG = marked("a bug stops the page from reading the store; its log has more")
OLD_S = 60.0  # a look that is older is not now
DEADLINE_S = 10.0  # of a question
UNREAD = marked("The city cannot be read now")
LATE = marked("the store took too long to answer; ask for less")
READERS = 2
AGAIN_S = 5
FIRST_S = 10.0  # how long the first page waits for the first look


class Unanswered(Exception):
    """The store gives no answer now, in words for people."""

    def __init__(self, why: str, title: str = UNREAD, again_s: int = AGAIN_S) -> None:
        super().__init__(why)
        self.title = title  # of the page that says so
        self.again_s = again_s  # until it is worth another try


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The city at one moment."""

    number: int  # grows with each change
    at_ms: int
    status: CityStatus
    taken_s: float  # by the monotonic clock
    forget_ms: int = 0  # what deletes goes by this time; 0: it is not known yet
    simulated_until_ms: int | None = None  # what was before is made up; None: nothing is
    problem: str | None = None  # why the store cannot be read since; what was seen may be over
    incidents: tuple[Incident, ...] = ()  # that go on, the newest first
    incidents_open: int = 0  # how many go on; a page lists the newest
    parts: Mapping[int, int] = field(default_factory=dict)  # of an incident that fire now

    @property
    def is_true_now(self) -> bool:
        """Whether what is shown of routers may be believed."""
        return not self.problems

    @property
    def is_read_now(self) -> bool:
        """Whether the store was read a moment ago."""
        return self.problem is None and time.monotonic() - self.taken_s <= OLD_S

    @property
    def problems(self) -> list[str]:
        """Why not, for the operator."""
        found = [one.text for one in self.status.warnings if one.level == "critical"]
        if self.problem is not None:
            return [*found, self.problem]
        age_s = time.monotonic() - self.taken_s
        if age_s <= OLD_S:
            return found
        old = marked("the store was read {seconds} s ago")
        return [*found, Sentence(old, seconds=f"{age_s:.0f}")]


class CityView:
    """The city of one configuration, from `start` to `close`."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.desk = Desk(config)
        self._listeners: list[Callable[[], None]] = []
        # Two of each router, and what comes until they are forgotten.
        self._decode = lru_cache(3 * len(config.router))(kept_messages.decoded)
        self._newest: Snapshot | None = None
        self._problem = marked("the store was not read yet")
        self._closing = threading.Event()
        self._first = threading.Event()
        self._gathering = threading.Thread(target=self._gather, name="gather", daemon=True)
        self._readers = ThreadPoolExecutor(READERS, "ask")
        self._opened = threading.local()
        self._room = threading.Semaphore(MAX_QUESTIONS)

    def start(self) -> None:
        """Begin to look; the first look is done, or has failed, when this returns."""
        self._gathering.start()
        self.desk.begin()
        self._first.wait(FIRST_S)

    def close(self) -> None:
        """Let go of the store and of the desk."""
        self._closing.set()
        if self._gathering.is_alive():
            self._gathering.join(DEADLINE_S)
        self._readers.shutdown(cancel_futures=True)  # each closes its connection
        self.desk.close()

    @property
    def snapshot(self) -> Snapshot:
        """The newest; Unanswered if the store was never read."""
        if self._newest is None:
            raise Unanswered(self._problem)
        return self._newest

    @property
    def is_seen(self) -> bool:
        """Whether the store was ever read."""
        return self._newest is not None

    @property
    def now_ms(self) -> int:
        """The time of the city, which goes on between two snapshots."""
        snapshot = self.snapshot
        return snapshot.at_ms + int((time.monotonic() - snapshot.taken_s) * 1000)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call it with each new snapshot, in the thread that gathers; it must not fail."""
        self._listeners.append(listener)

    async def ask(
        self, question: Callable[[Database], Answer], within_s: float | None = None
    ) -> Answer:
        """The answer of the store; Unanswered if it has none in time."""
        deadline_s = DEADLINE_S if within_s is None else within_s
        if not self._room.acquire(blocking=False):
            raise Unanswered(marked("too many questions are waiting; try again in a moment"))
        end_s = time.monotonic() + deadline_s
        answer = self._readers.submit(self._answer, question, end_s)
        answer.add_done_callback(lambda _: self._room.release())  # answered, or given up in time
        try:
            return await asyncio.wait_for(asyncio.wrap_future(answer), deadline_s)
        except TimeoutError as error:
            raise Unanswered(LATE) from error
        except StoreError as error:
            raise Unanswered(error.text if time.monotonic() < end_s else LATE) from error

    def _answer(self, question: Callable[[Database], Answer], end_s: float) -> Answer:
        """In a thread whose connection stays open, unless it fails or the store is another."""
        kept = getattr(self._opened, "kept", None)
        if kept is None or not kept.is_current():
            if kept is not None:
                kept.close()
            kept = self._opened.kept = OpenStore(self.config)
        try:
            with kept.db.snapshot(end_s - time.monotonic()):
                return question(kept.db)
        except StoreError:
            self._opened.kept = None
            kept.close()
            raise

    def _gather(self) -> None:
        """Look each second, until it is over."""
        while not self._closing.is_set():
            try:
                with contextlib.closing(OpenStore(self.config)) as kept:
                    self._look_on(kept)
            except StoreError as error:
                self._failed(error.text)
            except Exception:  # a thread that ended would leave the last look standing as now
                if self._problem != BUG:
                    log.exception("a bug stops the page")
                self._failed(BUG)
            self._closing.wait(EVERY_S)

    def _look_on(self, kept: "OpenStore") -> None:
        known: object = None
        while not self._closing.is_set() and kept.is_current():
            begun, written = time.monotonic(), kept.db.written()
            now_ms = server_clock.shown_ms(kept.db)
            warnings = server_warnings.look(self.config, now_ms, kept.db).warnings
            facts = (written, warnings, now_ms // QUIET_MS)
            if facts != known:
                self._publish(found := self._look(kept.db, now_ms, warnings))
                self.desk.forget(found.forget_ms, self.config.web.audit_days)
                known = facts
            elif self._newest is not None:  # it is as it was, and is true of this moment too
                self._newest = replace(self._newest, at_ms=now_ms, taken_s=time.monotonic())
            self.desk.look()
            rest_s = (time.monotonic() - begun) * (SHARE - 1)
            self._closing.wait(min(max(EVERY_S, rest_s), REST_S))

    def _look(self, db: Database, now_ms: int, warnings: Sequence[Warned]) -> Snapshot:
        of = self.config.city
        with db.snapshot():
            city = status.gather(db, of.name, now_ms, warnings, of.title, of.timezone, self._decode)
            made_up, forget_ms = simulated.span(db), server_clock.forget_ms(db)
            open_now = incident_rows.count_open(db)
            incidents = incident_rows.since(db, FOR_EVER_MS)[: -MAX_INCIDENTS - 1 : -1]
            parts = alert_rows.parts_now(db)
        until_ms = None if made_up is None else made_up.end_ms
        return Snapshot(
            self._number(),
            now_ms,
            city,
            time.monotonic(),
            forget_ms,
            until_ms,
            incidents=tuple(incidents),
            incidents_open=open_now,
            parts=parts,
        )

    def _number(self) -> int:
        return 1 if self._newest is None else self._newest.number + 1

    def _publish(self, snapshot: Snapshot) -> None:
        self._newest = snapshot
        self._first.set()
        for listener in self._listeners:
            listener()

    def _failed(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("the store cannot be read reason=%s", problem)
        self._problem = problem
        if self._newest is not None and self._newest.problem != problem:
            self._publish(replace(self._newest, number=self._number(), problem=problem))
        self._first.set()


class OpenStore:
    """An open store, as long as it is the one that the configuration names."""

    def __init__(self, config: Config) -> None:
        self._stack = contextlib.ExitStack()
        self.db = self._stack.enter_context(opening.reading(config.page_store, config.file))
        self._place = self._where()

    def is_current(self) -> bool:
        """Whether a restored backup did not take its place."""
        return self._place == self._where()

    def close(self) -> None:
        """Let go of it."""
        self._stack.close()

    def _where(self) -> str:
        try:
            return self.db.place()
        except OSError as error:
            gone = Sentence(marked("the store is gone: {reason}"), reason=str(error))
            raise StoreError(gone) from error


@contextlib.contextmanager
def watching(config: Config) -> Iterator[CityView]:
    """A city that is looked at until the end of the block."""
    view = CityView(config)
    view.start()
    try:
        yield view
    finally:
        view.close()
