"""When messages first reached anybody, as the collector reads it: escalation counts from there.

Rule: who delivers posts it beside its own file, as the page does with what people entered.
"""

import logging
from pathlib import Path

import msgspec

from titik_collector.desk import posting
from titik_collector.desk.posting import Posted
from titik_collector.files.replace import Owner, replacing
from titik_collector.store import delivery_rows, desk_rights, notify_opening
from titik_collector.store.database import Database, StoreError
from titik_collector.store.opening import Where
from titik_wire.instant import DAY_MS

log = logging.getLogger(__name__)
TABLE = "delivery"
COUNTED_MS = 7 * DAY_MS  # an incident whose first message is older is not escalated any more
_SHARED = Owner(-1, -1, 0o640)  # for the group of its folder, which is the store's


def post(db: Database, where: Where, now_ms: int) -> None:
    """Let the collector see it; what fails is logged, and the next one makes up for it."""
    try:
        if where.path is None:
            schema = notify_opening.schema_of(where)
            desk_rights.give(db, where.schema, schema, desk_rights.READ_OF_DELIVERIES)
            return
        with replacing(file_of(where.path), _SHARED) as raw:
            raw.write(msgspec.json.encode(read(db, now_ms)))
    except (OSError, StoreError) as error:
        log.warning("the collector does not see what was delivered reason=%s", error)


def read(db: Database, now_ms: int) -> Posted:
    """Of what `titik notify` keeps."""
    found = delivery_rows.first_of_incidents(db, now_ms - COUNTED_MS)
    return Posted(delivered=tuple(found))


def file_of(store: Path) -> Path:
    """Where it lies."""
    return notify_opening.folder_of(store) / posting.FILE
