"""Which runs were still in a router's spool when a later boot took samples.

So the boots of those runs ended before the later one began.
"""

from collections import defaultdict
from collections.abc import Mapping, Set

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


def follows_bounded(db: Database, boot_id: int, router_id: int) -> bool:
    """The boot followed another, and the router has boots whose time is only bounded."""
    (found,) = db.execute(
        "SELECT EXISTS (SELECT 1 FROM succession WHERE newer_boot_id = ?) AND EXISTS"
        " (SELECT 1 FROM boot_time WHERE router_id = ? AND quality = 'bounded')",
        (boot_id, router_id),
    ).fetchone()
    return bool(found)
