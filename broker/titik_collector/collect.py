"""`titik collect`: one thread that takes a batch, then does the jobs that are due.

Rule: samples first. Jobs fill the time between batches, in steps short enough that a waiting
message is not late.
Rule: while the store fails the connection stays, the status says `offline`, and nothing is
acknowledged. At most one more batch is read.
"""

import logging
import time
from collections.abc import Sequence

from titik_collector.broker_link.connection import Link
from titik_collector.broker_link.takeover import Takeover
from titik_collector.config.model import Config
from titik_collector.figures.scope import CITY_ID
from titik_collector.figures.windows import Calendar
from titik_collector.ingest import waiting
from titik_collector.ingest.batch import Store
from titik_collector.ingest.caps import Caps
from titik_collector.ingest.ingest import MAX_BATCH, Ingest
from titik_collector.ingest.saved import Saved
from titik_collector.jobs import Jobs, OnDemand, Slot, Task
from titik_collector.live import events, removed_topics
from titik_collector.live.hearing import LEAST_MS, Hearing
from titik_collector.live.now import LiveState
from titik_collector.live.now_publishing import NowPublishing
from titik_collector.live.presence import Presence
from titik_collector.live.presence_tick import PresenceTick
from titik_collector.live.self_report import SelfReport
from titik_collector.live.server_cause import ServerCause
from titik_collector.live.window_publishing import FinishedWindows, NewestAgain, Place
from titik_collector.outputs.family import Outputs
from titik_collector.outputs.output import Output
from titik_collector.outputs.topics import Topics
from titik_collector.own_state import collector_state
from titik_collector.own_state.collector_state import StateFile
from titik_collector.registry.registry import Registry
from titik_collector.registry.reload import Reload
from titik_collector.registry.sync import Changes, sync
from titik_collector.registry.watch import ConfigWatch
from titik_collector.rollups.restate import Restate
from titik_collector.rollups.upkeep import Restating, Upkeep
from titik_collector.rollups.worker import Rollups
from titik_collector.store import identity, writable
from titik_collector.store.database import FAILURES, Database
from titik_collector.timeline import server_clock
from titik_collector.timeline.pruning import Pruning
from titik_collector.timeline.server_clock import ServerClock
from titik_collector.timeline.settling import Settling
from titik_mqtt.endpoint import Endpoint
from titik_wire import __version__

log = logging.getLogger(__name__)

IDLE_S = 0.2  # so long it waits for a message when there is nothing else to do
RETRY_S = 1.0  # between tries of a store that fails
BUSY_S = 0.002  # a job's budget while messages come: one that waits is late by a step of this
FINISH_S = 2.0  # for rollups when it ends; the rest is done at the next start
HOLD_S = 60.0  # sums wait so long for their routers; one that never ends to send delays nobody

DAYS_AHEAD = 4  # starts of the city's day that are published; the contract's most


