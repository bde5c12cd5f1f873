"""Table `session` of the desk: who is logged in.

Rule: every change is part of the caller's transaction.
"""

from typing import NamedTuple

from titik_collector.store.database import Database, insert


class BrowserSession(NamedTuple):
    """A login in one browser."""

    secret_hash: bytes
    account: str
    begun_ms: int
    seen_ms: int


_COLUMNS = ", ".join(BrowserSession._fields)


def begin(db: Database, session: BrowserSession) -> None:
    """Somebody logged in."""
    db.execute(insert("session", BrowserSession._fields), session)


def find(db: Database, secret_hash: bytes) -> BrowserSession | None:
    """Its row, over or not; None: there is none."""
    row = db.execute(
        f"SELECT {_COLUMNS} FROM session WHERE secret_hash = ?", (secret_hash,)
    ).fetchone()
    return None if row is None else BrowserSession(*row)


def see(db: Database, secret_hash: bytes, now_ms: int) -> None:
    """A request came with it."""
    db.execute("UPDATE session SET seen_ms = ? WHERE secret_hash = ?", (now_ms, secret_hash))


def end(db: Database, secret_hash: bytes) -> None:
    """Somebody logged out."""
    db.execute("DELETE FROM session WHERE secret_hash = ?", (secret_hash,))


def end_all_of(db: Database, account: str) -> int:
    """Those of one user; how many there were."""
    return db.execute("DELETE FROM session WHERE account = ?", (account,)).rowcount


def end_older(db: Database, seen_ms: int, begun_ms: int) -> None:
    """Those that were last seen, or began, before then."""
    db.execute("DELETE FROM session WHERE seen_ms < ? OR begun_ms < ?", (seen_ms, begun_ms))


def end_all_but(db: Database, account: str, newest: int) -> None:
    """Of one user the newest stay."""
    db.execute(
        "DELETE FROM session WHERE account = ? AND secret_hash NOT IN (SELECT secret_hash"
        " FROM session WHERE account = ? ORDER BY begun_ms DESC, secret_hash LIMIT ?)",
        (account, account, newest),
    )
