"""What `titik status` reads once for all routers."""

from collections.abc import Iterator
from typing import NamedTuple

from titik_collector.store.database import Database


class Coverage(NamedTuple):
    """How much of a stretch of time the samples of a router cover."""

    router_id: int
    registered_ms: int
    covered_ms: int


class RunTerms(NamedTuple):
    """The samples of one run of a router: taken = stored + refused + lost + in the spool."""

    router: str
    taken: int
    stored: int
    refused: int
    lost: int
    in_spool: int


class Tally(NamedTuple):
    """How many messages were not stored, for one reason."""

    reason: str
    messages: int


def coverage(db: Database, from_ms: int, to_ms: int) -> list[Coverage]:
    """Of routers that have any minute from and to before a time."""
    rows = db.execute(
        "SELECT router.id, router.registered_ms, CAST(sum(covered_ms) AS BIGINT) FROM router"
        " JOIN rollup ON rollup.scope = 'router' AND rollup.scope_id = router.id"
        " WHERE length = '1m' AND start_ms >= ? AND start_ms < ? GROUP BY router.id",
        (from_ms, to_ms),
    )
    return [Coverage(*row) for row in rows]


def clocks_behind_ms(db: Database) -> dict[int, int]:
    """How far the clocks of routers are behind whose newest sample's time is not believed."""
    return dict(
        db.execute(
            "SELECT id, behind_ms FROM (SELECT id, (SELECT at_ms - claim_ms FROM sample"
            "  WHERE router_id = router.id ORDER BY at_ms DESC LIMIT 1) AS behind_ms FROM router)"
            " AS newest WHERE behind_ms IS NOT NULL"
        ).fetchall()
    )


def terms(db: Database) -> Iterator[RunTerms]:
    """Of every run. Not summed by SQLite, whose sums end at 2**63: a run may claim 2**53 seqs."""
    rows = db.execute("SELECT router, taken, stored, refused, lost, in_spool FROM v_conservation")
    return (RunTerms(*row) for row in rows)


def tallies(db: Database) -> list[Tally]:
    """Those above zero, by reason."""
    rows = db.execute("SELECT name, value FROM tally WHERE value > 0 ORDER BY name")
    return [Tally(*row) for row in rows]
