"""Tokens: programs and screens on a wall look with a secret that is shown once."""

from titik_collector.accounts import audit
from titik_collector.accounts.audit import Actor
from titik_collector.accounts.hashing import hash_secret, new_secret
from titik_collector.accounts.users import AccountError, check_name
from titik_collector.limits import MAX_TOKENS
from titik_collector.store import desk_tokens
from titik_collector.store.database import Database
from titik_collector.store.desk_accounts import Role
from titik_collector.store.desk_tokens import Token


def add(db: Database, name: str, role: Role, actor: Actor) -> str:
    """The secret; AccountError if the name is taken, or there are too many."""
    check_name(name)
    secret = new_secret()
    with db.transaction():
        if desk_tokens.named(db, name) is not None:
            raise AccountError(f"{name}: is a token already; titik web token revoke {name}")
        if len(desk_tokens.all_of(db)) >= MAX_TOKENS:
            raise AccountError(f"there are {MAX_TOKENS} tokens; revoke those that nobody uses")
        desk_tokens.add(db, Token(name, hash_secret(secret), role, actor.now_ms))
        audit.record(db, actor, "token added", f"{name} ({role})")
    return secret


def find(db: Database, secret: str) -> Token | None:
    """None: there is none, or it was revoked."""
    return desk_tokens.find(db, hash_secret(secret))


def revoke(db: Database, name: str, actor: Actor) -> None:
    """AccountError if there is none."""
    with db.transaction():
        if desk_tokens.named(db, name) is None:
            raise AccountError(f"{name}: there is no such token; titik web token list")
        desk_tokens.revoke(db, name)
        audit.record(db, actor, "token revoked", name)
