"""Table `posted_report` of the desk: the report of the last month, as it is mailed.

Rule: only what may still be mailed is kept, so it stays small. It is made again, so no copy of a
desk has it.
"""

from typing import NamedTuple

from titik_collector.store.database import Database, upsert


class PostedKey(NamedTuple):
    """Which one."""

    period: str
    revision: int  # 0: provisional
    language: str


class PostedRow(NamedTuple):
    """One row."""

    period: str
    revision: int
    language: str
    made_ms: int
    body: bytes
    pdf: bytes | None  # None: none could be made

    @property
    def key(self) -> PostedKey:
        """Which one it is."""
        return PostedKey(self.period, self.revision, self.language)


_COLUMNS = ", ".join(PostedRow._fields)
_PUT = upsert("posted_report", PostedKey._fields, ("made_ms", "body", "pdf"))


def keys(db: Database) -> list[tuple[PostedKey, int]]:
    """Which there are, and when each was made."""
    rows = db.execute(
        "SELECT period, revision, language, made_ms FROM posted_report"
        " ORDER BY period, revision, language"
    )
    return [(PostedKey(*row[:3]), int(row[3])) for row in rows]


def all_of(db: Database) -> list[PostedRow]:
    """The same, whole."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM posted_report ORDER BY period, revision, language")
    return [PostedRow._make((*row[:4], bytes(row[4]), _bytes(row[5]))) for row in rows]


def _bytes(value: bytes | memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)


def put(db: Database, row: PostedRow) -> None:
    """In place of one with its key; part of the caller's transaction."""
    db.execute(_PUT, row)


def remove(db: Database, key: PostedKey) -> None:
    """Part of the caller's transaction."""
    db.execute("DELETE FROM posted_report WHERE period = ? AND revision = ? AND language = ?", key)
