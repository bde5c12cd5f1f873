"""When routers were away, and why. At most one outage of a router is open: it has no end yet."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from titik_collector.figures.scope import FOR_EVER_MS
from titik_collector.figures.windows import Span
from titik_collector.store.database import Database
from titik_collector.store.presence_rows import WENT_OFFLINE

# It is known when the router is back; that it reported a stop is known at once.
_CAUSE = "CASE WHEN to_ms IS NULL AND said = 'stopping' THEN 'agent stopped' ELSE cause END"


class Outage(NamedTuple):
    """One time that a router was away."""

    router: str
    from_ms: int
    to_ms: int | None  # None: it is not over
    cause: str
    evidence: str | None = None  # in words, where the cause needs more than itself


class EndedOutage(NamedTuple):
    """One that is over, of a router that came back in the same run."""

    id: int
    router_id: int
    router: str
    from_ms: int
    to_ms: int
    cause: str
    evidence: str | None


class OutageNow(NamedTuple):
    """One that goes on, or ended lately."""

    from_ms: int
    to_ms: int | None
    cause: str


def begin(db: Database, router_id: int, from_ms: int) -> None:
    """The router is away; nothing if an outage began then."""
    db.execute(
        "INSERT INTO outage (router_id, from_ms) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (router_id, from_ms),
    )


def end(db: Database, ends: Mapping[int, int]) -> None:
    """The open outage of each router is over at its time; its cause stays."""
    db.executemany(
        "UPDATE outage SET to_ms = ? WHERE router_id = ? AND to_ms IS NULL",
        [(to_ms, router_id) for router_id, to_ms in ends.items()],
    )


def explain(db: Database, router_id: int, to_ms: int, cause: str) -> bool:
    """The open outage is over, for this cause; False if none is open."""
    ended = db.execute(
        "UPDATE outage SET to_ms = ?, cause = ? WHERE router_id = ? AND to_ms IS NULL",
        (to_ms, cause, router_id),
    ).rowcount
    return bool(ended)


def add(db: Database, router_id: int, from_ms: int, to_ms: int, cause: str) -> None:
    """One that is noticed when it is over; nothing if an outage began then."""
    db.execute(
        "INSERT INTO outage (router_id, from_ms, to_ms, cause) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (router_id, from_ms, to_ms, cause),
    )


def withdraw(db: Database, router_id: int, since_ms: int) -> None:
    """Remove the open outage of a router whose state is what it is since then or later."""
    db.execute(
        "DELETE FROM outage WHERE router_id = ? AND to_ms IS NULL"
        " AND (SELECT since_ms FROM presence WHERE router_id = outage.router_id) >= ?",
        (router_id, since_ms),
    )


def withdraw_offline(db: Database, since_ms: int) -> None:
    """Remove the open outages of `presence.went_offline`."""
    db.execute(
        f"DELETE FROM outage WHERE to_ms IS NULL AND router_id IN ({WENT_OFFLINE})", (since_ms,)
    )


def blame_server(db: Database, outages: Iterable[int], evidence: str) -> None:
    """These, by id, were the server's fault."""
    db.executemany(
        "UPDATE outage SET cause = 'server', evidence = ? WHERE id = ?",
        [(evidence, one) for one in outages],
    )


def same_run_since(db: Database, since_ms: int) -> list[EndedOutage]:
    """Those that ended then or later in the same run, of registered routers, the oldest first."""
    rows = db.execute(
        "SELECT outage.id, router_id, name, from_ms, to_ms, cause, evidence FROM outage"
        " JOIN router ON router.id = router_id WHERE registered = 1 AND to_ms >= ?"
        " AND (cause = 'uplink lost' OR cause = 'server') ORDER BY from_ms",
        (since_ms,),
    )
    return [EndedOutage(*row) for row in rows]


def routers_there(db: Database, at_ms: int, heard_ms: int, gone_ms: int) -> int:
    """How many registered routers could have gone at a moment.

    They were heard since `heard_ms`, and no outage that began before `gone_ms` went on then.
    """
    (count,) = db.execute(
        "SELECT count(*) FROM router JOIN presence ON router_id = router.id"
        " WHERE registered = 1 AND heard_ms >= :heard AND NOT EXISTS (SELECT 1 FROM outage"
        "  WHERE outage.router_id = router.id AND from_ms < :gone"
        "  AND (to_ms IS NULL OR to_ms > :at))",
        {"at": at_ms, "heard": heard_ms, "gone": gone_ms},
    ).fetchone()
    return int(count)


