"""What the collector itself sees happen, in the words of `titik events`."""

from collections.abc import Iterator

from titik_collector.outputs.output import Event
from titik_collector.registry.registry import Registry
from titik_collector.registry.sync import Changes
from titik_collector.store.server_outages import ServerOutage
from titik_collector.wording import when

SERVER = "server"  # the name of what no router did
_WHAT = {
    "broker": "no broker",
    "store": "nothing was stored",
    "collector": "no collector",
    "line": "routers could not reach the server",
}


def of_server(one: ServerOutage) -> Event:
    """A time in which the collector could not hear, or routers not reach the server."""
    text = f"{when.length(one.to_ms - one.from_ms)}, {_WHAT[one.what]}"
    why = f"{one.reason}; routers are unknown meanwhile, and have no outage"
    return Event(one.from_ms, "server", SERVER, text, why)


def of_registry(changes: Changes, known: Registry, now_ms: int) -> Iterator[Event]:
    """Routers that were registered or removed."""
    for name in changes.added:
        router = known.router(name)
        site = None if router is None else router.site
        yield Event(now_ms, "registered", name, f"at {site}" if site else "at no site")
    for name in changes.removed:
        yield Event(now_ms, "removed", name, "")
