"""Whether the minutes of a store count any second of a router twice."""

from collections import Counter

from titik_collector.store.database import Database


def assert_minutes_never_overlap(db: Database, slack_ms: int) -> None:
    """No second is counted twice: not in the minutes, and not from samples to minutes.

    But for those that a router lived twice, by its clock: what it observed in both is there.
    """
    twice = lived_twice(db)
    over = [
        row
        for row in db.execute(
            "SELECT scope_id, start_ms, covered_ms, observed_ms, up_ms FROM rollup"
            " WHERE scope = 'router' AND length = '1m'"
            " AND (covered_ms > 60000 OR observed_ms > 60000 OR up_ms > 60000)"
        )
        if max(row[2], row[4]) > 60_000 or row[3] > 60_000 + slack_ms + twice[row[0], row[1]]
    ]
    assert over == [], f"minutes with more than a minute in them: {over[:5]} of {len(over)}"
    for router_id, covered_ms in db.execute(
        "SELECT scope_id, sum(covered_ms) FROM rollup WHERE scope = 'router' AND length = '1m'"
        " GROUP BY scope_id"
    ).fetchall():
        (most_ms,) = db.execute(
            "SELECT max(at_ms) - min(at_ms - covers_ms) FROM sample WHERE router_id = ?",
            (router_id,),
        ).fetchone()
        assert covered_ms <= most_ms + slack_ms, f"{covered_ms} ms covered of {most_ms}"


def lived_twice(db: Database) -> Counter[tuple[int, int]]:
    """How much of each minute, by router and start, a clock that was set back named again.

    The time since the sample before began, by the uptime, before the stamp of that sample.
    """
    found: Counter[tuple[int, int]] = Counter()
    for router_id, from_ms, to_ms in db.execute(
        "SELECT router_id, from_ms, to_ms FROM (SELECT router_id, lag(at_ms) OVER boot AS to_ms,"
        "  at_ms - (uptime_ms - lag(uptime_ms) OVER boot) AS from_ms FROM sample"
        "  WINDOW boot AS (PARTITION BY boot_id ORDER BY uptime_ms, run_id, seq)) AS one"
        " WHERE from_ms < to_ms"
    ):
        for start_ms in range(from_ms // 60_000 * 60_000, to_ms, 60_000):
            length_ms = min(to_ms, start_ms + 60_000) - max(from_ms, start_ms)
            found[router_id, start_ms] += length_ms
    return found
