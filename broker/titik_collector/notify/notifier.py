"""`titik notify`: what is due goes to the lanes, and what became of it is written.

Rule: one thread decides and writes; only lanes and the heartbeat wait for others.
Rule: nothing leaves from a store that is not the city's own: a copy, or one that another collector
has taken over.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from titik_collector.alerts.alert import Notification
from titik_collector.config.model import Config
from titik_collector.notify import choosing, own_alerts
from titik_collector.notify.all_lanes import ReceiverLanes
from titik_collector.notify.beat_listener import BeatListener
from titik_collector.notify.choosing import Waiting
from titik_collector.notify.composed import MessageKey
from titik_collector.notify.heartbeat import Health, Heart
from titik_collector.notify.ledger import Ledger
from titik_collector.notify.own_alerts import OwnAlerts, SeenCollector
from titik_collector.notify.own_receivers import receivers_of
from titik_collector.notify.report_outbox import ReportOutbox
from titik_collector.notify.store_watch import StoreLook, StoreWatch
from titik_collector.own_state import collector_state

log = logging.getLogger(__name__)

LOOK_S = 1.0  # between two looks at the store


@dataclass(eq=False)
class Notifier:
    """All that makes one; `turn` again and again."""

    settings: Config
    ledger: Ledger
    lanes: ReceiverLanes
    store: StoreWatch
    listener: BeatListener | None  # None: no broker is named
    heart: Heart
    reports: ReportOutbox
    _alerts: OwnAlerts = field(default_factory=OwnAlerts)
    _watched_at: float = field(default_factory=time.monotonic)
    _next_look: float = 0.0
    _look: StoreLook | None = None
    _logged: str | None = None

    def turn(self, wait_s: float = 0.2) -> None:
        """Take what became of tries, look at the store, and give lanes what is due."""
        self.lanes.take(wait_s)
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_S
            self._look = self.store.look()
            self._watch(self.store.now_ms())
        self._offer(self.store.now_ms())
        self.ledger.save(self.store.now_ms())

    def finish(self, wait_s: float) -> None:
        """Give lanes nothing more, and wait a while for what is under way."""
        until = time.monotonic() + wait_s
        while self.lanes.is_busy and time.monotonic() < until:
            self.lanes.take(0.1)

    def close(self) -> None:
        """Write what lanes have finished; what is under way is sent again after the next start."""
        self.lanes.take(0.0)
        self.ledger.close(self.store.now_ms())
        self.store.close()

    # What is due.

    def _offer(self, now_ms: int) -> None:
        problem = self._not_ours()
        if problem != self._logged and problem is not None:
            log.warning("nothing is sent reason=%s", problem)
        elif problem != self._logged:
            log.info("messages are sent")
        self._logged = problem
        if problem is not None:
            return
        self._serve(now_ms)
        self.reports.look(now_ms, self.ledger.deliveries)
        self.lanes.offer([*self._messages(), *self.reports.messages(now_ms)])
        self.lanes.post_again(self._standing())

    def _messages(self) -> list[tuple[MessageKey, Notification]]:
        return [] if self._look is None else list(self._look.messages.items())

    def _standing(self) -> list[Notification]:
        """What Alertmanagers were sent of incidents that go on, and all that was due lately."""
        found = {} if self._look is None else {**self._look.standing, **self._look.messages}
        return list(found.values())

    # Whose store it is.

    def _not_ours(self) -> str | None:
        """Why nothing may leave; None: the store is the city's own."""
        look = self._look
        if look is None:
            return "the store was not read yet"
        if look.known is None:
            return "no collector has opened the store yet"
        if look.known.place != look.place:
            return "the store is a copy that no collector has opened; start the collector"
        heard = None if self.listener is None else self.listener.heard
        if heard is None:
            return None
        if heard.store != look.known.store or heard.epoch > look.known.epoch:
            return "another collector has the broker: this store is a copy, or the older one"
        return None

    def _serve(self, now_ms: int) -> None:
        """A store in another place was restored: what is of long before is not sent."""
        assert self._look is not None
        place = self._look.place
        before = self.ledger.served
        if before == place:
            return
        gone = choosing.expired(self._messages(), now_ms)
        settled = {choosing.tried(one) for one in self.ledger.deliveries}
        rows = [
            choosing.row_of(Waiting(key, one, 0, 0), now_ms, "expired", "of before a restore")
            for key, one in gone
            if key not in settled
        ]
        self.ledger.add(rows)
        self.ledger.serve(place)
        if rows and before is None:  # such as the digest of this morning
            log.info("first start, messages of before are not sent messages=%d", len(rows))
        elif rows:
            log.warning("store was restored, old messages are not sent messages=%d", len(rows))

    # What only we can see.

    def _watch(self, now_ms: int) -> None:
        look, settings = self._look, self.settings
        state = collector_state.read(settings.state_files)
        beat_ms = None if look is None else look.beat_ms
        watched_ms = round((time.monotonic() - self._watched_at) * 1000)
        seen = SeenCollector(now_ms, beat_ms, self.store.beat_age_ms(), watched_ms, state)
        names = [one.name for one in settings.receiver]
        deliveries = self.ledger.deliveries
        found = own_alerts.of_collector(seen, settings.collector.id, settings.city.title)
        found += [own_alerts.of_receiver(deliveries, name, now_ms) for name in names]
        if self._not_ours() is None:
            self._say(found, now_ms)
        broken = {
            one.key.name
            for one in found
            if one.key.kind == "delivery-failing" and one.condition is True
        }
        critical = receivers_of(settings.alert_settings, "collector-down", "critical", now_ms)
        self.heart.health = Health(
            time.monotonic(),
            own_alerts.is_alive(seen),
            None if self.listener is None else self.listener.silent_s(),
            not critical or not set(critical) <= broken,
        )

    def _say(self, found: Iterable[own_alerts.OwnFinding], now_ms: int) -> None:
        firing = own_alerts.firing_of(self.ledger.own)
        for one in found:
            message = self._alerts.moved(one, one.key in firing, now_ms)
            if message is None or (message.what == "firing" and self._core_fires(one)):
                continue
            if message.what == "resolved":
                before = firing[one.key]
                over = replace(message, from_ms=before.from_ms)
                self.ledger.say(over, dict.fromkeys(before.receivers), now_ms)
                continue
            wanted = receivers_of(
                self.settings.alert_settings, message.kind, message.severity, now_ms
            )
            self.ledger.say(message, [name for name in wanted if name != one.key.name], now_ms)

    def _core_fires(self, found: own_alerts.OwnFinding) -> bool:
        """Whether the collector reports the same, and not that it is over."""
        mine = [one for _, one in self._messages() if one.message.kind == found.key.kind]
        newest = max(mine, key=lambda one: (one.due_ms, one.number or 0), default=None)
        return newest is not None and newest.message.what != "resolved"
