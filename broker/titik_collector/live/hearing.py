"""When the collector could hear its routers, and when it could not.

Rule: it hears while the broker answers and the store takes what comes.
Rule: the time in which it could not hear is a server outage, and in no router's.
Rule: until when it heard is in the store, so that a restart is such a time too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from titik_collector.languages.codes import marked
from titik_collector.live.presence import Presence
from titik_collector.store import server_outages, settings
from titik_collector.store.database import Database
from titik_collector.store.server_outages import ServerOutage

LEAST_MS = 10_000  # a shorter gap is no event: a sample comes every 30 s
What = Literal["broker", "store", "collector"]


@dataclass(eq=False)
class Hearing:
    """Ears open or shut; writes the table `server_outage`."""

    _db: Database
    _presence: Presence
    _now_ms: Callable[[], int]
    since_ms: int | None = None  # since when all that routers report is heard; None: it cannot hear
    _what: What = "collector"
    _reason: str = marked("the collector did not run")

    def __post_init__(self) -> None:
        self._started_ms = self._now_ms()
        self._until_ms = settings.number(self._db, "heard_until_ms")

    def hears(self) -> bool:
        """Whether all that routers report is heard now."""
        return self.since_ms is not None

    def deaf_ms(self) -> int:
        """For how long it could not hear; 0 while it hears."""
        if self.since_ms is not None:
            return 0
        from_ms = self._started_ms if self._until_ms is None else self._until_ms
        return max(0, self._now_ms() - from_ms)

    def heard(self, at_ms: int) -> None:
        """All that was reported until then has been heard."""
        if self.since_ms is not None:
            self._until_ms = at_ms

    def move(self, by_ms: int) -> None:
        """Time jumped: what was noted by the clock of before is so much later."""
        self._started_ms += by_ms
        if self.since_ms is not None:
            self.since_ms += by_ms
            if self._until_ms is not None:
                self._until_ms += by_ms
        self._presence.move(by_ms)

    def stop(self, what: What, reason: str) -> None:
        """It cannot hear from now on, for this reason; the first reason stays."""
        if self.since_ms is not None:
            self.since_ms, self._what, self._reason = None, what, reason

    def resume(self) -> None:
        """It hears again; StoreError: call again, before anything that was heard is saved.

        The gap becomes longer if it stops again before `heard`, as where a broker refuses us.
        """
        now_ms, from_ms = self._now_ms(), self._until_ms
        try:
            with self._db.transaction():
                if from_ms is not None:
                    self._close_gap(from_ms, now_ms)
        except BaseException:
            self._presence.forget()
            raise
        self.since_ms = now_ms

    def notice_silent(self, router_ids: Sequence[int]) -> None:
        """Who of them went silent, and write down until when it heard; while it hears."""
        try:
            with self._db.transaction():
                self._presence.tick(self._now_ms(), router_ids, self.since_ms or 0)
                if self._until_ms is not None:
                    settings.keep(self._db, "heard_until_ms", self._until_ms)
        except BaseException:
            self._presence.forget()
            raise

    def _close_gap(self, from_ms: int, now_ms: int) -> None:
        if self._what == "store":  # the broker kept every word, in order
            self._presence.resume(now_ms)
        else:
            self._presence.doubt(from_ms, now_ms, broker=self._what == "broker")
        if now_ms - from_ms >= LEAST_MS:
            server_outages.put(self._db, ServerOutage(from_ms, now_ms, self._what, self._reason))
