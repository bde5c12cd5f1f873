"""Clears what a removed router or site leaves at the broker: its retained messages."""

from collections.abc import Iterator

from titik_collector.broker_link.inbox import Outbox
from titik_collector.registry.sync import Changes, removed
from titik_collector.store import unknown_routers
from titik_collector.store.database import Database
from titik_wire import topics


def clear(db: Database, outbox: Outbox, now_ms: int) -> None:
    """An empty retained message takes each topic of what was removed off the broker."""
    unknown = unknown_routers.heard_since(db, now_ms - unknown_routers.LATELY_MS)
    for topic in _left_behind(removed(db), unknown):
        outbox.publish(topic, b"", retain=True)


def _left_behind(changes: Changes, unknown: frozenset[str]) -> Iterator[str]:
    """The status of an unknown router stays: it is needed if the router is added again."""
    for name in changes.removed:
        yield topics.sample(name)
        yield topics.ack(name)
        yield topics.settings(name)
        yield topics.certificate(name)
        yield topics.upgrade(name)
        yield topics.running(name)
        if name not in unknown:
            yield topics.status(name)
    for scope, names in (("router", changes.removed), ("site", changes.removed_sites)):
        for name in names:
            yield topics.now(scope, name)
            for window in ("1m", "1h", "1d"):
                yield topics.rollup(window, scope, name)
