"""`titik collect`: the collector's one thread, and what it does in which order.

Rule: samples first. Presence, `now`, rollups, news and pruning fill the time between batches, in
steps short enough that a waiting message is not late.
Rule: while the store fails the connection stays, the status says `offline`, and nothing is
acknowledged. At most one more batch is read.
"""

import logging
import sqlite3
import time
from collections import deque

from titik_collector.broker_link import retained
from titik_collector.broker_link.connection import Link
from titik_collector.config.model import Config
from titik_collector.figures.scope import CITY_ID, Scope
from titik_collector.figures.windows import Calendar
from titik_collector.ingest import waiting
from titik_collector.ingest.batch import Store
from titik_collector.ingest.caps import Caps
from titik_collector.ingest.ingest import MAX_BATCH, Ingest
from titik_collector.ingest.saved import Saved
from titik_collector.live import rollup_topics
from titik_collector.live.hearing import LEAST_MS, Hearing
from titik_collector.live.now import LiveState
from titik_collector.live.presence import Presence
from titik_collector.live.self_report import SelfReport
from titik_collector.live.server_cause import ServerCause
from titik_collector.own_state import collector_state
from titik_collector.own_state.collector_state import StateFile
from titik_collector.registry import registry
from titik_collector.registry.registry import Changes, ConfigWatch, Registry
from titik_collector.rollups.restate import Restate
from titik_collector.rollups.worker import Rollups
from titik_collector.store import identity, retention, unknown_routers
from titik_collector.store.database import Database, StoreError, transaction
from titik_collector.timeline import restamp, server_clock
from titik_collector.timeline.places import MAX_BEHIND_MS
from titik_collector.timeline.server_clock import Jump, ServerClock
from titik_mqtt.endpoint import Endpoint
from titik_mqtt.failures import LinkDown
from titik_wire import __version__, codec, topics
from titik_wire.errors import WireError
from titik_wire.messages import Message, Now

log = logging.getLogger(__name__)

IDLE_S = 0.2  # how long to wait for a message when there is nothing else to do
RETRY_S = 1.0  # between tries of a store that fails
ROLLUP_SLICE_S = 0.05
RESTATE_SLICE_S = 0.01  # of some 0.2 s: an hour for the past of a city, and nobody waits for it
FINISH_S = 2.0  # for rollups when it ends; the rest is done at the next start
BUSY_SLICE_S = 0.002  # while messages come: what waits is late by a step of this, or by one stretch
NOW_EVERY_S = 0.2  # sums over sites and the city; a router's own `now` goes out at once
PRESENCE_EVERY_S = 5.0
NEWS_EVERY_S = 2.0
PRUNE_EVERY_S = 1.0
CLOCK_EVERY_S = 1.0  # it looks at a witness for each router
REGISTRY_EVERY_S = 2.0
HOLD_S = 60.0  # that sums are waited for: one router that never ends to send keeps back nobody
MAX_NAMED = 20  # routers in the log; `titik db check` has the sum
TOLD_AGAIN = 50  # places, of three windows each: some 40 ms

DAYS_AHEAD = 4  # starts of the city's day that are published; the contract's most

Place = tuple[Scope, int, str]  # and its id and name


