"""Table `boot_time`, rows alone: what `timeline.boot_times` decided of when a boot began."""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

from titik_collector.store.database import Database, upsert
from titik_wire.instant import HOUR_MS

Quality = Literal["ntp", "arrival", "bounded"]


class BootTime(NamedTuple):
    """By what the samples of a boot are placed, and where their figures may lie."""

    quality: Quality
    offset_ms: int | None  # instant minus uptime; None where each sample has its own
    arrival_ms: int | None  # smallest arrival minus uptime; None where it does not matter
    has: int  # what any of its samples has: bits of `sections`, and one for client time
    first_ms: int  # no figure of the boot is of a time before
    last_ms: int  # nor after

    def reaching(self, has: int, from_ms: int, to_ms: int) -> "BootTime":
        """The same, with samples that have this too, and figures in this span of time."""
        if has == self.has and from_ms >= self.first_ms and to_ms <= self.last_ms:
            return self
        # An hour in advance, so that a live router does not write this with each sample.
        last_ms = to_ms + HOUR_MS if to_ms > self.last_ms else self.last_ms
        return self._replace(has=has, first_ms=min(self.first_ms, from_ms), last_ms=last_ms)


class Boot(NamedTuple):
    """What the store knows of a boot."""

    online: bool  # the router was heard while it ran
    prompt_ms: int | None  # when it began, by samples that came as they were taken
    time: BootTime | None  # None: none of its samples was placed yet

    @property
    def is_bounded(self) -> bool:
        """It was placed as one that was not heard while it ran."""
        return self.time is not None and self.time.quality == "bounded"


def load(db: Database, boots: Sequence[int]) -> dict[int, Boot]:
    """Those of some boots that the store knows."""
    head, values = db.keyed(("one",), [(one,) for one in boots])
    rows = db.execute(
        f"{head} SELECT id, online, prompt_ms, quality, offset_ms, arrival_ms, has, first_ms,"
        " last_ms FROM key CROSS JOIN boot LEFT JOIN boot_time ON boot_id = id WHERE id = one",
        values,
    )
    return {
        boot_id: Boot(bool(online), prompt_ms, None if time[0] is None else BootTime(*time))
        for boot_id, online, prompt_ms, *time in rows
    }


def keep(db: Database, times: Iterable[tuple[int, int, BootTime]]) -> None:
    """Write down by what boots are placed now; each with its router."""
    db.executemany(
        upsert("boot_time", ("boot_id",), ("router_id", *BootTime._fields)),
        [(boot_id, router_id, *time) for boot_id, router_id, time in times],
    )


def bounded(db: Database, routers: Collection[int]) -> dict[int, int]:
    """The boots of routers that were not heard while they ran, and the router of each."""
    head, values = db.keyed(("one",), [(router_id,) for router_id in routers])
    rows = db.execute(
        f"{head} SELECT boot_id, router_id FROM key CROSS JOIN boot_time"
        " WHERE router_id = one AND quality = 'bounded'",
        values,
    )
    return {boot_id: router_id for boot_id, router_id in rows}


def forget_prompt_ms(db: Database, boots: Iterable[int]) -> None:
    """When these boots began is no longer known."""
    db.executemany("UPDATE boot SET prompt_ms = NULL WHERE id = ?", [(one,) for one in boots])
