"""When the server could not hear its routers, or they could not reach it."""

from typing import Literal, NamedTuple

from titik_collector.store.database import Database, insert, upsert

What = Literal["broker", "store", "collector", "line"]


class ServerOutage(NamedTuple):
    """One such time; of what, and why in words."""

    from_ms: int
    to_ms: int
    what: What
    reason: str


def put(db: Database, one: ServerOutage) -> None:
    """Instead of one that began then."""
    db.execute(upsert("server_outage", ("from_ms",), ServerOutage._fields[1:]), one)


def put_line(db: Database, one: ServerOutage, together_ms: int) -> None:
    """An outage of the line, instead of those of the line that began at most so long apart."""
    db.execute(
        "DELETE FROM server_outage WHERE what = 'line' AND from_ms BETWEEN ? AND ?",
        (one.from_ms - together_ms, one.from_ms + together_ms),
    )
    db.execute(f"{insert('server_outage', ServerOutage._fields)} ON CONFLICT DO NOTHING", one)


def since(db: Database, since_ms: int, limit: int) -> list[ServerOutage]:
    """The newest that ended then or later, the newest first."""
    rows = db.execute(
        "SELECT from_ms, to_ms, what, reason FROM server_outage WHERE to_ms >= ?"
        " ORDER BY from_ms DESC LIMIT ?",
        (since_ms, limit),
    )
    return [ServerOutage(*row) for row in rows]
