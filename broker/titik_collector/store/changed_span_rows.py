"""Which stretches of a router's time its rollups must be computed again for: the table `dirty`.

Rule: they are written with what changed, and crossed off with what was computed.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from titik_collector.figures.windows import Span
from titik_collector.store.database import Database
from titik_wire.instant import DAY_MS, MINUTE_MS


class ChangedSpan(NamedTuple):
    """A stretch of time, both ends included."""

    from_ms: int
    to_ms: int


def add(db: Database, spans: Iterable[tuple[int, ChangedSpan]]) -> None:
    """Write spans of routers down, until their rollups are computed."""
    _add(db, [(router_id, *span) for router_id, span in spans])


def bring_forward(db: Database, from_ms: int, to_ms: int) -> None:
    """Routers with spans that begin in this time have one in the minute before it, too."""
    db.execute(
        "INSERT INTO dirty (router_id, from_ms, to_ms)"
        " SELECT DISTINCT router_id, CAST(? AS BIGINT), CAST(? AS BIGINT) FROM dirty"
        " WHERE from_ms >= ? AND from_ms < ? ON CONFLICT DO NOTHING",
        (from_ms - MINUTE_MS, from_ms - 1, from_ms, to_ms),
    )


def due(db: Database, within: Span, after: int, limit: int) -> dict[int, list[ChangedSpan]]:
    """By router, the spans that begin within a time, at most `limit`, the oldest of each first.

    Routers with a greater id than `after` come first. Of the last one some may be left out.
    """
    found: dict[int, list[ChangedSpan]] = {}
    for side in (">", "<="):
        rows = db.execute(
            "SELECT router_id, from_ms, to_ms FROM dirty"
            f" WHERE from_ms >= ? AND from_ms < ? AND router_id {side} ?"
            " ORDER BY router_id, from_ms LIMIT ?",
            (*within, after, limit),
        )
        for router_id, *span in rows:
            found.setdefault(router_id, []).append(ChangedSpan(*span))
        limit -= len(rows)
        if limit <= 0:
            break
    return found


def earliest_known(db: Database, since: Mapping[int, int]) -> dict[int, int]:
    """From when on anything is, or has been, known of each router that is not before its time.

    A router is left out if nothing is known of it since then.
    """
    head, values = db.keyed(("id", "at_ms"), list(since.items()))
    rows = db.execute(
        f"{head} SELECT id, at_ms,"
        " (SELECT min(first_ms) FROM boot_time WHERE router_id = id AND last_ms >= at_ms),"
        " (SELECT min(start_ms) FROM rollup WHERE scope = 'router' AND scope_id = key.id"
        "  AND length = '1m' AND start_ms >= at_ms),"
        " (SELECT min(start_ms) FROM rollup WHERE scope = 'router' AND scope_id = key.id"
        f"  AND length = '1d' AND start_ms > at_ms - {2 * DAY_MS}) FROM key",
        values,
    )
    known = {router_id: [ms for ms in found if ms is not None] for router_id, _, *found in rows}
    return {one: max(since[one], min(found)) for one, found in known.items() if found}


def cross_off(db: Database, since_ms: int, ends: Mapping[int, int]) -> None:
    """What of each router lies before its time is computed; the rest of a span stays.

    So do spans that begin before `since_ms`.
    """
    head, values = db.keyed(("id", "end_ms"), list(ends.items()))
    rest = db.execute(
        f"{head} SELECT id, end_ms, max(to_ms) FROM key CROSS JOIN dirty"
        " WHERE router_id = id AND from_ms >= ? AND from_ms < end_ms AND to_ms >= end_ms"
        " GROUP BY id, end_ms",
        (*values, since_ms),
    )
    db.executemany(
        "DELETE FROM dirty WHERE router_id = ? AND from_ms < ? AND from_ms >= ?",
        [(*one, since_ms) for one in ends.items()],
    )
    _add(db, rest)


def _add(db: Database, rows: Iterable[tuple[int, ...]]) -> None:
    db.executemany(
        "INSERT INTO dirty (router_id, from_ms, to_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        rows,
    )
