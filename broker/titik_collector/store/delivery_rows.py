"""Table `delivery` of `titik notify`: each try to hand a message over, and what became of it."""

from typing import Literal, NamedTuple

from titik_collector.alerts.desk_facts import DeliveryTime
from titik_collector.store.database import Database, Value, insert

Outcome = Literal["delivered", "failed", "refused", "ended", "expired", "merged", "capped"]
# With all but `failed` nothing more is tried. refused: trying again is of no use; ended: tried for
# a day; expired: of before a restore; merged, capped: it is part of another message.
Box = Literal["store", "own"]


class DeliveryRow(NamedTuple):
    """One row."""

    box: Box
    message: int
    made_ms: int
    incident: int | None
    receiver: str
    at_ms: int
    outcome: Outcome
    detail: str | None = None


_COLUMNS = ", ".join(DeliveryRow._fields)


def add(db: Database, rows: list[DeliveryRow]) -> None:
    """Part of the caller's transaction."""
    db.executemany(insert("delivery", DeliveryRow._fields), rows)


def since(db: Database, at_ms: int) -> list[DeliveryRow]:
    """Those from then on, the oldest first."""
    return _read(db, "WHERE at_ms >= ? ORDER BY number", (at_ms,))


def newest(db: Database, limit: int, outcome: Outcome | None = None) -> list[DeliveryRow]:
    """At most so many, the oldest of them first."""
    if outcome is None:
        return _read(db, "ORDER BY number DESC LIMIT ?", (limit,))[::-1]
    where = "WHERE outcome = ? ORDER BY number DESC LIMIT ?"
    return _read(db, where, (outcome, limit))[::-1]


def of_incident(db: Database, incident: int, limit: int) -> list[DeliveryRow]:
    """The newest about it, at most so many, the oldest of them first."""
    return _read(db, "WHERE incident = ? ORDER BY number DESC LIMIT ?", (incident, limit))[::-1]


def first_of_incidents(db: Database, since_ms: int) -> list[DeliveryTime]:
    """When a message about an incident first reached anybody, of those since then."""
    rows = db.execute(
        "SELECT incident, min(at_ms) FROM delivery WHERE outcome = 'delivered'"
        " AND incident IS NOT NULL AND at_ms >= ? GROUP BY incident ORDER BY incident",
        (since_ms,),
    )
    return [DeliveryTime(int(incident), int(at_ms)) for incident, at_ms in rows]


class FailingReceiver(NamedTuple):
    """A receiver that got nothing since some tries failed."""

    receiver: str
    since_ms: int  # the first that failed
    tries: int
    is_refused: bool  # it does not want one of them, so that one is not tried again


def failing(db: Database, since_ms: int) -> list[FailingReceiver]:
    """Those whose last try failed, and was since then; by name."""
    rows = db.execute(
        "SELECT one.receiver, min(one.at_ms), count(*),"
        " max(CASE WHEN one.outcome = 'refused' AND one.at_ms >= ? THEN 1 ELSE 0 END)"
        " FROM delivery AS one LEFT JOIN (SELECT receiver, max(number) AS number FROM delivery"
        " WHERE outcome IN ('delivered', 'capped') GROUP BY receiver) AS arrived"
        " ON arrived.receiver = one.receiver"
        " WHERE one.outcome IN ('failed', 'refused') AND one.number > coalesce(arrived.number, 0)"
        " GROUP BY one.receiver HAVING max(one.at_ms) >= ? ORDER BY one.receiver",
        (since_ms, since_ms),
    )
    return [
        FailingReceiver(receiver, int(first_ms), int(tries), bool(is_refused))
        for receiver, first_ms, tries, is_refused in rows
    ]


def prune(db: Database, before_ms: int) -> None:
    """Part of the caller's transaction."""
    db.execute("DELETE FROM delivery WHERE at_ms < ?", (before_ms,))


def _read(db: Database, where: str, values: tuple[Value, ...]) -> list[DeliveryRow]:
    return [
        DeliveryRow(*row) for row in db.execute(f"SELECT {_COLUMNS} FROM delivery {where}", values)
    ]
