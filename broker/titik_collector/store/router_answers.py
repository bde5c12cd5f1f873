"""Table `router_answer`: what each router was asked last, and what it answered.

Rule: a later question takes the place of the one before, with its answer.
"""

from typing import Final, Literal, NamedTuple

from titik_collector.store.database import Database, Row, upsert
from titik_wire import codec, topics
from titik_wire.fleet_messages import RouterReply

# There is no answer: the router is not there; it does not answer; the broker's rights are older.
Why = Literal["offline", "silent", "not offered"]
_KEY: Final = ("router_id",)
_VALUES: Final = ("question", "sent_ms", "ended_ms", "why", "body")


class AnswerRow(NamedTuple):
    """A question that the collector took, and what became of it."""

    router_id: int
    router: str
    question: str  # its id
    sent_ms: int
    ended_ms: int | None  # None: the answer is awaited
    why: Why | None
    reply: RouterReply | None


def begin(db: Database, router_id: int, question: str, now_ms: int, why: Why | None = None) -> None:
    """The question was sent, or cannot be; part of the caller's transaction."""
    ended_ms = None if why is None else now_ms
    values = (router_id, question, now_ms, ended_ms, why, None)
    db.execute(upsert("router_answer", _KEY, _VALUES), values)


def end(db: Database, router_id: int, question: str, now_ms: int, found: RouterReply | Why) -> None:
    """It was answered, or given up; of another question nothing is kept."""
    why, body = (
        (None, codec.encode(found).decode()) if isinstance(found, RouterReply) else (found, None)
    )
    db.execute(
        "UPDATE router_answer SET ended_ms = ?, why = ?, body = ?"
        " WHERE router_id = ? AND question = ? AND ended_ms IS NULL",
        (now_ms, why, body, router_id, question),
    )


def of_router(db: Database, router: str) -> AnswerRow | None:
    """None: it is not registered, or the collector was never asked to ask it."""
    row = db.execute(f"{_READ} AND router.name = ?", (router,)).fetchone()
    return None if row is None else _row(row)


def awaited(db: Database) -> list[AnswerRow]:
    """Of registered routers."""
    return [_row(row) for row in db.execute(f"{_READ} AND ended_ms IS NULL ORDER BY router.name")]


def ended(db: Database) -> frozenset[str]:
    """The ids of questions that are over."""
    sql = "SELECT question FROM router_answer WHERE ended_ms IS NOT NULL"
    return frozenset(question for (question,) in db.execute(sql))


def forget(db: Database, router_id: int) -> None:
    """The router was removed; part of the caller's transaction."""
    db.execute("DELETE FROM router_answer WHERE router_id = ?", (router_id,))


def _row(row: Row) -> AnswerRow:
    router_id, router, question, sent_ms, ended_ms, why, body = row
    reply = None if body is None else codec.decode(topics.answer(router), body.encode())
    assert reply is None or isinstance(reply, RouterReply)
    return AnswerRow(router_id, router, question, sent_ms, ended_ms, why, reply)


_READ = (
    "SELECT router_id, router.name, question, sent_ms, ended_ms, why, body FROM router_answer"
    " JOIN router ON router.id = router_id WHERE registered = 1"
)
