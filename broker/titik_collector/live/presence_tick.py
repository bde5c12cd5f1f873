"""The job that notices which routers went silent."""

from collections.abc import Callable, Iterable

from titik_collector.live.hearing import Hearing
from titik_collector.live.presence import Presence
from titik_collector.store.database import Database, StoreError, transaction


class PresenceTick:
    """Looks at every router; nobody is missed while the collector cannot hear."""

    def __init__(
        self,
        db: Database,
        presence: Presence,
        hearing: Hearing,
        routers: Callable[[], Iterable[tuple[int, str, str | None]]],
        now_ms: Callable[[], int],
    ) -> None:
        self._db = db
        self._presence = presence
        self._hearing = hearing
        self._routers = routers
        self._now_ms = now_ms

    def due(self, _now: float) -> bool:
        """Whether the collector hears."""
        return self._hearing.since_ms is not None

    def step(self, _budget_s: float) -> bool:
        """All routers, in one transaction."""
        since_ms = self._hearing.since_ms or 0
        ids = [router_id for router_id, _, _ in self._routers()]
        try:
            with transaction(self._db):
                self._presence.tick(self._now_ms(), ids, since_ms)
                self._hearing.save()
        except StoreError:
            self._presence.forget()
            raise
        return False
