"""A change to a boot, after which its times are looked at again; data."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Change:
    """A row of `sample` that was stored or removed in this transaction."""

    router_id: int
    boot_id: int
    run_id: int
    seq: int
    uptime_ms: int
    # judged: no row changed, but the boot's clock may be worth more or less than before;
    # restamped: this row arrived at another time
    kind: Literal["stored", "removed", "judged", "restamped"]
    at_ms: int | None  # where a removed row was
    reach_ms: int = 0  # of a removed row the larger of its covers_ms and observed_ms
