"""Which store this is: an id for life, and an epoch that rises each time a collector opens it.

The status publishes both. So two collectors at one broker recognize each other, and a store from a
backup recognizes that it is not the newest.
"""

import os
from dataclasses import dataclass
from typing import NamedTuple

from titik_collector.store.database import Database, upsert

ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Identity:
    """The store as this collector opened it."""

    store: str
    epoch: int
    moved: bool = (
        False  # the store is not where it was at the epoch before: copied, restored or new
    )


def opened(db: Database) -> Identity:
    """Raise the epoch of a store that is open for writing; StoreError if it cannot be written."""
    place = db.place()
    with db.transaction():
        known: dict[str, str] = dict(
            db.execute(
                "SELECT name, value FROM setting WHERE name IN ('store', 'epoch', 'place')"
            ).fetchall()
        )
        store = known.get("store") or os.urandom(ID_BYTES).hex()
        epoch = int(known.get("epoch", 0)) + 1
        _write(db, store=store, epoch=str(epoch), place=place)
    return Identity(store, epoch, known.get("place") != place)


class KnownStore(NamedTuple):
    """What a store says of itself, as its collector last opened it."""

    store: str
    epoch: int
    place: str  # where it was then; `db.place()` differs of a copy that no collector has opened


def known(db: Database) -> KnownStore | None:
    """None: no collector has opened it yet."""
    rows = db.execute("SELECT name, value FROM setting WHERE name IN ('store', 'epoch', 'place')")
    found: dict[str, str] = dict(rows.fetchall())
    if len(found) < 3:
        return None
    return KnownStore(found["store"], int(found["epoch"]), found["place"])


def is_empty(db: Database) -> bool:
    """Whether it never heard a router, so that nothing is lost with it."""
    return not db.execute("SELECT 1 FROM run LIMIT 1")


def begin(db: Database) -> None:
    """An operator begins a new store on purpose, though the city has had another."""
    with db.transaction():
        _write(db, begun="1")


def is_begun(db: Database) -> bool:
    """Whether it holds what routers reported, or was begun on purpose."""
    on_purpose = db.execute("SELECT 1 FROM setting WHERE name = 'begun'")
    return bool(on_purpose) or not is_empty(db)


def raise_above(db: Database, own: Identity, epoch: int) -> Identity:
    """An epoch above one that was published by a later state of this store."""
    if epoch < own.epoch:
        return own
    with db.transaction():
        _write(db, epoch=str(epoch + 1))
    return Identity(own.store, epoch + 1, own.moved)


def _write(db: Database, **settings: str) -> None:
    db.executemany(upsert("setting", ("name",), ("value",)), settings.items())
