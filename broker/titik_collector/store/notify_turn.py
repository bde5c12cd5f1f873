"""Of several notifiers over one store on a server, one delivers: it has a lock of the server's.

Rule: the lock ends with its session. Whoever lost it asks again, and another may have it by then.
"""

from titik_collector.store import notify_opening
from titik_collector.store.database import Database
from titik_collector.store.opening import Where

_KEY = "hashtext(?) & 2147483647"
_MINE = f"""
SELECT EXISTS (
  SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND classid = 29802
    AND objid = CAST({_KEY} AS OID) AND pid = pg_backend_pid()
)
"""
_TAKE = f"SELECT pg_try_advisory_lock(29802, {_KEY})"


class NotifierLease:
    """Whether this process delivers; over a file it always does."""

    def __init__(self, where: Where) -> None:
        self._where = where
        self._db: Database | None = None

    def is_ours(self) -> bool:
        """Taken if it is free; StoreError if the server cannot be asked."""
        if self._where.path is not None:
            return True
        if self._db is None:
            self._db = notify_opening.open_for_turn(self._where)
        key = (notify_opening.schema_of(self._where),)
        return bool(self._db.execute(_MINE, key)[0][0] or self._db.execute(_TAKE, key)[0][0])

    def close(self) -> None:
        """It is somebody else's from here on."""
        if self._db is not None:
            self._db.close()
