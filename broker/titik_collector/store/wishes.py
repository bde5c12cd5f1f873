"""What the city wishes of its routers, and what each reported last of what it made of it.

Rule: a revision rises when the content changes, and at no other time. It never falls: not when a
wish is withdrawn, nor when its router is removed, nor where a backup was brought back.
Rule: the collector alone writes these, as part of the caller's transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from titik_collector.limits import MAX_KNOWN_WISHES, MAX_REVISION
from titik_collector.store import settings
from titik_collector.store.database import Database, upsert
from titik_wire import codec, topics
from titik_wire.city_messages import Message
from titik_wire.fleet_messages import (
    Outcome,
    RouterCertificate,
    RouterSettings,
    RouterUpgrade,
    Running,
)

Kind = Literal["settings", "certificate", "upgrade"]
Wished = RouterSettings | RouterCertificate | RouterUpgrade
KINDS: Final[tuple[Kind, ...]] = ("settings", "certificate", "upgrade")
FIRST = 1  # revision


class Wish(NamedTuple):
    """A wish of one kind for one router; `body` None: it was withdrawn."""

    router_id: int
    router: str
    kind: Kind
    revision: int
    body: str | None
    since_ms: int

    @property
    def topic(self) -> str:
        """Where it is retained."""
        return topic(self.router, self.kind)

    @property
    def message(self) -> Wished | None:
        """What is wished, with its revision; None: nothing."""
        if self.body is None:
            return None
        message = _decoded(self.topic, self.body)
        assert isinstance(message, Wished)
        return replace(message, revision=self.revision)


class RouterRunning(NamedTuple):
    """What a registered router reported last."""

    router_id: int
    router: str
    running: Running
    arrived_ms: int


def topic(router: str, kind: Kind) -> str:
    """Where wishes of a kind are retained for a router."""
    if kind == "settings":
        return topics.settings(router)
    return topics.certificate(router) if kind == "certificate" else topics.upgrade(router)


def kind_of(wished: Wished) -> Kind:
    """What a message is about."""
    if isinstance(wished, RouterSettings):
        return "settings"
    return "certificate" if isinstance(wished, RouterCertificate) else "upgrade"


def wish(db: Database, router_id: int, wished: Wished, now_ms: int) -> bool:
    """Wish this, whatever revision the message has; True if it is another wish than before."""
    return bool(db.execute(_WISH, _values(router_id, wished, now_ms)).rowcount)


def wish_all(db: Database, wished: Iterable[tuple[int, Wished]], now_ms: int) -> None:
    """The same of many routers."""
    db.executemany(_WISH, [_values(router_id, one, now_ms) for router_id, one in wished])


def _values(router_id: int, wished: Wished, now_ms: int) -> tuple[int, Kind, int, str, int]:
    return router_id, kind_of(wished), FIRST, body_of(wished), now_ms


def body_of(wished: Wished) -> str:
    """As the store has it, whatever its revision."""
    return codec.encode(replace(wished, revision=FIRST)).decode()


def withdraw(db: Database, router_id: int, kind: Kind, now_ms: int) -> bool:
    """Wish it no longer; True if it was wished."""
    row = db.execute(
        "UPDATE router_wish SET body = NULL, since_ms = ?"
        " WHERE router_id = ? AND kind = ? AND body IS NOT NULL",
        (now_ms, router_id, kind),
    )
    return bool(row.rowcount)


def forget(db: Database, router_id: int, now_ms: int) -> None:
    """The router was removed: nothing is wished of it, and what it reported is of no use."""
    for kind in KINDS:
        withdraw(db, router_id, kind, now_ms)
    db.execute("DELETE FROM router_running WHERE router_id = ?", (router_id,))


def all_of(db: Database, kind: Kind) -> list[Wish]:
    """Of registered routers, by name; those that were withdrawn too."""
    return [Wish(*row) for row in db.execute(f"{_READ} AND kind = ? ORDER BY router.name", (kind,))]


def of_routers(db: Database, router_ids: Sequence[int]) -> list[Wish]:
    """All kinds, of those that are registered; what was withdrawn too."""
    if not router_ids:
        return []
    some = f"router_id IN ({', '.join('?' * len(router_ids))})"
    rows = db.execute(f"{_READ} AND {some} ORDER BY router.name, kind", tuple(router_ids))
    return [Wish(*row) for row in rows]


def routers(db: Database) -> list[int]:
    """Registered routers that ever had a wish."""
    rows = db.execute(
        "SELECT DISTINCT router_id FROM router_wish JOIN router ON router.id = router_id"
        " WHERE registered = 1 ORDER BY router_id"
    )
    return [router_id for (router_id,) in rows]


def hear(db: Database, router_id: int, running: Running, now_ms: int) -> bool:
    """Keep what a router reports; True if one of its wishes is another one for that.

    A router that knows a higher revision than the store heard of a state of the store that is lost.
    Settings without a key are withdrawn once the router has its own again.
    """
    body = codec.encode(running).decode()
    if not db.execute(_HEAR, (router_id, body, now_ms)).rowcount:
        return False
    changed = False
    for kind in KINDS:
        outcome: Outcome | None = getattr(running, kind)
        if outcome is not None and outcome.revision < MAX_REVISION:
            values = (router_id, kind, outcome.revision + 1, None, now_ms)
            changed |= bool(db.execute(_RAISE, (*values, outcome.revision)).rowcount)
    return _end_empty(db, router_id, running, now_ms) or changed


def _end_empty(db: Database, router_id: int, running: Running, now_ms: int) -> bool:
    if running.settings is None or running.settings.state != "applied":
        return False
    for one in of_routers(db, [router_id]):
        empty = RouterSettings(one.router, one.revision)
        if one.revision == running.settings.revision and one.message == empty:
            return withdraw(db, router_id, "settings", now_ms)
    return False


def are_offered(db: Database) -> bool:
    """Whether the broker's rights let them through, as far as the collector knows."""
    return settings.number(db, "wishes_offered") != 0


