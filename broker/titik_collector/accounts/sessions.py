"""Logins in browsers: begun with a password, ended by the user, by time or by the operator.

Rule: a session has the secret that we drew; one that came with a request is never taken over.
"""

import contextlib

from titik_collector.accounts import audit
from titik_collector.accounts.audit import Actor
from titik_collector.accounts.hashing import hash_secret, new_secret
from titik_collector.accounts.users import is_open
from titik_collector.limits import MAX_SESSIONS
from titik_collector.store import desk_accounts, desk_sessions
from titik_collector.store.database import Database, StoreError
from titik_collector.store.desk_accounts import Account
from titik_collector.store.desk_sessions import BrowserSession
from titik_wire.instant import DAY_MS

IDLE_MS = DAY_MS // 2
LONGEST_MS = 30 * DAY_MS
SEEN_MS = 5 * 60 * 1000  # a look is written down no more often


def begin(db: Database, account: Account, before: str | None, actor: Actor) -> str:
    """The new session's secret; `before` is the browser's old one, which ends."""
    secret, now_ms = new_secret(), actor.now_ms
    with db.transaction():
        if before is not None:
            desk_sessions.end(db, hash_secret(before))
        desk_sessions.begin(db, BrowserSession(hash_secret(secret), account.name, now_ms, now_ms))
        desk_sessions.end_all_but(db, account.name, MAX_SESSIONS)
        audit.record(db, actor, "logged in", account.name)
    return secret


def find(db: Database, secret: str, now_ms: int) -> Account | None:
    """Whose session it is; None if it is over, or never was."""
    session = desk_sessions.find(db, hash_secret(secret))
    if session is None or is_over(session, now_ms):
        return None
    account = desk_accounts.find(db, session.account)
    if account is None or not is_open(account, now_ms):
        return None
    if now_ms - session.seen_ms > SEEN_MS:
        # On a full disk people look all the more; the session ends sooner, and that is all.
        with contextlib.suppress(StoreError), db.transaction():
            desk_sessions.see(db, session.secret_hash, now_ms)
    return account


def is_over(session: BrowserSession, now_ms: int) -> bool:
    """Idle for too long, or too old."""
    return now_ms - session.seen_ms >= IDLE_MS or now_ms - session.begun_ms >= LONGEST_MS


def end(db: Database, secret: str, actor: Actor) -> None:
    """Log out; nothing if it is over."""
    with db.transaction():
        session = desk_sessions.find(db, hash_secret(secret))
        if session is not None:
            desk_sessions.end(db, session.secret_hash)
            audit.record(db, actor, "logged out", session.account)
