"""Whether a store that failed works again."""

from titik_collector.store import settings
from titik_collector.store.database import Database


def prove(db: Database, now_ms: int) -> None:
    """Take a row: to have nothing to write proves nothing. StoreError: it fails still."""
    with db.transaction():
        settings.keep(db, "tried_ms", now_ms)
