"""Samples as received, within `store.messages_days`: for `now` after a start and server outages."""

from collections.abc import Callable
from typing import NamedTuple

from titik_collector.store import body
from titik_collector.store.database import Database
from titik_wire import codec, topics
from titik_wire.errors import WireError
from titik_wire.messages import Sample


class SampleKey(NamedTuple):
    """Which sample."""

    run_id: int
    seq: int


class Kept(NamedTuple):
    """A sample, and when it was taken."""

    sample: Sample
    at_ms: int


def decoded(router: str, packed: bytes) -> Sample | None:
    """None if the body is damaged, which `titik db check` reports."""
    try:
        message = codec.decode(topics.sample(router), body.unpack(packed))
    except (ValueError, WireError):
        return None
    return message if isinstance(message, Sample) else None


Decode = Callable[[str, bytes], Sample | None]  # `decoded`, which may remember what it gave


def two_newest(db: Database, router_id: int, router: str, decode: Decode = decoded) -> list[Kept]:
    """The two newest samples, the newest first: of the run that was heard last, if any."""
    rows = db.execute(
        # Two samples, whether their messages are kept still: else it looks for two that are.
        "SELECT packed, at_ms FROM (SELECT run_id, seq, at_ms FROM presence"
        "  JOIN run ON run.router_id = presence.router_id AND token = run"
        "  JOIN sample ON run_id = run.id WHERE presence.router_id = ?"
        "  ORDER BY seq DESC LIMIT 2) AS newest"
        " JOIN body USING (run_id, seq) ORDER BY seq DESC",
        (router_id,),
    ).fetchall()
    rows = (
        rows
        or db.execute(
            "SELECT packed, at_ms FROM (SELECT run_id, seq, at_ms FROM sample"
            "  WHERE router_id = ? ORDER BY at_ms DESC LIMIT 2) AS newest"
            " JOIN body USING (run_id, seq) ORDER BY at_ms DESC",
            (router_id,),
        ).fetchall()
    )
    samples = ((decode(router, packed), at_ms) for packed, at_ms in rows)
    return [Kept(sample, at_ms) for sample, at_ms in samples if sample is not None]


def last_until(db: Database, router_id: int, at_ms: int) -> SampleKey | None:
    """The router's newest sample that was taken then or before."""
    row = db.execute(
        "SELECT run_id, seq FROM sample WHERE router_id = ? AND at_ms <= ?"
        " ORDER BY at_ms DESC LIMIT 1",
        (router_id, at_ms),
    ).fetchone()
    return None if row is None else SampleKey(*row)


def between(
    db: Database, router_id: int, after_ms: int, before_ms: int, limit: int
) -> list[SampleKey]:
    """The router's samples of a time, the oldest first."""
    rows = db.execute(
        "SELECT run_id, seq FROM sample WHERE router_id = ? AND at_ms > ? AND at_ms < ?"
        " ORDER BY at_ms LIMIT ?",
        (router_id, after_ms, before_ms, limit),
    )
    return [SampleKey(*row) for row in rows]


def sample(db: Database, router: str, key: SampleKey) -> Sample | None:
    """None if its message is gone or damaged."""
    row = db.execute("SELECT packed FROM body WHERE run_id = ? AND seq = ?", key).fetchone()
    return None if row is None else decoded(router, row[0])