def lately(db: Database, since_ms: int) -> dict[int, OutageNow]:
    """The newest of each router that goes on, or ended then or later."""
    rows = db.execute(
        f"SELECT outage.router_id, from_ms, to_ms, {_CAUSE} FROM outage"
        " LEFT JOIN presence ON presence.router_id = outage.router_id"
        " WHERE to_ms IS NULL OR to_ms >= ? ORDER BY from_ms",
        (since_ms,),
    )
    return {router_id: OutageNow(*rest) for router_id, *rest in rows}


def still_open(db: Database) -> dict[int, tuple[int, str]]:
    """Since when routers are away now, and why, by router."""
    rows = db.execute("SELECT router_id, from_ms, cause FROM outage WHERE to_ms IS NULL")
    return {router_id: (from_ms, cause) for router_id, from_ms, cause in rows}


def of_routers(db: Database, routers: Sequence[int], span: Span) -> Iterator[tuple[int, Outage]]:
    """Those of some routers that touch a stretch of time, with the router's number.

    Without those of the server. They come a few at a time, because a year of a city has many.
    """
    head, values = db.keyed(("one",), [(router_id,) for router_id in routers])
    for router_id, *outage in db.stream(
        f"{head} SELECT one, router.name, from_ms, to_ms, {_CAUSE}, evidence"
        " FROM key CROSS JOIN outage JOIN router ON router.id = outage.router_id"
        " LEFT JOIN presence ON presence.router_id = router.id"
        " WHERE outage.router_id = one AND cause != 'server'"
        " AND from_ms < ? AND (to_ms IS NULL OR to_ms > ?)",
        (*values, span.end_ms, span.start_ms),
    ):
        yield router_id, Outage(*outage)


class AwayTimes(NamedTuple):
    """Many stretches of time: all beginnings and all ends, each in any order."""

    starts: list[int]
    ends: list[int]


def away_in(db: Database, stays: Sequence[tuple[int, Span]]) -> AwayTimes:
    """What of outages lies in stays of routers, by the router's number; without the server's.

    The engine cuts them to size, because a year of a city has many.
    """
    head, values = db.keyed(
        ("one", "stay_from", "stay_to"), [(router_id, *span) for router_id, span in stays]
    )
    rows = db.execute(
        f"{head} SELECT CASE WHEN from_ms < stay_from THEN stay_from ELSE from_ms END,"
        " CASE WHEN to_ms IS NULL OR to_ms > stay_to THEN stay_to ELSE to_ms END"
        " FROM key CROSS JOIN outage WHERE router_id = one AND cause != 'server'"
        " AND from_ms < stay_to AND (to_ms IS NULL OR to_ms > stay_from)",
        values,
    ).fetchall()
    return AwayTimes([one[0] for one in rows], [one[1] for one in rows])


def first_ms(db: Database, routers: Sequence[int]) -> dict[int, int]:
    """When each of some routers was away first; nothing of one that never was."""
    head, values = db.keyed(("one",), [(router_id,) for router_id in routers])
    rows = db.execute(
        f"{head} SELECT one, (SELECT min(from_ms) FROM outage WHERE router_id = one) FROM key",
        values,
    )
    return {router_id: from_ms for router_id, from_ms in rows if from_ms is not None}


def since(db: Database, since_ms: int, limit: int, before_ms: int = FOR_EVER_MS) -> list[Outage]:
    """The newest that went on then or later, the oldest first, without those of the server.

    `before_ms`: those that began before.
    """
    rows = db.execute(
        f"SELECT router.name, from_ms, to_ms, {_CAUSE}, evidence FROM outage"
        " JOIN router ON router.id = outage.router_id"
        " LEFT JOIN presence ON presence.router_id = router.id"
        " WHERE cause != 'server' AND (from_ms >= ? OR to_ms IS NULL OR to_ms >= ?)"
        " AND from_ms < ? ORDER BY from_ms DESC LIMIT ?",
        (since_ms, since_ms, before_ms, limit),
    ).fetchall()
    return [Outage(*row) for row in reversed(rows)]
