"""Whether a store that failed works again."""

from titik_collector.store import settings
from titik_collector.store.database import Database, transaction


def prove(db: Database, now_ms: int) -> None:
    """Take a row: to have nothing to write proves nothing. StoreError: it fails still."""
    with transaction(db):
        settings.keep(db, "tried_ms", now_ms)
