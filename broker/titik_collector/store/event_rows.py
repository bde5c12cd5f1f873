"""Rows of `titik events`: routers registered and removed, and samples that are lost for good."""

from collections.abc import Sequence
from typing import NamedTuple

from titik_collector.store.database import Database


class Registration(NamedTuple):
    """When a router was registered last, and its site of that time."""

    at_ms: int
    router: str
    site: str | None


class Removal(NamedTuple):
    """When a router was removed, and the site that it was removed from."""

    at_ms: int
    router: str
    site: str | None


class LossyRun(NamedTuple):
    """A run with lost samples."""

    id: int
    upto: int  # no seq after this one is lost
    alive_ms: int  # its boot has no figures after this time
    router: str
    run: str
    lost: int  # samples


def registrations(db: Database, since_ms: int, limit: int) -> list[Registration]:
    """The newest first, each with the newest site from before it, else the first one after."""
    rows = db.execute(
        "WITH stay AS (SELECT router_id, from_ms, site.name FROM membership"
        " JOIN site ON site.id = site_id)"
        " SELECT registered_ms, name, coalesce("
        "(SELECT stay.name FROM stay WHERE router_id = router.id"
        " AND from_ms <= registered_ms ORDER BY from_ms DESC LIMIT 1),"
        "(SELECT stay.name FROM stay WHERE router_id = router.id ORDER BY from_ms LIMIT 1))"
        " FROM router WHERE registered_ms >= ? ORDER BY registered_ms DESC LIMIT ?",
        (since_ms, limit),
    )
    return [Registration(*row) for row in rows]


def removals(db: Database, since_ms: int, limit: int) -> list[Removal]:
    """The newest first."""
    rows = db.execute(
        "SELECT gone.from_ms, router.name,"
        " (SELECT site.name FROM membership AS stay JOIN site ON site.id = stay.site_id"
        "  WHERE stay.router_id = gone.router_id AND stay.from_ms < gone.from_ms"
        "  ORDER BY stay.from_ms DESC LIMIT 1)"
        " FROM membership AS gone JOIN router ON router.id = gone.router_id"
        " WHERE gone.site_id IS NULL AND gone.from_ms >= ? ORDER BY gone.from_ms DESC LIMIT ?",
        (since_ms, limit),
    )
    return [Removal(*row) for row in rows]


def lossy_runs(db: Database, since_ms: int, limit: int) -> list[LossyRun]:
    """Runs with lost samples that were alive then or later, the newest first."""
    rows = db.execute(
        "WITH alive AS (SELECT run.id, (SELECT max(bound) FROM (SELECT base AS bound"
        "  UNION ALL SELECT gone"
        "  UNION ALL SELECT CASE WHEN floor < highest THEN floor ELSE highest END"
        " ) AS bounds) AS upto, last_ms,"
        " name, token, base_stored + base_refused AS below FROM boot_time"
        " JOIN run ON run.router_id = boot_time.router_id AND run.boot_id = boot_time.boot_id"
        " JOIN router ON router.id = run.router_id WHERE last_ms >= ?),"
        " counted AS (SELECT id, upto, last_ms, name, token, upto - below - (SELECT"
        " CAST(coalesce(sum(CASE WHEN first_seq > upto THEN 0"
        "  WHEN last_seq < upto THEN last_seq - first_seq + 1"
        "  ELSE upto - first_seq + 1 END), 0) AS BIGINT)"
        " FROM settled WHERE run_id = alive.id) AS lost FROM alive)"
        " SELECT * FROM counted WHERE lost > 0 ORDER BY last_ms DESC LIMIT ?",
        (since_ms, limit),
    )
    return [LossyRun(*row) for row in rows]


def lost_of(db: Database, routers: Sequence[int]) -> dict[int, int]:
    """How many samples of some routers are lost for good, of all their runs."""
    head, values = db.keyed(("one",), [(router_id,) for router_id in routers])
    rows = db.execute(
        f"{head}, bounded AS (SELECT one, run.id, base_stored + base_refused AS below,"
        " (SELECT max(bound) FROM (SELECT base AS bound UNION ALL SELECT gone"
        "  UNION ALL SELECT CASE WHEN floor < highest THEN floor ELSE highest END) AS bounds)"
        " AS upto FROM key CROSS JOIN run WHERE run.router_id = one)"
        " SELECT one, CAST(sum(upto - below - (SELECT"
        "  coalesce(sum(CASE WHEN last_seq < upto THEN last_seq - first_seq + 1"
        "   ELSE upto - first_seq + 1 END), 0)"
        "  FROM settled WHERE run_id = bounded.id AND first_seq <= upto)) AS BIGINT)"
        " FROM bounded GROUP BY one",
        values,
    )
    return {router_id: lost for router_id, lost in rows}


def newest_lost(db: Database, run: LossyRun) -> int:
    """The highest seq up to the run's last one that is neither stored nor refused."""
    upto = run.upto
    for first, last in db.execute(
        "SELECT first_seq, last_seq FROM settled WHERE run_id = ? AND first_seq <= ?"
        " ORDER BY first_seq DESC",
        (run.id, upto),
    ):
        if last < upto:
            break
        upto = first - 1
    return upto


def taken_beside(db: Database, run: LossyRun, seq: int) -> int | None:
    """When the sample after this one was taken, or the run's last; None if none is kept."""
    row = db.execute(
        "SELECT at_ms FROM sample WHERE run_id = :run AND seq = coalesce("
        "(SELECT min(seq) FROM sample WHERE run_id = :run AND seq > :seq),"
        "(SELECT max(seq) FROM sample WHERE run_id = :run))",
        {"run": run.id, "seq": seq},
    ).fetchone()
    return None if row is None else int(row[0])
