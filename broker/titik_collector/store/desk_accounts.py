"""Table `account` of the desk: who may look at the page, and do what."""

from typing import Literal, NamedTuple

from titik_collector.store.database import Database, insert

Role = Literal["viewer", "operator"]


class Account(NamedTuple):
    """One user of the page."""

    name: str
    password: str | None  # salted and hashed; None: comes through a proxy that names it
    role: Role
    language: str | None  # None: the browser's
    end_ms: int | None  # from then on it opens nothing; None: it does not end
    added_ms: int


_COLUMNS = ", ".join(Account._fields)
_CHANGED = ", ".join(f"{name} = ?" for name in Account._fields[1:])


def are_any(db: Database) -> bool:
    """Whether there is a user, ended or not."""
    return bool(db.execute("SELECT 1 FROM account LIMIT 1"))


def all_of(db: Database) -> list[Account]:
    """By name."""
    return [Account(*row) for row in db.execute(f"SELECT {_COLUMNS} FROM account ORDER BY name")]


def find(db: Database, name: str) -> Account | None:
    """None: there is no such user."""
    row = db.execute(f"SELECT {_COLUMNS} FROM account WHERE name = ?", (name,)).fetchone()
    return None if row is None else Account(*row)


def add(db: Database, account: Account) -> None:
    """Part of the caller's transaction."""
    db.execute(insert("account", Account._fields), account)


def change(db: Database, account: Account) -> None:
    """All of it but the name; part of the caller's transaction."""
    db.execute(f"UPDATE account SET {_CHANGED} WHERE name = ?", (*account[1:], account.name))


def remove(db: Database, name: str) -> None:
    """Part of the caller's transaction."""
    db.execute("DELETE FROM account WHERE name = ?", (name,))
