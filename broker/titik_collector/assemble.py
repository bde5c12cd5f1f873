"""Where a collector is put together: its parts, its jobs in order, and who uses what.

Rule: this file alone knows all parts. A job gets what it needs of another as a function.
"""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from titik_collector.alerts.desk_facts import DeskFacts
from titik_collector.broker_link import remedies
from titik_collector.broker_link.connection import Link
from titik_collector.broker_link.takeover import Takeover
from titik_collector.config.model import STATE_FOLDER, Config
from titik_collector.figures.scope import CITY_ID
from titik_collector.figures.windows import Calendar
from titik_collector.ingest import waiting
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.caps import Caps
from titik_collector.ingest.ingest import Ingest
from titik_collector.jobs import Jobs, OnDemand, Slot, Task
from titik_collector.live import alerting, removed_topics, rollup_topics
from titik_collector.live.alert_topics import AlertTopics
from titik_collector.live.alerting import Alerting
from titik_collector.live.discovery import Discovery
from titik_collector.live.event_reporting import EventReporting
from titik_collector.live.hearing import LEAST_MS, Hearing
from titik_collector.live.live_facts import LiveFactSource
from titik_collector.live.now import LiveState
from titik_collector.live.now_publishing import NowPublishing
from titik_collector.live.presence import Presence
from titik_collector.live.rollup_topics import NamedScope, NewestAgain
from titik_collector.live.self_report import SelfReport
from titik_collector.live.server_cause import ServerCause
from titik_collector.live.server_facts import MachineSettings, ServerFacts
from titik_collector.outputs.all_outputs import Outputs
from titik_collector.outputs.output import Output
from titik_collector.outputs.topics import Topics
from titik_collector.own_state.collector_state import StateFile
from titik_collector.queries import events, server_warnings
from titik_collector.registry.registry import Registry
from titik_collector.registry.sync import Changes, sync
from titik_collector.registry.watch import ConfigWatch, Reload
from titik_collector.rollups.restate import Restate
from titik_collector.rollups.upkeep import Upkeep
from titik_collector.rollups.worker import Rollups
from titik_collector.store import identity, opening, settings
from titik_collector.store.database import Database, StoreError, StoreHeld, is_of_the_store
from titik_collector.store.packed_minutes import Unpacking
from titik_collector.timeline import server_clock
from titik_collector.timeline.pruning import Pruning
from titik_collector.timeline.server_clock import ServerClock
from titik_collector.timeline.timekeeping import Timekeeping
from titik_collector.wishes import asking, certificates, rollout_job
from titik_collector.wishes.asking import Asking
from titik_collector.wishes.certificates import Certificates
from titik_collector.wishes.rollout_job import LastSeen, RolloutJob
from titik_collector.wishes.wish_publishing import WishPublishing
from titik_mqtt.endpoint import Endpoint
from titik_mqtt.failures import LinkDown
from titik_wire.fleet_messages import RouterReply
from titik_wire.limits import MAX_DAY_STARTS

log = logging.getLogger(__name__)

BUSY_S = 0.002  # a job's budget while messages come; a pass of rollups may still take 0.3 s
SETTLES_S = 30.0  # a start; a broker beside the collector answers in a second
RIGHTS_S = 30.0  # after which a broker that was given rights is noticed
RENEW_S = 10.0  # a third of how long a lease lasts
NOBODY = DeskFacts()
HOLD_S = 60.0  # sums wait so long for their routers; one that never ends to send delays no other


