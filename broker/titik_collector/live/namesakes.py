"""Two devices that use one router's name: a cloned image, or a second `titik-agent run`.

Rule: a device never goes back to an earlier run of its agent. A run that makes a new connection
after another run did is a second device's.
"""

from titik_collector.limits import MAX_DEVICES
from titik_collector.store import namesake_rows
from titik_collector.store.database import Database
from titik_wire.instant import HOUR_MS

# They evict each other, and each tries again after 5 minutes at most.
APART_MS = 6 * HOUR_MS  # after so long without a change it is another event
NOW_MS = 1_800_000  # they may still be at it
REMEDY = "give one its own: titik router add NAME --site SITE"


class Namesakes:
    """Notices them as routers come online, and writes it down in the caller's transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._runs: dict[int, dict[str, int]] = {}  # connections by run, the last run at the end

    def came(self, router_id: int, run: str, connection: int, now_ms: int) -> bool:
        """A run made a connection; True if two devices use the name."""
        runs = self._runs.setdefault(router_id, {})
        is_last = next(reversed(runs), run) == run
        known = runs.pop(run, None)
        runs[run] = max(connection, known or 0)
        if len(runs) > MAX_DEVICES:
            del runs[next(iter(runs))]
        if known is None or is_last or connection <= known:
            return False
        namesake_rows.note(self._db, router_id, now_ms, APART_MS)
        return True

    def forget(self) -> None:
        """The transaction failed: what is in memory may not be true."""
        self._runs.clear()
