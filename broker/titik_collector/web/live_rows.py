"""What a stream carries: figures of subjects in columns, whole or only those that changed.

Rule: a subject is `city/NAME`, `site/NAME` or `router/NAME`, as elements of a page name it.
Rule: what is not known is null.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from titik_collector.config.model import Config
from titik_collector.queries.status import CityStatus, Line, RouterStatus
from titik_collector.web import alert_view
from titik_collector.web.city_view import CityView, Snapshot
from titik_collector.web.places import Place, places, router_state

COLUMNS = (
    "state", "clients", "active", "wifi_down_bps", "wifi_up_bps", "uplink_down_bps",
    "uplink_up_bps", "coverage", "at", "routers_online", "routers_known", "since", "cause",
)  # fmt: skip
Row = tuple[Any, ...]
SITES = "sites"  # the city and its sites, which the first page shows


@dataclass(frozen=True, slots=True)
class LiveRows:
    """The subjects that a page asked for, at one moment."""

    number: int  # of the snapshot
    at_ms: int
    rows: dict[str, Row]


def rows(config: Config, snapshot: Snapshot, of: str) -> LiveRows:
    """`of`: `sites`, or `site/NAME` with its routers, or `router/NAME`; else none."""
    found = dict(_subjects(config, snapshot.status, of))
    if not snapshot.is_true_now:
        found = {subject: ("unknown", *row[1:]) for subject, row in found.items()}
    return LiveRows(snapshot.number, snapshot.at_ms, found)


def _subjects(config: Config, city: CityStatus, of: str) -> Iterator[tuple[str, Row]]:
    if of == SITES:
        now = city.line.now
        yield f"city/{now.name}", _row(now.state, city.line, None, None)
    wanted = city.sites if of == SITES else [one for one in city.sites if of == f"site/{one.name}"]
    for place in places(config, wanted):
        yield f"site/{place.name}", of_place(place)
    for router in city.routers():
        if of in (f"site/{router.site}", f"router/{router.name}"):
            yield f"router/{router.name}", of_router(router)


def of_place(place: Place) -> Row:
    """In the order of COLUMNS."""
    return _row(place.state, place.site.line, place.since_ms, place.cause)


def of_router(router: RouterStatus) -> Row:
    """In the order of COLUMNS."""
    return _row(router_state(router), router.line, router.since_ms or None, router.cause)


def _row(state: str, line: Line, since_ms: int | None, cause: str | None) -> Row:
    now = line.now
    coverage = None if line.coverage is None else round(line.coverage, 3)
    at_ms = None if now.clients is None and now.wifi_down_bps is None else now.at
    return (
        state, now.clients, now.active, now.wifi_down_bps, now.wifi_up_bps, now.uplink_down_bps,
        now.uplink_up_bps, coverage, at_ms, now.routers_online, now.routers_known, since_ms, cause,
    )  # fmt: skip


def whole(new: LiveRows) -> bytes:
    """The message that a page begins with, and begins again with."""
    return _message(new, new.rows)


def changes(old: LiveRows, new: LiveRows) -> bytes | None:
    """What leads from one to the other; None: other subjects are there, so begin again."""
    if old.rows.keys() != new.rows.keys():
        return None
    return _message(new, {one: row for one, row in new.rows.items() if row != old.rows[one]})


def _message(new: LiveRows, changed: dict[str, Row]) -> bytes:
    columns = zip(*changed.values(), strict=True) if changed else [()] * len(COLUMNS)
    named = dict(zip(COLUMNS, columns, strict=True))
    return msgspec.json.encode({"number": new.number, "subjects": list(changed), **named})


def health(city: CityView) -> dict[str, Any]:
    """What time it is for the city, whether what is known of it is true now, and what is wrong."""
    seen = city.snapshot
    return {
        "at": city.now_ms,
        "seen": seen.at_ms,
        "blind": not seen.is_true_now,
        "alerts": seen.incidents_open,
        "incidents": alert_view.version(city),
    }


def event(kind: str, data: bytes, number: int | None = None) -> bytes:
    """As an EventSource reads it."""
    head = b"" if number is None else f"id: {number}\n".encode()
    return head + f"event: {kind}\ndata: ".encode() + data + b"\n\n"