class Parts:
    """All parts of one collector over an open store."""

    def __init__(
        self,
        config: Config,
        db: Database,
        login: Endpoint,
        clock: ServerClock | None = None,
        reading: Endpoint | None = None,
        outputs: Sequence[Output] = (),
        desk: Callable[[int], DeskFacts] = lambda _: NOBODY,
    ) -> None:
        """`outputs` are those besides the MQTT topics. `desk`: what people entered and counts.

        `reading`: where a second client of ours may read at the broker; None: nothing is read there
        before connecting.
        """
        self.db = db
        self.clock = clock or server_clock.of(db)
        self.store_proved = True  # in this turn: what the broker sends can be saved
        self.is_silent = False  # since the store last worked, or failed
        self._now_ms = now_ms = self.clock.now_ms
        self._started_s = time.monotonic()
        waiting.place(db)
        sync(db, config, now_ms())
        self.registry = Registry(db, config.city.name)
        self.presence = Presence(db)
        caps = Caps(config.store.max_samples_per_hour, config.store.max_runs_per_hour)
        self.batches = BatchWriter(db, self.registry, caps, self.presence)
        self.live = LiveState(db, self.presence, self.registry)
        self.link = Link(
            login,
            config.collector.id,
            lambda: self.report.will(),
            self.connected,
            self.lost,
            self.approach,
            self.hear_again,
        )
        self.store_name = opening.name(config.store)
        own = identity.opened(db)
        _note_first(db, now_ms())
        self.takeover = Takeover(db, reading, config.collector.id, own, self.batches.believe)
        self.ingest = Ingest(self.link, self.link, self.batches, now_ms)
        self.ingest.identity = lambda: self.takeover.identity
        self.outputs = Outputs(Topics(self.link), outputs)
        self._make_jobs(config, desk)
        self._make_alerts(config, desk)
        self.events = self._events() if outputs else None
        self.jobs, self.always = self._in_order()
        self.live.load()
        self.live.hears = False  # until the broker accepts us
        db.when_silent(self.silent)

    def _make_jobs(self, config: Config, desk: Callable[[int], DeskFacts]) -> None:
        db, link, outputs, now_ms = self.db, self.link, self.outputs, self._now_ms
        own, calendar = config.collector, Calendar(config.city.timezone)
        self.report = SelfReport(
            own.id,
            StateFile(config.state_files, STATE_FOLDER),
            link,
            lambda: self.upkeep.behind_ms(),
            now_ms,
            lambda: self.takeover.identity,
            lambda: calendar.day_starts(now_ms(), MAX_DAY_STARTS),
            own.packed,
        )
        self.hearing = Hearing(db, self.presence, now_ms)
        self.heard = Task(lambda: self.hearing.heard(self._heard_ms()), self._is_connected)
        self.timekeeping = Timekeeping(db, self.clock, self.hearing.move, self.restamped)
        self.reload = Reload(
            db, ConfigWatch(config.file), self.registry, self.registry_changed, now_ms
        )
        self.acks_again = OnDemand(self.ingest.acknowledge_all)
        self.discovery = Discovery(db, link, config)
        self.broker_folder = config.broker.directory
        self.wishes = WishPublishing(db, link, lambda: link.offers_wishes)
        self.certificates = Certificates(
            db, lambda: self.broker_folder, self.wishes.changed, now_ms
        )
        self.rollout = RolloutJob(
            db,
            lambda at_ms: desk(at_ms).rollout,
            self.registry.routers,
            self._last_seen,
            self.wishes.changed,
            now_ms,
            lambda: bool(link.offers_wishes) and self.hearing.since_ms is not None,
            config,
            rollout_job.PATIENT,
        )
        self.removed = OnDemand(lambda: removed_topics.clear(db, link, now_ms()))
        self.statuses_again = OnDemand(link.hear_statuses_again, self._is_connected)
        self.tick = Task(self._notice_silent, self.hearing.hears)
        self.now = NowPublishing(self.live, self.presence, outputs, now_ms)
        self.pruning = Pruning(db, self.clock, config.store)
        self.upkeep = upkeep = Upkeep(Rollups(db, config.city.timezone, now_ms), HOLD_S)
        self.windows = Task(self._report_windows, self._is_connected)
        self.newest_again = NewestAgain(
            db,
            outputs.windows_retained,
            self._scopes,
            lambda: link.connected and upkeep.is_whole(),
            now_ms,
        )
        self.unpacking = unpacking = Unpacking(db, config.beside.parent)
        self.restating = Restate(db, lambda: unpacking.is_over and not upkeep.is_behind)
        self.server_cause = ServerCause(db, now_ms, time.monotonic)

    def _make_alerts(self, config: Config, desk: Callable[[int], DeskFacts]) -> None:
        db, now_ms = self.db, self._now_ms
        self.server_facts = ServerFacts(
            config.collector.id,
            db,
            self._is_connected,
            lambda: self.report.storing,
            lambda at_ms: server_warnings.certificate_days(config, at_ms),
            _machine(config),
            now_ms(),
        )
        self.facts = LiveFactSource(
            db,
            config,
            (self.registry, self.presence, self.live),
            self.server_facts.look,
            lambda: self.hearing.since_ms,
        )
        self.alerting = Alerting(
            db,
            self.facts.gather,
            desk,
            AlertTopics(self.link, config.city.name),
            now_ms,
            config.alert_settings,
            config.alerts.on,
            self._is_settled,
        )
        self.asking = Asking(
            db,
            self.link,
            lambda at_ms: desk(at_ms).questions,
            self.registry.router_id,
            self._is_away,
            lambda: bool(self.link.offers_wishes),
            now_ms,
            self._is_connected,
        )

    def _in_order(self) -> tuple[Jobs, Jobs]:
        """The jobs in order, and those that run whether the store works or not."""
        link = self.link
        jobs = (
            Slot(Task(self._renew), every_s=RENEW_S),
            Slot(self.timekeeping, every_s=1.0),  # looks at a witness for each router
            Slot(self.acks_again),
            Slot(self.reload, every_s=2.0),
            Slot(self.discovery, every_s=0.1),  # a device goes before the figures of its site
            Slot(self.removed),
            Slot(Task(link.ask_for_wishes_again, self._lacks_wishes), every_s=RIGHTS_S),
            Slot(self.certificates, every_s=certificates.EVERY_S),
            Slot(self.wishes, every_s=0.1),  # behind what clears those of removed routers
            Slot(self.asking, every_s=asking.EVERY_S),
            Slot(self.statuses_again),
            Slot(self.tick, every_s=5.0),
            Slot(self.rollout, every_s=rollout_job.EVERY_S),  # after presence
            Slot(self.now, every_s=0.2),
            *((Slot(self.events, every_s=15.0),) if self.events else ()),
            Slot(self.alerting, every_s=alerting.EVERY_S),  # after presence
            Slot(self.pruning, every_s=1.0),
            Slot(self.upkeep, idle_s=0.05, busy_s=BUSY_S, rests=True),
            Slot(self.windows, every_s=2.0),  # after the rollups, which this batch changed
            Slot(self.newest_again, idle_s=0.04, busy_s=None),
            Slot(self.unpacking, every_s=0.1, idle_s=0.05, busy_s=BUSY_S),
            Slot(self.restating, idle_s=0.01, busy_s=None),  # of some 0.2 s: nothing waits for it
            Slot(self.server_cause, idle_s=0.01, busy_s=BUSY_S),
            Slot(self.heard),  # last: a round that a failing store ended was not heard
        )
        always = (
            Slot(Task(self.now.deaf, lambda: self.hearing.deaf_ms() >= LEAST_MS)),
            Slot(Task(self.outputs.watch), every_s=5.0),
            Slot(self.report),
        )
        run = partial(Jobs, _monotonic=time.monotonic, _ends_the_round=is_of_the_store)
        return run(jobs), run(always)

    def _events(self) -> EventReporting:
        """Asks much of the store, so only where there are outputs that want it."""
        now_ms = self._now_ms
        gather = partial(events.gather, self.db, late=True)
        return EventReporting(gather, self.outputs, now_ms, now_ms() - self.hearing.deaf_ms())

    # What happens, and which parts it concerns.

    def connected(self) -> None:
        """What the broker still has is not known: everything is published again."""
        self.report.connected()
        self.takeover.connected()
        self.acks_again.wanted = True
        self.discovery.begin()
        self.wishes.begin()
        self.removed.wanted = True  # perhaps while the collector was not connected
        self.upkeep.begin()
        self.now.everything()
        self.newest_again.begin()
        self.server_facts.connected(self._now_ms())
        self.alerting.connected()

    def lost(self, reason: str) -> None:
        """The broker is gone, or could not be reached."""
        self.report.disconnected(reason)
        self.hearing.stop("broker", reason)
        self.ingest.drop_batch()
        self.server_facts.lost(self._now_ms(), remedies.was_taken_over(reason))

    def silent(self, reason: str) -> None:
        """The store's server does not answer, in the middle of a statement.

        The broker may end our connection before it does: that is no fault of the broker's.
        """
        if not self.is_silent:
            log.error("store is silent, nothing is acknowledged until it answers")
        self.is_silent = True
        self.hearing.stop("store", reason)
        self.report.waits(reason)

    def approach(self) -> None:
        """Before each connect: whoever lost the store would evict the collector that has it."""
        try:
            self.db.renew()
        except StoreHeld:
            raise
        except StoreError as error:
            raise LinkDown(f"the store fails: {error}") from error
        self.takeover.look()

    def hear_again(self) -> None:
        """Before anything that comes is saved: from now on all that is reported is heard."""
        if self.link.accepted and self.store_proved and self.hearing.since_ms is None:
            self.hearing.resume()
            self.now.hears()

    def restamped(self) -> None:
        """Stamps in the store are others than before."""
        self.batches.time_jumped()
        self.live.load()
        self.now.everything()

    def registry_changed(self, config: Config, changes: Changes) -> None:
        """The configuration was edited, and the store has the edit."""
        if (there := opening.name(config.store)) != self.store_name:
            log.warning(
                "store.path, store.url and store.schema count from the next start: stop the"
                " collector, copy the store with `titik store copy OLD %s`, start it again"
                " now=%s then=%s",
                *(config.file, self.store_name, there),
            )
        self.pruning.keep(config.store)
        self.asking.placed()
        self.broker_folder = config.broker.directory
        self.certificates.placed()
        self.presence.forget()
        self.live.place()
        self.now.everything()
        self.newest_again.moved()
        self.discovery.change(config)
        self.removed.wanted = True
        ids = map(self.registry.router_id, changes.wished)
        self.wishes.changed(one for one in ids if one is not None)
        self.server_facts.watch(_machine(config))
        self.facts.place(config)
        self.alerting.change(config)
        self.rollout.change(config)
        # A router that was connected before it was added reports no second time that it is online.
        self.statuses_again.wanted |= bool(changes.added)

    def replied(self, router_id: int, reply: RouterReply) -> None:
        """A router answered a question."""
        self.asking.replied(router_id, reply)

    # What jobs do and ask.

    def _renew(self) -> None:
        """Where the store has a lease that ends, each transaction renews it."""
        with self.db.transaction():
            pass

    def _is_away(self, router_id: int) -> bool:
        """It is offline, or was never heard."""
        known = self.presence.state(router_id)
        return known.state == "offline" or not known.was_heard

    def _is_connected(self) -> bool:
        return self.link.connected

    def _lacks_wishes(self) -> bool:
        return self.link.offers_wishes is False

    def _is_settled(self) -> bool:
        """It is connected, or had the time to."""
        return self.link.connected or time.monotonic() - self._started_s >= SETTLES_S

    def _notice_silent(self) -> None:
        self.hearing.notice_silent([router_id for router_id, _, _ in self.registry.routers()])

    def _report_windows(self) -> bool:
        """Finished windows wait in the store for a broker."""
        city, is_whole = self.registry.city, self.upkeep.is_whole()
        return rollup_topics.report(self.db, city, self.outputs, self._now_ms(), is_whole)

    def _last_seen(self, router_id: int, now_ms: int) -> LastSeen:
        """Of one router."""
        state, sample = self.presence.state(router_id), self.live.sample(router_id)
        is_sure = state.state != "unknown" or not state.was_heard
        is_known = is_sure and not self.presence.is_in_doubt(router_id, now_ms)
        return LastSeen(
            state.state == "online" if is_known else None,
            *(state.version, state.model, state.firmware),
            is_acked=sample is not None and sample.run == state.run,
            heard_ms=max(state.heard_ms or 0, state.since_ms),
        )

    def _scopes(self) -> Sequence[NamedScope]:
        """Whatever has windows."""
        sites, routers = self.registry.sites(), self.registry.routers()
        return [
            ("city", CITY_ID, self.registry.city),
            *(("site", *site) for site in sites),
            *(("router", *router[:2]) for router in routers),
        ]

    def _heard_ms(self) -> int:
        """When the broker last sent anything, if nothing but pings."""
        silent_s = time.monotonic() - (self.link.heard_at or time.monotonic())
        return self._now_ms() - round(silent_s * 1000)


def _note_first(db: Database, now_ms: int) -> None:
    """When a collector first had the store; a clock that was ahead then is corrected."""
    first_ms = settings.number(db, "collected_ms")
    if first_ms is None or first_ms > now_ms:
        with db.transaction():
            settings.keep(db, "collected_ms", now_ms)


def _machine(config: Config) -> MachineSettings:
    """What of the server is looked at."""
    folder, outside = config.beside.parent, config.alerts.line
    return MachineSettings(folder=folder, backups=config.backups, outside=outside)