class Collector:
    """Everything `titik collect` does; `turn` is one round of it."""

    def __init__(
        self,
        config: Config,
        db: Database,
        login: Endpoint,
        clock: ServerClock | None = None,
        reading: Endpoint | None = None,
        outputs: Sequence[Output] = (),
    ) -> None:
        """Put everything together.

        `reading`: where a second client of ours may read at the broker; None: nobody looks there
        before connecting. `outputs`: besides the MQTT topics.
        """
        self._db = db
        self._clock = clock = clock or server_clock.of(db)
        now_ms = clock.now_ms
        waiting.place(db)
        sync(db, config, now_ms())
        self._registry = Registry(db, config.city.name)
        self._presence = Presence(db)
        caps = Caps(config.store.max_samples_per_hour, config.store.max_runs_per_hour)
        self._store = Store(db, self._registry, caps, (self._presence,))
        self._live = LiveState(db, self._presence, self._registry)
        self._calendar = Calendar(config.city.timezone)
        self._link = link = Link(
            login,
            config.collector.id,
            lambda: self._report.will(),
            self._connected,
            self._lost,
            lambda: self._takeover.look(),
            self._hear_again,
        )
        own = identity.opened(db, config.store.path)
        self._takeover = Takeover(db, reading, config.collector.id, own, self._store.believe)
        self._ingest = Ingest(link, link, self._store, now_ms)
        self._outputs = Outputs(Topics(link), outputs)
        happened = self._outputs.event_happened

        # The jobs. Each knows none of the others.
        self._report = SelfReport(
            config.collector.id,
            __version__,
            StateFile(
                collector_state.places(
                    config.collector.state, config.collector.id, config.store.path
                )
            ),
            link,
            lambda: self._upkeep.behind_ms(),
            now_ms,
            lambda: self._takeover.identity,
            lambda: self._calendar.day_starts(now_ms(), DAYS_AHEAD),
        )
        self._hearing = Hearing(db, self._presence, now_ms, happened)
        self._settling = Settling(db, clock, self._hearing.move, self._restamped)
        self._acks_again = OnDemand(self._ingest.acknowledge_all)
        self._reload = Reload(
            db, ConfigWatch(config.file), self._registry, self._registry_changed, now_ms
        )
        self._removed = OnDemand(lambda: removed_topics.clear(db, link, now_ms()))
        self._statuses_again = OnDemand(link.hear_statuses_again, self._is_connected)
        self._tick = PresenceTick(db, self._presence, self._hearing, self._registry.routers, now_ms)
        self._now = NowPublishing(self._live, self._presence, self._outputs, now_ms)
        self._pruning = Pruning(db, clock, config.store)
        self._upkeep = upkeep = Upkeep(Rollups(db, config.city.timezone, now_ms), HOLD_S)
        self._windows = FinishedWindows(
            db, self._registry.city, self._outputs, self._is_connected, upkeep.is_whole, now_ms
        )
        self._newest_again = NewestAgain(
            db,
            self._outputs.window_retained,
            self._places,
            lambda: link.connected and upkeep.is_whole(),
            now_ms,
        )
        restating = Restating(Restate(db), lambda: not upkeep.is_behind)
        server_cause = ServerCause(db, now_ms, time.monotonic, happened)
        heard = Task(lambda: self._hearing.heard(self._heard_ms()), self._is_connected)

        # Their order, how often each runs, and its budget while nothing comes and while messages
        # come. Rollups are before the windows, so that these know of what the batch changed. What
        # was heard is last: a round that the store ended is not in it.
        self._jobs = Jobs(
            [
                Slot(self._settling, 1.0),  # looks at a witness for each router
                Slot(self._acks_again, 0.0),
                Slot(self._reload, 2.0),
                Slot(self._removed, 0.0),
                Slot(self._statuses_again, 0.0),
                Slot(self._tick, 5.0),
                Slot(self._now, 0.2),
                Slot(self._pruning, 1.0),
                Slot(self._upkeep, 0.0, 0.05, BUSY_S),
                Slot(self._windows, 2.0),
                Slot(self._newest_again, 0.0, 0.04, None),
                Slot(restating, 0.0, 0.01, None),  # of some 0.2 s: nobody waits for it
                Slot(server_cause, 0.0, 0.01, BUSY_S),
                Slot(heard, 0.0),
            ],
            time.monotonic,
        )
        self._always = Jobs(  # whether the store works or not
            [
                Slot(Task(self._outputs.watch), 5.0),
                Slot(self._report, 0.0),
            ],
            time.monotonic,
        )
        self._store_proved = True  # in this turn: what the broker sends can be saved
        self._live.load()

    def turn(self) -> None:
        """One batch, then the jobs that are due."""
        try:
            self._get_ready()
            saved = self._ingest.step(self._patience_s())
            if saved is not None:
                self._take_in(saved)
            self._jobs.run(idle=saved is None)
        except FAILURES as error:
            self._store_failed(error)
        else:
            self._store_works()
        self._always.run(idle=True)

    def close(self) -> None:
        """Publish `offline`; the broker keeps what arrives. Then finish what was begun."""
        self._report.close()
        self._link.close()
        self._outputs.close()
        try:
            self._upkeep.finish(FINISH_S)
        except FAILURES as error:
            log.warning("store fails, rollups are computed at the next start reason=%s", error)

    def abandon(self) -> None:
        """End without a word: the broker is another collector's."""
        self._report.withdraw()

    def _get_ready(self) -> None:
        """What has to be right before a message is stored."""
        if not self._report.storing:
            writable.prove(self._db, self._clock.now_ms())
            self._store_proved = True
        self._hear_again()
        self._settling.catch_up()

    def _patience_s(self) -> float:
        """How long to wait for a message."""
        return 0.0 if self._upkeep.is_behind else IDLE_S

    def _take_in(self, saved: Saved) -> None:
        """What a batch means for the present and for the time."""
        self._report.stored()
        if saved.malformed:
            log.warning("malformed messages, their beginning is kept count=%d", saved.malformed)
        for router_id, arrived in saved.fresh:
            sample, prompt = arrived.sample, router_id in saved.prompt
            self._live.show(router_id, sample, arrived.arrived_ms, prompt)
            self._now.changed(router_id)
            if prompt and sample.clock == "ntp":
                ahead_ms = sample.taken_at - arrived.arrived_ms
                self._settling.hear(router_id, sample.router, ahead_ms)

    # What happens, and which jobs it concerns.

    def _connected(self) -> None:
        """Nobody knows what the broker still has: everything is published again."""
        self._report.connected()
        self._takeover.connected()
        self._acks_again.wanted = True
        self._removed.wanted = True  # perhaps while nobody was connected
        self._upkeep.begin()
        self._now.everything()
        self._newest_again.begin()

    def _lost(self, reason: str) -> None:
        self._report.disconnected(reason)
        self._hearing.stop("broker", reason)
        self._ingest.drop_batch()

    def _hear_again(self) -> None:
        """Before anything that comes is saved: from now on all that is reported is heard."""
        if self._link.accepted and self._store_proved and self._hearing.since_ms is None:
            self._hearing.resume()
            self._now.hears()

    def _restamped(self) -> None:
        self._store.time_jumped()
        self._live.load()
        self._now.everything()

    def _registry_changed(self, config: Config, changes: Changes) -> None:
        self._pruning.keep = config.store
        self._presence.forget()
        self._live.place()
        self._now.everything()
        self._newest_again.moved()
        self._removed.wanted = True
        # A router that was connected before it was added reports no second time that it is online.
        self._statuses_again.wanted |= bool(changes.added)
        for event in events.of_registry(changes, self._registry, self._clock.now_ms()):
            self._outputs.event_happened(event)

    def _store_failed(self, error: Exception) -> None:
        if self._report.storing:
            log.error("store fails, nothing is acknowledged until it works reason=%s", error)
        self._store_proved = False
        self._report.failed(str(error))
        self._hearing.stop("store", str(error))
        self._always.run(idle=True)
        if self._hearing.deaf_ms() >= LEAST_MS:
            self._now.deaf()
        self._link.keep_alive(RETRY_S, MAX_BATCH)

    def _store_works(self) -> None:
        if not self._report.storing:
            log.info("store works again")
            self._report.works()

    # What jobs ask.

    def _is_connected(self) -> bool:
        return self._link.connected

    def _places(self) -> Sequence[Place]:
        sites, routers = self._registry.sites(), self._registry.routers()
        return [
            ("city", CITY_ID, self._registry.city),
            *(("site", *site) for site in sites),
            *(("router", *router[:2]) for router in routers),
        ]

    def _heard_ms(self) -> int:
        """When the broker last sent anything, if nothing but pings."""
        silent_s = time.monotonic() - (self._link.heard_at or time.monotonic())
        return self._clock.now_ms() - round(silent_s * 1000)
