"""Orders boots without a clock: whose runs were still in a spool when a later boot took samples.

So the boots of those runs ended before the later one began.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set

from titik_collector.store.database import Database


def note(db: Database, older_run_id: int, newer_boot_id: int) -> None:
    """A sample of the newer boot named the older run."""
    db.execute("INSERT OR IGNORE INTO succession VALUES (?, ?)", (older_run_id, newer_boot_id))


def newer_boots(db: Database, router_id: int) -> Mapping[int, Set[int]]:
    """The later boots of each boot of a router; empty for a boot that nothing followed."""
    newer: defaultdict[int, set[int]] = defaultdict(set)
    for older_id, newer_id in db.execute(
        "SELECT run.boot_id, succession.newer_boot_id FROM run"
        " JOIN succession ON succession.older_run_id = run.id WHERE run.router_id = ?",
        (router_id,),
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