def running(db: Database, router_id: int) -> RouterRunning | None:
    """What one router reported last; None: nothing, so its agent may be older."""
    rows = db.execute(f"{_RUNNING} AND router_id = ?", (router_id,)).fetchall()
    return _running(*rows[0]) if rows else None


def all_running(db: Database) -> list[RouterRunning]:
    """What registered routers reported, by name."""
    return [_running(*row) for row in db.execute(f"{_RUNNING} ORDER BY router.name").fetchall()]


def _running(router_id: int, router: str, body: str, arrived_ms: int) -> RouterRunning:
    message = _decoded(topics.running(router), body)
    assert isinstance(message, Running)
    return RouterRunning(router_id, router, message, arrived_ms)


@lru_cache(MAX_KNOWN_WISHES)
def _decoded(topic: str, body: str) -> Message:
    """The page asks for all of them every few seconds."""
    return codec.decode(topic, body.encode())


_READ = (
    "SELECT router_id, router.name, kind, revision, body, since_ms FROM router_wish"
    " JOIN router ON router.id = router_id WHERE registered = 1"
)
_RUNNING = (
    "SELECT router_id, router.name, body, arrived_ms FROM router_running"
    " JOIN router ON router.id = router_id WHERE registered = 1"
)
_PUT = (
    "INSERT INTO router_wish (router_id, kind, revision, body, since_ms) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (router_id, kind) DO UPDATE SET"
)
_WISH = (
    f"{_PUT} revision = router_wish.revision + 1, body = excluded.body,"
    " since_ms = excluded.since_ms"
    " WHERE router_wish.body IS NULL OR router_wish.body <> excluded.body"
)
_RAISE = f"{_PUT} revision = excluded.revision WHERE router_wish.revision < ?"
_HEAR = (
    upsert("router_running", ("router_id",), ("body", "arrived_ms"))
    + " WHERE router_running.body <> excluded.body"
)
