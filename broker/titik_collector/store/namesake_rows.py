"""Table `namesake`: times in which two devices used one router's name."""

from typing import NamedTuple

from titik_collector.store.database import Database


class Namesake(NamedTuple):
    """A time in which two devices used a name."""

    router: str
    from_ms: int
    last_ms: int
    times: int


def note(db: Database, router_id: int, now_ms: int, apart_ms: int) -> None:
    """The devices changed once more; it is another event `apart_ms` after the last change."""
    noted = db.execute(
        "UPDATE namesake SET last_ms = CASE WHEN last_ms > :now THEN last_ms ELSE :now END,"
        " times = times + 1 WHERE router_id = :router AND last_ms >= :since",
        {"now": now_ms, "router": router_id, "since": now_ms - apart_ms},
    ).rowcount
    if not noted:
        db.execute(
            "INSERT INTO namesake (router_id, from_ms, last_ms, times) VALUES (?, ?, ?, 1)"
            " ON CONFLICT DO NOTHING",
            (router_id, now_ms, now_ms),
        )


def since(db: Database, at_ms: int) -> list[Namesake]:
    """All that lasted until then or later, the oldest first."""
    rows = db.execute(
        "SELECT router.name, from_ms, last_ms, times FROM namesake"
        " JOIN router ON router.id = router_id WHERE last_ms >= ? ORDER BY from_ms",
        (at_ms,),
    )
    return [Namesake(*row) for row in rows]