class Collector:
    """Everything `titik collect` does; `turn` is one round of it."""

    def __init__(
        self,
        config: Config,
        db: Database,
        login: Endpoint,
        clock: ServerClock | None = None,
        reading: Endpoint | None = None,
    ) -> None:
        """`reading`: a door at which a second client of ours may read; None: nobody looks."""
        self._config = config
        self._db = db
        self._clock = clock or server_clock.of(db)
        self._now_ms = now_ms = self._clock.now_ms
        self._wrong_clocks: set[int] = set()  # routers whose NTP clock is not our time
        self._jumps: list[Jump] = []  # after which stamps were not moved yet
        self._watch = ConfigWatch(config.file)
        self._reading = reading
        self._unread: str | None = None  # why the broker could not be read before connecting
        waiting.place(db)
        registry.sync(db, config, now_ms())
        self._registry = Registry(db, config.city.name)
        self._presence = Presence(db)
        caps = Caps(config.store.max_samples_per_hour, config.store.max_runs_per_hour)
        self._store = Store(db, self._registry, caps, (self._presence,))
        self._live = LiveState(db, self._presence, self._registry)
        self._calendar = Calendar(config.city.timezone)
        self._rollups = Rollups(db, config.city.timezone, now_ms)
        self._restate = Restate(db)
        files = collector_state.places(
            config.collector.state, config.collector.id, config.store.path
        )
        self._report = SelfReport(
            config.collector.id,
            __version__,
            StateFile(files),
            self._behind_ms,
            now_ms,
            identity.opened(db, config.store.path),
            self._day_starts,
        )
        self._link = Link(
            login,
            config.collector.id,
            self._report.will,
            self._connected,
            self._lost,
            self._look,
            self._resume,
        )
        self._ingest = Ingest(self._link, self._link, self._store, now_ms)
        self._due: dict[str, float] = {}
        self._stale: set[int] = set()  # routers whose site and city sums are to be told
        self._all_stale = True  # and those of sites that have no router any more
        self._greeting = False  # the broker is new to us: it gets all that it keeps
        self._hearing = Hearing(db, self._presence, now_ms)
        self._server_cause = ServerCause(db, now_ms, time.monotonic)
        self._store_proved = True  # in this turn: what the broker sends can be saved
        self._unsynced: Config | None = None  # read, and not in the store yet
        self._unheard = False  # routers were added whose last status came before
        self._unsaid: set[str] = set()  # topics of messages that break the contract
        self._untold: deque[Place] = deque()  # whose newest windows this connection did not get
        self._more_news = False
        self._rollups_waiting = True
        self._whole_at = time.monotonic()  # when sums were last of all their routers
        self._live.load()

    def turn(self) -> None:
        """One batch, then one step of whatever is due."""
        try:
            if not self._report.storing:
                self._try_store()
            self._resume()
            if self._jumps:  # the store failed: what comes now has the right stamp already
                self._move_stamps()
            saved = self._ingest.step(self._patience_s())
            if saved is not None:
                self._report.stored()
                self._show(saved)
            self._settle_time(saved)
            self._between(saved)
        except (StoreError, sqlite3.Error) as error:  # the latter from outside a transaction
            self._store_failed(error)
        else:
            self._store_works()
            if self._link.connected:
                self._hearing.heard(self._heard_ms())
        self._report_self()

    def close(self) -> None:
        """Publish `offline`; the broker keeps what arrives. Then finish what was begun."""
        self._report.close(self._link)
        self._link.close()
        try:
            self._finish()
        except (StoreError, sqlite3.Error) as error:
            log.warning("store fails, rollups are computed at the next start reason=%s", error)

    def abandon(self) -> None:
        """End without a word: the broker is another collector's."""
        self._report.withdraw()

    def _finish(self) -> None:
        """So that a store without a collector shows what it holds."""
        self._rollups.finish(FINISH_S, time.monotonic)

    def _patience_s(self) -> float:
        """How long to wait for a message."""
        return 0.0 if self._rollups_waiting else IDLE_S

    def _between(self, saved: Saved | None) -> None:
        self._greet()
        self._reload()
        self._hear_added()
        self._tick_presence()
        self._tell_now()
        if self._is_due("prune", PRUNE_EVERY_S):
            self._prune()
        # Before news, so that it knows of what this batch changed.
        rollups_s = ROLLUP_SLICE_S if saved is None else BUSY_SLICE_S
        self._rollups_waiting = self._rollups.work(rollups_s, time.monotonic)
        if self._is_due("news", NEWS_EVERY_S) or (self._more_news and saved is None):
            self._tell_news()
        if saved is None and self._link.connected and self._is_whole():
            self._tell_again()
        if saved is None and not self._rollups_waiting:
            self._restate.work(RESTATE_SLICE_S, time.monotonic)
        if self._server_cause.due(time.monotonic()):
            self._server_cause.step(RESTATE_SLICE_S if saved is None else BUSY_SLICE_S)

    def _show(self, saved: Saved) -> None:
        if saved.malformed:
            log.warning("malformed messages, their beginning is kept count=%d", saved.malformed)
        for router_id, arrived in saved.fresh:
            prompt = router_id in saved.prompt
            self._live.show(router_id, arrived.sample, arrived.arrived_ms, prompt)
            self._stale.add(router_id)

    def _day_starts(self) -> tuple[int, ...]:
        """When the city's day began, and the next three."""
        return self._calendar.day_starts(self._now_ms(), DAYS_AHEAD)

    def _settle_time(self, saved: Saved | None) -> None:
        """Hear what routers say of the time, and go by it."""
        if saved is not None:
            for router_id, arrived in saved.fresh:
                if router_id in saved.prompt and arrived.sample.clock == "ntp":
                    ahead_ms = arrived.sample.taken_at - arrived.arrived_ms
                    self._clock.hear(router_id, ahead_ms)
                    self._compare_clock(router_id, arrived.sample.router, ahead_ms)
        if not self._is_due("clock", CLOCK_EVERY_S):
            return
        before = self._clock.known
        jump = self._clock.settle()
        if jump is not None:
            self._jumps.append(jump)
            self._hearing.move(jump.by_ms)
        known = self._clock.known
        if self._jumps or (known.sure and not before.sure):
            self._move_stamps()
        elif known.since_ms != before.since_ms:  # `titik status` goes by it
            with transaction(self._db):
                server_clock.keep(self._db, known)

    def _compare_clock(self, router_id: int, router: str, ahead_ms: int) -> None:
        """Log once that a router's NTP clock is not the time by which we go."""
        if abs(ahead_ms) <= MAX_BEHIND_MS:
            self._wrong_clocks.discard(router_id)
        elif router_id not in self._wrong_clocks:
            self._wrong_clocks.add(router_id)
            off_s = ahead_ms // 1000
            log.warning("router's NTP clock differs from ours router=%s off_s=%+d", router, off_s)

    def _move_stamps(self) -> None:
        """What was stamped by a wrong clock, where it belongs; StoreError: tried again."""
        now_ms = self._now_ms()
        with transaction(self._db):
            for jump in self._jumps:
                restamp.move(self._db, jump, now_ms)
            restamp.mend(self._db, now_ms)
            server_clock.keep(self._db, self._clock.known)
        self._jumps.clear()
        self._store.time_jumped()
        self._live.load()
        self._all_stale = True

    def _tell_now(self) -> None:
        self._stale |= self._presence.take_changed()
        if (self._stale or self._all_stale) and self._is_due("now", NOW_EVERY_S):
            for message in self._changed_now():
                self._publish(message, topics.now(message.scope, message.name))
            self._link.flush()
            self._stale.clear()
            self._all_stale = False

    def _changed_now(self) -> list[Now]:
        if self._all_stale:
            return self._live.everything(self._now_ms())
        return self._live.messages(self._stale, self._now_ms())

    def _tick_presence(self) -> None:
        since_ms = self._hearing.since_ms
        if since_ms is None or not self._is_due("presence", PRESENCE_EVERY_S):
            return
        ids = [router_id for router_id, _, _ in self._registry.routers()]
        try:
            with transaction(self._db):
                self._presence.tick(self._now_ms(), ids, since_ms)
                self._hearing.save()
        except StoreError:
            self._presence.forget()
            raise

    def _tell_news(self) -> None:
        if not self._link.connected:
            return
        with transaction(self._db):
            told, self._more_news = rollup_topics.take(
                self._db, self._registry.city, self._now_ms(), sums=self._is_whole()
            )
        for topic, message, retain in told:
            self._publish(message, topic, retain)

    def _is_whole(self) -> bool:
        """Whether sums are of all their routers, or were waited for long enough."""
        now = time.monotonic()
        if not self._rollups_waiting:
            self._whole_at = now
        return now == self._whole_at or now - self._whole_at >= HOLD_S

    def _tell_again(self) -> None:
        """Some of the newest windows; what fails is tried again."""
        for _ in range(min(TOLD_AGAIN, len(self._untold))):
            for topic, message in rollup_topics.newest(self._db, *self._untold[0], self._now_ms()):
                self._publish(message, topic)
            self._untold.popleft()

    def _prune(self) -> None:
        store = self._config.store
        with transaction(self._db):
            server_clock.keep(self._db, self._clock.known)
            more = retention.prune(
                self._db,
                self._clock.forget_ms,
                store.messages_days,
                store.samples_days,
                store.minutes_days,
                self._now_ms(),
            )
        if not more:
            self._due["prune"] = time.monotonic() + 60.0

    def _reload(self) -> None:
        """Take in an edited registry without a restart."""
        if not self._is_due("registry", REGISTRY_EVERY_S):
            return
        config = self._watch.poll() or self._unsynced
        if config is None:
            return
        self._unsynced = config  # said once by the watch; a store that fails now gets it again
        changes = registry.sync(self._db, config, self._now_ms())
        self._unheard = self._unheard or bool(changes.added)
        self._registry.reload()
        self._presence.forget()
        self._live.place()
        self._all_stale = True
        if self._untold:
            self._untold = self._all_places()
        self._clear(registry.removed(self._db))
        self._config, self._unsynced = config, None

    def _hear_added(self) -> None:
        """A router that was connected before it was added says no second time that it is online."""
        if self._unheard and self._unsynced is None and self._link.connected:
            self._unheard = False
            self._link.hear_statuses_again()

    def _clear(self, changes: Changes) -> None:
        """An empty retained message takes a removed router or site off the broker.

        The status of a router that still sends stays: it is needed if the router is added again.
        """
        since_ms = self._now_ms() - unknown_routers.LATELY_MS
        unknown = unknown_routers.heard_since(self._db, since_ms)
        for name in changes.removed:
            cleared = [topics.sample(name), topics.ack(name)]
            if name not in unknown:
                cleared.append(topics.status(name))
            for topic in cleared:
                self._link.publish(topic, b"", retain=True)
        gone = [("router", name) for name in changes.removed]
        gone += [("site", name) for name in changes.removed_sites]
        for scope, name in gone:
            self._link.publish(topics.now(scope, name), b"", retain=True)
            for window in ("1m", "1h", "1d"):
                self._link.publish(topics.rollup(window, scope, name), b"", retain=True)

    def _look(self) -> None:
        """Once, before the first connect; TwinRunning if another collector is at work there."""
        own, door = self._report.identity, self._reading
        if own is None or door is None:
            return
        try:
            found = retained.look(door, self._config.collector.id, own)
            if found.status is not None and found.status.store == own.store:
                own = identity.raise_above(self._db, own, found.status.epoch or 0)
            self._count_unknown(self._store.believe(found.acks))
        except LinkDown as error:
            self._unread = str(error)
            return  # the connection fails too, or there is no such door
        except (StoreError, sqlite3.Error) as error:
            raise LinkDown(f"the store fails: {error}") from error
        self._report.identity, self._reading, self._unread = own, None, None

    def _count_unknown(self, lost: dict[str, int]) -> None:
        if lost:
            log.warning(
                "samples lost with a newer state of this store: the broker's acks cover them and"
                " they are not here samples=%d routers=%d",
                sum(lost.values()),
                len(lost),
            )
        for router, samples in sorted(lost.items())[:MAX_NAMED]:
            log.warning(
                "lost with a newer state of this store router=%s samples=%d", router, samples
            )

    def _connected(self) -> None:
        """Nobody knows what the broker still has: everything is published again."""
        self._report.connected(self._link)
        if self._unread is not None:
            log.warning("connected without a look at the broker reason=%s", self._unread)
        self._reading = self._unread = None  # from here on the status there is our own
        self._greeting = True
        self._whole_at = time.monotonic()  # what waited at the routers comes now
        self._all_stale = True
        self._untold = self._all_places()

    def _resume(self) -> None:
        """Before anything that comes is saved: from now on all that is reported is heard."""
        if self._link.accepted and self._store_proved and self._hearing.since_ms is None:
            self._hearing.resume()
            self._live.hears = self._all_stale = True

    def _greet(self) -> None:
        """What the store has for a broker that is new to us; tried again if the store fails."""
        if self._greeting:
            self._ingest.acknowledge_all()
            self._clear(registry.removed(self._db))  # perhaps while nobody was connected
            self._greeting = False

    def _all_places(self) -> deque[Place]:
        places = deque[Place]([("city", CITY_ID, self._registry.city)])
        places += [("site", *site) for site in self._registry.sites()]
        places += [("router", *router[:2]) for router in self._registry.routers()]
        return places

    def _lost(self, reason: str) -> None:
        self._report.disconnected(reason)
        self._hearing.stop("broker", reason)
        self._ingest.drop_batch()

    def _store_failed(self, error: Exception) -> None:
        if self._report.storing:
            log.error("store fails, nothing is acknowledged until it works reason=%s", error)
        self._store_proved = False
        self._report.failed(str(error))
        self._hearing.stop("store", str(error))
        self._report_self()
        self._show_unknown()
        self._link.keep_alive(RETRY_S, MAX_BATCH)

    def _show_unknown(self) -> None:
        """Who cannot be heard is unknown, and has no figures."""
        if self._hearing.deaf_ms() < LEAST_MS or not (self._live.hears or self._all_stale):
            return
        self._live.hears = False
        for message in self._live.everything(self._now_ms()):
            self._publish(message, topics.now(message.scope, message.name))
        self._all_stale = False

    def _try_store(self) -> None:
        """A store that failed works when it takes a row, not when there is nothing to write."""
        with transaction(self._db):
            self._db.execute(
                "INSERT OR REPLACE INTO setting VALUES ('tried_ms', ?)", (str(self._now_ms()),)
            )
        self._store_proved = True

    def _store_works(self) -> None:
        if not self._report.storing:
            log.info("store works again")
            self._report.works()

    def _report_self(self) -> None:
        now = time.monotonic()
        if self._report.due(now):
            self._report.step(now, self._link)

    def _heard_ms(self) -> int:
        """When the broker last sent anything, if nothing but pings."""
        silent_s = time.monotonic() - (self._link.heard_at or time.monotonic())
        return self._now_ms() - round(silent_s * 1000)

    def _behind_ms(self) -> int:
        """For how long rollups have waited without a pause."""
        self._is_whole()
        return round((time.monotonic() - self._whole_at) * 1000)

    def _publish(self, message: Message, topic: str, retain: bool = True) -> None:
        try:
            payload = codec.encode(message)
        except WireError as error:  # of a store that an older version wrote: the others go on
            if topic not in self._unsaid:
                log.error("not told, for it cannot be said topic=%s reason=%s", topic, error)
            self._unsaid.add(topic)
        else:
            self._link.publish(topic, payload, retain)

    def _is_due(self, what: str, every_s: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every_s
        return True
