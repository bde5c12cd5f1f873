"""Tables `rollout` and `rollout_router`: how far the newest upgrade of the city's routers is.

Rule: only the newest is kept. The collector alone writes it, so a restart goes on where it was.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from titik_collector.store import settings
from titik_collector.store.database import Database, insert, upsert

RolloutState = Literal["runs", "paused", "halted", "stopped", "over"]
Fate = Literal["upgraded", "refused", "rolled-back", "silent", "restarts", "unanswered"]


class RolloutRow(NamedTuple):
    """The upgrade as a whole; `halted`: by itself, `stopped`: by somebody."""

    number: int
    at_ms: int
    version: str
    state: RolloutState
    state_ms: int
    failed: int = 0  # routers, when it halted by itself
    accepted: int = 0  # of these, with which somebody let it go on
    resumes: int = 0  # how often that was, as far as the collector knows


class WaveRouter(NamedTuple):
    """A router in its wave, and what became of it."""

    router_id: int
    wave: int
    asked_ms: int | None = None  # None: not yet
    fate: Fate | None = None  # None: not known yet
    fate_ms: int | None = None
    reason: str | None = None  # of the router itself
    runs: int = 0  # that it had when it was asked
    restarts: int = 0  # of the hour before


_ROUTER = ", ".join(WaveRouter._fields)


def read(db: Database) -> RolloutRow | None:
    """None: there never was one."""
    row = db.execute(f"SELECT {', '.join(RolloutRow._fields)} FROM rollout").fetchone()
    return None if row is None else RolloutRow(*row)


def is_of_before(db: Database, at_ms: int) -> bool:
    """Whether an order of then is older than the store: another has what became of it."""
    began_ms = settings.number(db, "collected_ms")
    return began_ms is not None and at_ms < began_ms


def halted(db: Database) -> RolloutRow | None:
    """It halted by itself, and nobody let it go on yet."""
    found = read(db)
    return found if found is not None and found.state == "halted" else None


def routers(db: Database) -> list[WaveRouter]:
    """Those that are registered, wave by wave."""
    rows = db.execute(
        f"SELECT {_ROUTER} FROM rollout_router JOIN router ON router.id = router_id"
        " WHERE registered = 1 ORDER BY wave, name"
    )
    return [WaveRouter(*row) for row in rows]


def begin(db: Database, one: RolloutRow, waves: Iterable[WaveRouter]) -> None:
    """Instead of the one before; part of the caller's transaction."""
    db.execute("DELETE FROM rollout_router")
    db.execute("DELETE FROM rollout")
    db.execute(insert("rollout", RolloutRow._fields), one)
    db.executemany(insert("rollout_router", WaveRouter._fields), list(waves))


def write(db: Database, one: RolloutRow) -> None:
    """As it is now; part of the caller's transaction."""
    db.execute(upsert("rollout", RolloutRow._fields[:1], RolloutRow._fields[1:]), one)


def write_routers(db: Database, changed: Sequence[WaveRouter]) -> None:
    """As they are now; part of the caller's transaction."""
    sql = upsert("rollout_router", WaveRouter._fields[:1], WaveRouter._fields[1:])
    db.executemany(sql, changed)


def runs(db: Database, router_ids: Sequence[int]) -> dict[int, int]:
    """How many runs of their agents the store knows."""
    head, values = db.keyed(("one",), [(router_id,) for router_id in router_ids])
    rows = db.execute(
        f"{head} SELECT one, (SELECT count(*) FROM run WHERE router_id = one) FROM key", values
    )
    return dict(rows.fetchall())


def runs_since(db: Database, router_ids: Sequence[int], from_ms: int) -> dict[int, int]:
    """Of how many runs there are samples since then."""
    head, values = db.keyed(("one",), [(router_id,) for router_id in router_ids])
    rows = db.execute(
        f"{head} SELECT one, (SELECT count(DISTINCT run_id) FROM sample WHERE router_id = one"
        " AND at_ms >= ?) FROM key",
        (*values, from_ms),
    )
    return dict(rows.fetchall())
