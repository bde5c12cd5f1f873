"""Until when the collector heard, pruned and sealed, and more: numbers of the whole store.

Rule: several numbers are one text, with spaces between them.
"""

from typing import Literal

from titik_collector.store.database import Database, upsert

Name = Literal[
    "alerts_looked_ms",  # when the rules were last looked at
    "discovery",  # 1: devices of Home Assistant were published once
    "collected_ms",  # when a collector first had the store
    "fault_from_ms",  # the newest time in which routers could not be judged; 0: none
    "fault_lately",  # of several: when some began, each with what fault_there_ms was then
    "fault_newest_ms",  # of several: when the newest began; 0: there was one
    "fault_there_ms",  # for how long the server was there between them
    "fault_times",  # how many
    "fault_until_ms",  # 0: it goes on
    "heard_until_ms",  # until when the collector heard its routers
    "minutes_days",  # how long they are kept where the configuration does not say it: see 0020
    "packed_before_ms",  # no minute that begins then or later is packed
    "pruned_before_ms",  # the latest seal that anything was pruned behind
    "samples_days",  # as minutes_days
    "sealed_before_ms",  # windows that begin before are never computed again
    "simulated_from_ms",  # from when to when the past is a demo's: see simulated.py
    "simulated_to_ms",
    "wishes_offered",  # 0: the broker's rights are of a version before there were wishes
    "tried_ms",  # when a store that had failed was last written to
]


def number(db: Database, name: Name) -> int | None:
    """None if it was never kept."""
    row = db.execute("SELECT CAST(value AS BIGINT) FROM setting WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def numbers(db: Database, name: Name) -> tuple[int, ...]:
    """None of them if they were never kept."""
    row = db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
    return () if row is None else tuple(int(one) for one in str(row[0]).split())


def keep(db: Database, name: Name, value: int) -> None:
    """Part of the caller's transaction; an equal value is written too."""
    db.execute(_KEEP, (name, str(value)))


def change(db: Database, name: Name, *values: int) -> None:
    """The same, but an equal value writes nothing: for what is kept again and again."""
    text = " ".join(map(str, values))
    db.execute(f"{_KEEP} WHERE setting.value != excluded.value", (name, text))


_KEEP = upsert("setting", ("name",), ("value",))
