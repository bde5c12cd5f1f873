"""Table `token` of the desk: programs and screens that look without a password."""

from typing import NamedTuple

from titik_collector.store.database import Database, insert
from titik_collector.store.desk_accounts import Role


class Token(NamedTuple):
    """The right of one program or screen."""

    name: str
    secret_hash: bytes
    role: Role
    added_ms: int


_COLUMNS = ", ".join(Token._fields)


def all_of(db: Database) -> list[Token]:
    """By name."""
    return [Token(*row) for row in db.execute(f"SELECT {_COLUMNS} FROM token ORDER BY name")]


def find(db: Database, secret_hash: bytes) -> Token | None:
    """None: there is none, or it was revoked."""
    row = db.execute(
        f"SELECT {_COLUMNS} FROM token WHERE secret_hash = ?", (secret_hash,)
    ).fetchone()
    return None if row is None else Token(*row)


def named(db: Database, name: str) -> Token | None:
    """As `find`."""
    row = db.execute(f"SELECT {_COLUMNS} FROM token WHERE name = ?", (name,)).fetchone()
    return None if row is None else Token(*row)


def add(db: Database, token: Token) -> None:
    """Part of the caller's transaction."""
    db.execute(insert("token", Token._fields), token)


def revoke(db: Database, name: str) -> None:
    """Part of the caller's transaction."""
    db.execute("DELETE FROM token WHERE name = ?", (name,))
