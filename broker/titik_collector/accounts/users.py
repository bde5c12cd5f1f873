"""Users of the page: add, change, remove, and what they may be called.

Rule: whoever gets another password or role, or is removed, is logged out everywhere.
"""

import re

from titik_collector.accounts import audit
from titik_collector.accounts.audit import Actor
from titik_collector.limits import MAX_ACCOUNTS, MAX_PASSWORD
from titik_collector.store import desk_accounts, desk_sessions
from titik_collector.store.database import Database
from titik_collector.store.desk_accounts import Account
from titik_collector.wording.mendable import Mendable

MIN_PASSWORD = 10  # characters
# An address of mail fits, since that is what a proxy often names.
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
NAME = "a name of 1 to 64 characters: a-z, 0-9 and . _ @ + -, such as budi"


class AccountError(Mendable):
    """Of a user, a password or a token."""


def check_name(name: str) -> None:
    """AccountError if no user or token may be called so."""
    if not _NAME.fullmatch(name):
        raise AccountError(f"{name}: cannot be the name; allowed: {NAME}")


def check_password(password: str) -> None:
    """AccountError if it is too short, or longer than anybody types."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise AccountError(f"the password has to have {MIN_PASSWORD} to {MAX_PASSWORD} characters")


def add(db: Database, account: Account, actor: Actor) -> None:
    """AccountError if there is one of the name, or too many."""
    check_name(account.name)
    with db.transaction():
        if desk_accounts.find(db, account.name) is not None:
            raise AccountError(f"{account.name}: is a user already; titik web user change")
        if len(desk_accounts.all_of(db)) >= MAX_ACCOUNTS:
            raise AccountError(f"there are {MAX_ACCOUNTS} users; remove those that have ended")
        desk_accounts.add(db, account)
        audit.record(db, actor, "user added", f"{account.name} ({account.role})")


def change(db: Database, account: Account, actor: Actor) -> None:
    """Write what is different now; who may do less, or has another password, logs in again."""
    with db.transaction():
        before = find(db, account.name)
        desk_accounts.change(db, account)
        if (before.password, before.role) != (account.password, account.role):
            desk_sessions.end_all_of(db, account.name)
        changed = [
            name for name in Account._fields if getattr(before, name) != getattr(account, name)
        ]
        what = ", ".join(changed).replace("end_ms", "until")
        audit.record(db, actor, "user changed", f"{account.name} ({what})")


def remove(db: Database, name: str, actor: Actor) -> None:
    """AccountError if there is none."""
    with db.transaction():
        find(db, name)
        desk_accounts.remove(db, name)
        desk_sessions.end_all_of(db, name)
        audit.record(db, actor, "user removed", name)


def find(db: Database, name: str) -> Account:
    """AccountError if there is none."""
    account = desk_accounts.find(db, name)
    if account is None:
        raise AccountError(f"{name}: there is no such user; titik web user list")
    return account


def is_open(account: Account, now_ms: int) -> bool:
    """Whether its end has not come."""
    return account.end_ms is None or now_ms < account.end_ms
