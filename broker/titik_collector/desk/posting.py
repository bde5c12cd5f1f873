"""What the collector may read of the desk, and nothing more.

The desk holds hashes of passwords, so its file is the page's alone. Beside it lies `posted.json`,
with what counts for alerts. The group of the store's folder may read it: the collector is in it.
On a server the collector's role gets the right to read those tables.

Rule: whoever has committed something posts it. A post that fails is made up for by the next one.
"""

import contextlib
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from titik_collector.alerts.desk_facts import (
    Acknowledgement,
    AskedQuestion,
    DeliveryTime,
    RolloutOrder,
    Silence,
)
from titik_collector.files.locks import locked
from titik_collector.files.replace import Owner, replacing
from titik_collector.limits import MAX_POSTED
from titik_collector.store import (
    desk_acks,
    desk_maintenance,
    desk_opening,
    desk_questions,
    desk_rights,
    desk_rollouts,
    desk_silences,
)
from titik_collector.store.database import Database, StoreError
from titik_collector.store.desk_maintenance import MaintenanceRow
from titik_collector.store.opening import Where
from titik_wire.instant import MINUTE_MS

log = logging.getLogger(__name__)
FILE = "posted.json"
VERSION = 1
TABLE = "maintenance"  # the newest of those that no desk lacks which anybody entered something in
QUESTION_MS = 5 * MINUTE_MS  # a question is posted so long; the collector gives up before


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """All that counts now or later."""

    version: int = VERSION
    acks: tuple[Acknowledgement, ...] = ()
    silences: tuple[Silence, ...] = ()
    maintenance: tuple[MaintenanceRow, ...] = ()
    delivered: tuple[DeliveryTime, ...] = ()
    questions: tuple[AskedQuestion, ...] = ()
    rollout: RolloutOrder | None = None


def post(db: Database, where: Where, now_ms: int | None = None) -> None:
    """Let the collector see the desk as it is; what fails is logged, and changes nothing."""
    try:
        if where.path is None:
            desk_rights.give(db, where.schema, f"{where.schema}-desk")
        else:
            _post_file(db, where.path, now_ms or round(time.time() * 1000))
    except (OSError, StoreError) as error:
        log.warning("the collector does not see the newest of the desk reason=%s", error)


def read(db: Database, now_ms: int) -> Posted:
    """Of an open desk."""
    silences = [
        row.silence._replace(until_ms=row.end_ms) for row in desk_silences.not_over(db, now_ms)
    ]
    # A desk on a server may be older than the collector.
    has_questions = db.has_table("question")
    return Posted(
        acks=tuple(desk_acks.not_over(db, now_ms)),
        silences=tuple(silences),
        maintenance=tuple(desk_maintenance.not_over(db, now_ms)),
        questions=tuple(desk_questions.since(db, now_ms - QUESTION_MS)) if has_questions else (),
        # A desk on a server may be older than the collector.
        rollout=desk_rollouts.newest(db) if db.has_table("rollout") else None,
    )


def read_file(raw: bytes) -> Posted:
    """Of what was posted; ValueError if it is none, or of a later version."""
    posted = msgspec.json.decode(raw, type=Posted)
    if posted.version != VERSION:
        raise ValueError(f"version {posted.version}, this program reads {VERSION}")
    return posted


def file_of(store: Path) -> Path:
    """Where it lies."""
    return desk_opening.folder_of(store) / FILE


def _post_file(db: Database, store: Path, now_ms: int) -> None:
    file = file_of(store)
    with locked(file.parent):  # of two the last one has read what both committed
        text = msgspec.json.encode(read(db, now_ms))
        if len(text) > MAX_POSTED:
            raise OSError(f"{file}: would have {len(text)} bytes, at most {MAX_POSTED}")
        reader = share(file.parent, store.parent.stat().st_gid)
        if has(file, text, reader.gid):
            return
        with replacing(file, reader) as raw:
            raw.write(text)


def has(file: Path, text: bytes, gid: int) -> bool:
    try:
        return file.read_bytes() == text and gid in (-1, file.stat().st_gid)
    except FileNotFoundError:
        return False


def share(folder: Path, gid: int) -> Owner:
    """Let the group pass through the folder, where we may; whose the file will be."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(opened)
        is_root = os.geteuid() == 0
        may_give = is_root or gid in (os.getegid(), *os.getgroups())
        if may_give and (is_root or found.st_uid == os.geteuid()):
            if found.st_gid != gid:
                os.fchown(opened, -1, gid)
            if found.st_mode & 0o777 != 0o710:
                with contextlib.suppress(PermissionError):
                    os.fchmod(opened, 0o710)
        return Owner(found.st_uid if is_root else -1, gid if may_give else -1, 0o640)
    finally:
        os.close(opened)
