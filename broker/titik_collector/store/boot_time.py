"""Table `boot_time`: by what each boot's samples are placed in time, and when it began."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from titik_collector.store.database import Database

Quality = Literal["ntp", "arrival", "bounded"]


class BootTime(NamedTuple):
    """By what the samples of a boot are placed, and where their figures may lie."""

    quality: Quality
    offset_ms: int | None  # instant minus uptime; None where each sample has its own
    arrival_ms: int | None  # smallest arrival minus uptime; None where it does not matter
    has: int  # what any of its samples has: bits of `sections`, and one for client time
    first_ms: int  # no figure of the boot is of a time before
    last_ms: int  # nor after


class Extent(NamedTuple):
    """Where a boot's figures may lie, and what its samples have."""

    router_id: int
    first_ms: int
    last_ms: int
    has: int


class Boot(NamedTuple):
    """What the store knows of a boot."""

    online: bool  # the router was heard while it ran
    prompt_ms: int | None  # when it began, by samples that came as they were taken
    time: BootTime | None  # None: none of its samples was placed yet


def load(db: Database, boot_id: int) -> Boot | None:
    """The boot; None if the store does not know it."""
    row = db.execute(
        "SELECT online, prompt_ms, quality, offset_ms, arrival_ms, has, first_ms, last_ms"
        " FROM boot LEFT JOIN boot_time ON boot_id = id WHERE id = ?",
        (boot_id,),
    ).fetchone()
    if row is None:
        return None
    online, prompt_ms, *time = row
    return Boot(bool(online), prompt_ms, None if time[0] is None else BootTime(*time))


def keep(db: Database, boot_id: int, router_id: int, time: BootTime) -> None:
    """Write down by what the boot is placed now."""
    db.execute(
        "INSERT OR REPLACE INTO boot_time (boot_id, router_id, quality, offset_ms, arrival_ms,"
        " has, first_ms, last_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (boot_id, router_id, *time),
    )


def extent(db: Database, boot_id: int) -> Extent | None:
    """Where to look for the boot's samples; None if none of them was placed yet."""
    row = db.execute(
        "SELECT router_id, first_ms, last_ms, has FROM boot_time WHERE boot_id = ?", (boot_id,)
    ).fetchone()
    return None if row is None else Extent(*row)


def is_bounded(db: Database, boot_id: int) -> bool:
    """The boot was placed as one that nobody heard while it ran."""
    found = db.execute(
        "SELECT 1 FROM boot_time WHERE boot_id = ? AND quality = 'bounded'", (boot_id,)
    ).fetchone()
    return found is not None


def bounded(db: Database, router_id: int) -> list[int]:
    """The boots of a router that nobody heard while they ran."""
    rows = db.execute(
        "SELECT boot_id FROM boot_time WHERE router_id = ? AND quality = 'bounded'", (router_id,)
    ).fetchall()
    return [boot_id for (boot_id,) in rows]


def prompt_ms(db: Database, boot_id: int) -> int | None:
    """When the boot began, by samples that came as they were taken; None: not known."""
    row = db.execute("SELECT prompt_ms FROM boot WHERE id = ?", (boot_id,)).fetchone()
    return None if row is None else row[0]


def keep_prompt_ms(db: Database, boot_id: int, began_ms: int) -> None:
    """Write down when the boot began."""
    db.execute("UPDATE boot SET prompt_ms = ? WHERE id = ?", (began_ms, boot_id))


def forget_prompt_ms(db: Database, boots: Iterable[int]) -> None:
    """When these boots began is not known any more."""
    db.executemany("UPDATE boot SET prompt_ms = NULL WHERE id = ?", [(one,) for one in boots])
