"""Table `boot_time`, rows alone: what `timeline.boot_times` decided of when a boot began."""

from collections.abc import Iterable, Sequence
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


class Boot(NamedTuple):
    """What the store knows of a boot."""

    online: bool  # the router was heard while it ran
    prompt_ms: int | None  # when it began, by samples that came as they were taken
    time: BootTime | None  # None: none of its samples was placed yet


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
    names = ("quality", "offset_ms", "arrival_ms", "has", "first_ms", "last_ms")
    db.executemany(
        f"INSERT INTO boot_time (boot_id, router_id, {', '.join(names)})"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (boot_id) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in names),
        [(boot_id, router_id, *time) for boot_id, router_id, time in times],
    )


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
