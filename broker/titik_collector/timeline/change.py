"""A change to a boot, after which its times are looked at again; data."""

from typing import Literal, NamedTuple

from titik_collector.store.boot_samples import SampleRow


class Change(NamedTuple):
    """A row of `sample` that was stored or removed in this transaction."""

    router_id: int
    boot_id: int
    run_id: int
    seq: int
    uptime_ms: int
    # judged: no row changed, but the boot's clock may be worth more or less than before;
    # restamped: this row arrived at another time
    kind: Literal["stored", "removed", "judged", "restamped"]
    at_ms: int | None = None  # where a removed row was
    reach_ms: int = 0  # of a removed row the larger of its covers_ms and observed_ms
    row: SampleRow | None = None  # of a row that was stored just now


def of_boot(router_id: int, boot_id: int, kind: Literal["stored", "judged"]) -> Change:
    """No row changed, but what is known of the boot."""
    return Change(router_id, boot_id, 0, 0, 0, kind)
