"""From when to when a router had no access."""

from collections.abc import Iterator
from typing import NamedTuple

from titik_collector.figures.scope import FOR_EVER_MS
from titik_collector.figures.windows import Span
from titik_collector.store.database import Database, upsert


class Revocation(NamedTuple):
    """One time without access."""

    router: str
    from_ms: int
    to_ms: int | None  # None: it has none now


def revoked(db: Database) -> frozenset[int]:
    """Routers that have no access now."""
    rows = db.execute("SELECT router_id FROM revocation WHERE to_ms IS NULL")
    return frozenset(router_id for (router_id,) in rows)


def since(db: Database, since_ms: int, limit: int) -> list[Revocation]:
    """The newest that began or ended then or later, the newest first."""
    rows = db.execute(
        "SELECT name, from_ms, to_ms FROM revocation JOIN router ON router.id = router_id"
        " WHERE from_ms >= :since OR to_ms >= :since ORDER BY from_ms DESC LIMIT :most",
        {"since": since_ms, "most": limit},
    )
    return [Revocation(*row) for row in rows]


def spans(db: Database) -> Iterator[tuple[int, Span]]:
    """Each time without access, with the router's number."""
    for router_id, *span in db.execute(
        "SELECT router_id, from_ms, coalesce(to_ms, ?) FROM revocation", (FOR_EVER_MS,)
    ):
        yield router_id, Span(*span)


def is_open(db: Database, router_id: int) -> bool:
    """The router has no access now."""
    found = db.execute(
        "SELECT 1 FROM revocation WHERE router_id = ? AND to_ms IS NULL", (router_id,)
    ).fetchone()
    return found is not None


def begin(db: Database, router_id: int, from_ms: int) -> None:
    """The router has no access from then on."""
    db.execute(
        upsert("revocation", ("router_id", "from_ms"), ("to_ms",)), (router_id, from_ms, None)
    )


def end(db: Database, router_id: int, to_ms: int) -> None:
    """The router has access again."""
    db.execute(
        "UPDATE revocation SET to_ms = ? WHERE router_id = ? AND to_ms IS NULL", (to_ms, router_id)
    )
