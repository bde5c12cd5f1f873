"""Which collector writes a store on PostgreSQL, and which stand by, as sessions of the server.

Rule: nothing is written for it: what a session says of itself ends with the session.
Rule: whoever stands by has a shared lock of the server, so that it stands by one schema alone.
"""

import os
import platform
import re
import time
from typing import Literal, NamedTuple

from titik_collector.limits import MAX_SESSION_NAME
from titik_collector.store.database import Database

_NAME = re.compile(r"titik (?:collector|standby) (\d+) (\d+) (.*)")
_SCHEMA = "hashtext(current_schema()) & 2147483647"
_LOCKS = f"""
pg_locks AS one WHERE one.locktype = 'advisory' AND one.objsubid = 2 AND one.classid = 29801
  AND one.objid = CAST({_SCHEMA} AS OID)
  AND one.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_STANDS = f"SELECT EXISTS (SELECT 1 FROM {_LOCKS} AND one.pid = pg_backend_pid())"
_STAND = f"SELECT pg_advisory_lock_shared(29801, {_SCHEMA})"
_STANDING = f"""
SELECT application_name FROM pg_stat_activity
WHERE pid IN (SELECT one.pid FROM {_LOCKS}) ORDER BY application_name
"""
_HOLDING = """
SELECT application_name FROM pg_stat_activity
WHERE pid = (SELECT backend FROM lease WHERE until >= clock_timestamp())
"""


class CollectorSession(NamedTuple):
    """A collector, and since when it does what it does."""

    process: int
    machine: str
    since_ms: int


class StoreCollectors(NamedTuple):
    """Of one store."""

    holder: CollectorSession | None
    standbys: tuple[CollectorSession, ...]


NOBODY = StoreCollectors(None, ())


def session_name(does: Literal["collector", "standby"]) -> str:
    """What a session of this process says of itself, from now on."""
    text = f"titik {does} {int(time.time())} {os.getpid()} {platform.node()}"
    return text.encode("ascii", "replace").decode()[:MAX_SESSION_NAME]


def stand(db: Database) -> None:
    """This session is of one that stands by; once more where it is another session."""
    if not db.execute(_STANDS)[0][0]:
        db.execute(_STAND)


def read(db: Database) -> StoreCollectors:
    """Those that the server has a session of."""
    holders = _named(db.execute(_HOLDING))
    return StoreCollectors(holders[0] if holders else None, _named(db.execute(_STANDING)))


def _named(rows: list[tuple[str]]) -> tuple[CollectorSession, ...]:
    found = [match.groups() for (text,) in rows if (match := _NAME.fullmatch(text or ""))]
    return tuple(
        CollectorSession(int(pid), node, int(since_s) * 1000) for since_s, pid, node in found
    )
