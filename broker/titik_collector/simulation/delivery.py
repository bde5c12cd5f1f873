"""Brings a city's simulated weeks into its store: by its routers' spools, as backlog, newest first.

Rule: what the store has is not sent again, so a fleet that is started again goes on.
Rule: the next day of a router comes when the last one is stored and computed. So the present is
never behind more than one router's day, which takes a fraction of a second.
"""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from titik_collector.config.model import Config
from titik_collector.figures.scope import CITY_ID
from titik_collector.figures.windows import Calendar, Span
from titik_collector.limits import MAX_EVENTS
from titik_collector.registry.sync import sync
from titik_collector.simulation import weeks
from titik_collector.simulation.fleet import LeftSpool, Node
from titik_collector.simulation.weeks import Away, Piece, Weeks
from titik_collector.store import opening, outages, registry_rows, simulated, waiting_hours
from titik_collector.store.database import Database, StoreError
from titik_collector.store.rollups import ScopeId
from titik_collector.store.runs import Runs
from titik_wire import codec
from titik_wire.instant import HOUR_MS

LOOK_S = 0.2  # between two looks into the store
CITY = ScopeId("city", CITY_ID)


def begin(config: Config, routers: Sequence[str], days: int, now_ms: int) -> None:
    """Make the store of a city whose routers have been there since so many midnights ago.

    It has their outages, and that this time is simulated. StoreError if it cannot be made.
    """
    zone = config.city.timezone
    today = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)
    midnight = today.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    since = midnight - timedelta(days=days)
    span = Span(round(since.timestamp() * 1000), now_ms)
    there = tuple(one for one in config.router if one.name in routers)
    with opening.writing(config.store) as db:
        sync(db, replace(config, router=there), span.start_ms)  # they were registered then
        ids = registry_rows.routers(db)
        with db.transaction():
            simulated.keep(db, span)
            for one in weeks.outages(span, routers):
                outages.add(db, ids[one.router].id, one.from_ms, one.to_ms, one.cause)


class Delivery:
    """Puts the simulated weeks into the routers' spools, a router's day at a time."""

    def __init__(self, config: Config, nodes: Sequence[Node]) -> None:
        self._config = config
        self._nodes = {node.name: node for node in nodes}
        self._weeks: dict[str, Weeks] | None = None  # by router; None: the store was not read yet
        self._days: deque[Span] = deque()  # newest first
        self._next = 0.0

    @property
    def is_over(self) -> bool:
        """The store has all of it, or nothing is simulated."""
        return self._weeks is not None and not self._days

    def step(self) -> None:
        """A look into the store, and perhaps one router's day; some 50 ms at most."""
        if not self.is_over and time.monotonic() >= self._next:
            self._next = time.monotonic() + LOOK_S
            try:
                with opening.reading(self._config.store, self._config.file) as db:
                    self._look(db)
            except StoreError:  # the collector is starting, or logs why it cannot
                return

    def _holds(self, name: str, piece: Piece) -> bool:
        return piece.run in self._nodes[name].spool.held()

    def _leave(self, name: str, piece: Piece) -> None:
        assert self._weeks is not None
        spool = self._nodes[name].spool
        assert isinstance(spool, LeftSpool)
        for sample in self._weeks[name].samples(piece):
            spool.leave(sample.run, sample.first_seq, sample.seq, codec.encode(sample))
        self._nodes[name].connector.wake()

    def _look(self, db: Database) -> None:
        if self._weeks is None:
            self._plan(db)
        if not self._days or self._is_behind(db):
            return
        for day in [*self._days]:
            missing = self._missing(db, day)
            if not missing:
                self._days.remove(day)
            # Those of a router that is cut off wait for it, and the others go on.
            there = [one for one in missing if self._nodes[one[0]].connector.fileno() >= 0]
            if there:
                if not any(self._holds(*one) for one in there):
                    self._leave(*there[0])
                return

    def _plan(self, db: Database) -> None:
        self._weeks = {}
        span = simulated.span(db)
        if span is None:
            return
        config = self._config
        sites = {site.name: site for site in config.site}
        known = [
            Away(one.router, one.from_ms, one.to_ms, one.cause)
            for one in outages.since(db, span.start_ms, MAX_EVENTS)
            if one.to_ms is not None and one.to_ms < span.end_ms
        ]
        for router in config.router:
            if router.name in self._nodes:
                away = [one for one in known if one.router == router.name]
                self._weeks[router.name] = Weeks(
                    router.name, sites[router.site], config.city.timezone, span, away
                )
        self._days = deque(reversed([*Calendar(config.city.timezone).days(*span)]))

    def _is_behind(self, db: Database) -> bool:
        """Rollups of a day that is stored are not computed yet."""
        span = simulated.span(db)
        waiting = waiting_hours.pending(db, CITY)
        return span is not None and waiting is not None and waiting.start_ms < span.end_ms - HOUR_MS

    def _missing(self, db: Database, day: Span) -> list[tuple[str, Piece]]:
        """What the store lacks of a day."""
        assert self._weeks is not None
        ids, runs = registry_rows.routers(db), Runs(db)
        found = []
        for name, its in self._weeks.items():
            for piece in its.pieces:
                if name in ids and day.start_ms <= piece.span.start_ms < day.end_ms:
                    run = runs.look(ids[name].id, piece.run)
                    if run is None or not run.has(1, piece.seqs):
                        found.append((name, piece))
        return found
