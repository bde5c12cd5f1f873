"""Orders boots without a clock: whose runs were still in a spool when a later boot took samples.

So the boots of those runs ended before the later one began.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence, Set

from titik_collector.store.database import Database


def note(db: Database, found: Sequence[tuple[int, int]]) -> set[int]:
    """Samples of newer boots named older runs; each by run and boot. Boots with what is new."""
    head, values = db.keyed(("run", "boot"), found)
    rows = db.execute(
        f"{head} INSERT INTO succession (older_run_id, newer_boot_id) SELECT run, boot FROM key"
        " WHERE true ON CONFLICT DO NOTHING RETURNING newer_boot_id",
        values,
    )
    return {boot_id for (boot_id,) in rows}


def newer_boots(db: Database, routers: Collection[int]) -> Mapping[int, Set[int]]:
    """The later boots of each boot of routers; empty for a boot that nothing followed."""
    newer: defaultdict[int, set[int]] = defaultdict(set)
    head, values = db.keyed(("one",), [(router_id,) for router_id in routers])
    for older_id, newer_id in db.execute(
        f"{head} SELECT run.boot_id, succession.newer_boot_id FROM key CROSS JOIN run"
        " CROSS JOIN succession WHERE run.router_id = one AND succession.older_run_id = run.id",
        values,
    ):
        newer[older_id].add(newer_id)
    return newer


def following_bounded(db: Database, boots: Sequence[tuple[int, int]]) -> set[int]:
    """Routers with a boot that followed another, and with boots whose time is only bounded.

    Asked by boot and router.
    """
    head, values = db.keyed(("boot", "router"), boots)
    rows = db.execute(
        f"{head} SELECT DISTINCT router FROM key"
        " WHERE EXISTS (SELECT 1 FROM succession WHERE newer_boot_id = boot) AND EXISTS"
        " (SELECT 1 FROM boot_time WHERE router_id = router AND quality = 'bounded')",
        values,
    )
    return {router_id for (router_id,) in rows}
