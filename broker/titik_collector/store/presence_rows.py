"""What is known of each router's presence, and the last connection of its runs that are over."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from titik_collector.store.database import Database, upsert

_NAMES = (
    *("router_id", "state", "said", "since_ms", "run", "connection", "boot"),
    *("version", "model", "firmware", "heard_ms"),
)


class PresenceRow(NamedTuple):
    """What is known of one router; `reported` is the last state that it published itself."""

    state: str = "unknown"
    reported: str = "unknown"
    since_ms: int = 0
    run: str | None = None
    connection: int | None = None
    boot: str | None = None
    version: str | None = None
    model: str | None = None
    firmware: str | None = None
    heard_ms: int | None = None

    @property
    def was_heard(self) -> bool:
        """Whether it ever came; who never did is away, whatever the state says."""
        return self.run is not None or self.heard_ms is not None


class KnownRun(NamedTuple):
    """A run of a router, seen from another run of it."""

    id: int
    connection: int | None  # its last one, if it is over
    was_heard: bool  # before the other run was


def read(db: Database, routers: Collection[int]) -> dict[int, PresenceRow]:
    """Those of some routers; none of one that was never heard."""
    head, values = db.keyed(("one",), [(router_id,) for router_id in routers])
    names = ", ".join(_NAMES)
    rows = db.execute(
        f"{head} SELECT {names} FROM key CROSS JOIN presence WHERE router_id = one", values
    )
    return {router_id: PresenceRow(*row) for router_id, *row in rows}


def write(db: Database, rows: Mapping[int, PresenceRow]) -> None:
    """By router, instead of what was known before."""
    db.executemany(
        upsert("presence", _NAMES[:1], _NAMES[1:]),
        [(router_id, *one) for router_id, one in rows.items()],
    )


def hear(db: Database, heard: Mapping[int, int]) -> None:
    """When each router was heard last; nothing else of it changed."""
    db.executemany(
        "UPDATE presence SET heard_ms = ? WHERE router_id = ?",
        [(at_ms, router_id) for router_id, at_ms in heard.items()],
    )


def reachable(db: Database) -> frozenset[str]:
    """The names of registered routers that were heard, and are not offline."""
    sql = (
        "SELECT name FROM presence JOIN router ON router.id = router_id"
        " WHERE registered = 1 AND state <> 'offline'"
    )
    return frozenset(name for (name,) in db.execute(sql))


def versions(db: Database) -> dict[str, str]:
    """The agent's version of each registered router that reported one, by name."""
    sql = (
        "SELECT name, version FROM presence JOIN router ON router.id = router_id"
        " WHERE registered = 1 AND version IS NOT NULL"
    )
    return dict(db.execute(sql).fetchall())


def remove(db: Database, router_id: int) -> None:
    """Nothing is known of the router now."""
    db.execute("DELETE FROM presence WHERE router_id = ?", (router_id,))


# Whose last word is `offline`, and came then or later.
WENT_OFFLINE = (
    "SELECT router_id FROM presence WHERE state = 'offline' AND said = 'offline' AND since_ms >= ?"
)


def went_offline(db: Database, since_ms: int) -> list[int]:
    """Routers whose last word is `offline`, and came then or later."""
    return [router_id for (router_id,) in db.execute(WENT_OFFLINE, (since_ms,))]


def last_heard_ms(db: Database) -> int | None:
    """When any router was last heard."""
    (heard_ms,) = db.execute("SELECT max(heard_ms) FROM presence").fetchone()
    return None if heard_ms is None else int(heard_ms)


def known_run(db: Database, router_id: int, run_name: str, other: str) -> KnownRun | None:
    """A run, and whether it was heard before the other run; None if the store has no such run."""
    row = db.execute(
        # Of this batch its first sample is stored already, and its row is the newer one.
        "SELECT id, connection, EXISTS (SELECT 1 FROM settled WHERE run_id = run.id) AND id <"
        " (SELECT id FROM run WHERE router_id = :router AND token = :other)"
        " FROM run WHERE router_id = :router AND token = :token",
        {"router": router_id, "token": run_name, "other": other},
    ).fetchone()
    return None if row is None else KnownRun(row[0], row[1], bool(row[2]))


def end_run(db: Database, run_id: int, connection: int) -> None:
    """A run is over since this connection of it."""
    db.execute("UPDATE run SET connection = ? WHERE id = ?", (connection, run_id))


def end_run_of(db: Database, router_id: int, run_name: str | None, connection: int) -> None:
    """A run is over since this connection of it, or a later one that is known."""
    db.execute(
        "UPDATE run SET connection = :connection WHERE router_id = :router AND token = :token"
        " AND coalesce(connection, 0) <= :connection",
        {"connection": connection, "router": router_id, "token": run_name},
    )
