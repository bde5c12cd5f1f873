"""`titik notify`: what is due goes to the lanes, and what became of it is written.

Rule: one thread decides and writes; only lanes and the heartbeat wait for others.
Rule: nothing leaves from a store that is not the city's own: a copy, or one that another collector
has taken over.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue

from titik_collector.alerts.alert import Notification
from titik_collector.config.model import Config
from titik_collector.languages.language import language
from titik_collector.limits import MAX_DETAIL
from titik_collector.notify import choosing, composing, own_alerts
from titik_collector.notify.beat_listener import BeatListener
from titik_collector.notify.choosing import Choice, Failure, Waiting
from titik_collector.notify.composed import MessageKey
from titik_collector.notify.composing import Writing
from titik_collector.notify.heartbeat import Health, Heart
from titik_collector.notify.lane import ReceiverLane, Try
from titik_collector.notify.ledger import Ledger
from titik_collector.notify.own_alerts import OwnAlerts, SeenCollector
from titik_collector.notify.own_receivers import receivers_of
from titik_collector.notify.store_watch import StoreLook, StoreWatch
from titik_collector.own_state import collector_state

log = logging.getLogger(__name__)

LOOK_S = 1.0  # between two looks at the store


@dataclass(eq=False)
class Notifier:
    """All that makes one; `turn` again and again."""

    settings: Config
    ledger: Ledger
    lanes: Mapping[str, ReceiverLane]
    tries: "SimpleQueue[Try]"
    store: StoreWatch
    listener: BeatListener | None  # None: no broker is named
    heart: Heart
    _alerts: OwnAlerts = field(default_factory=OwnAlerts)
    _watched_at: float = field(default_factory=time.monotonic)
    _next_look: float = 0.0
    _look: StoreLook | None = None
    _logged: str | None = None
    _nobodies: set[str] = field(default_factory=set)  # receivers that have no lane, as logged

    def turn(self, wait_s: float = 0.2) -> None:
        """Take what became of tries, look at the store, and give lanes what is due."""
        self._take(wait_s)
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_S
            self._look = self.store.look()
            self._watch(self.store.now_ms())
        self._offer(self.store.now_ms())
        self.ledger.save(self.store.now_ms())

    def finish(self, wait_s: float) -> None:
        """Give lanes nothing more, and wait a while for what is under way."""
        until = time.monotonic() + wait_s
        while any(lane.is_busy for lane in self.lanes.values()) and time.monotonic() < until:
            self._take(0.1)

    def close(self) -> None:
        """Write what lanes have finished; what is under way is sent again after the next start."""
        self._take(0.0)
        self.ledger.close(self.store.now_ms())
        self.store.close()

    # What became of tries.

    def _take(self, wait_s: float) -> None:
        try:
            self._mark(self.tries.get(timeout=wait_s) if wait_s else self.tries.get_nowait())
            while True:
                self._mark(self.tries.get_nowait())
        except Empty:
            return

    def _mark(self, one: Try) -> None:
        now_ms, failure = self.store.now_ms(), one.failure
        self.lanes[one.receiver].done(one)
        became = None
        if failure is not None:
            detail = f"{failure.step}: {failure.reason}"[:MAX_DETAIL]
            became = Failure("refused" if failure.is_permanent else "failed", detail)
        self.ledger.add(choosing.rows_of(one.choice, now_ms, became))
        self.ledger.save(now_ms)  # at once: what is not written may be sent again
        head = one.choice.head
        if became is not None:
            again = "no" if became.outcome == "refused" else "yes"
            log.warning(
                "message not delivered receiver=%s id=%s try=%d again=%s reason=%s",
                *(one.receiver, head.key.id, head.tries + 1, again, became.detail),
            )
            return
        log.info("message delivered receiver=%s id=%s", one.receiver, head.key.id)

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
        for receiver, some in self._waiting(now_ms).items():
            lane = self.lanes.get(receiver)
            if lane is None:
                # The collector may have read of it before we did.
                left = self._left(receiver, some, now_ms)
                if left and receiver not in self._nobodies:
                    self._nobodies.add(receiver)
                    log.error("message to nobody, it waits receiver=%s", receiver)
            elif lane.is_free():
                self._give(lane, some, now_ms)

    def _left(self, receiver: str, some: list[Waiting], now_ms: int) -> list[Waiting]:
        """Without what waited for too long, which is given up."""
        over = [one for one in some if choosing.is_over(one, now_ms)]
        self.ledger.add(choosing.row_of(one, now_ms, "ended", "for a day") for one in over)
        for one in over:
            log.error("message given up receiver=%s id=%s", receiver, one.key.id)
        return [one for one in some if one not in over]

    def _give(self, lane: ReceiverLane, some: list[Waiting], now_ms: int) -> None:
        own = [one for one in self.ledger.deliveries if one.receiver == lane.receiver]
        choice = choosing.choose(
            self._left(lane.receiver, some, now_ms),
            own,
            now_ms,
            is_person=self._types()[lane.receiver] != "webhook",
        )
        if choice is None:
            return
        written, writing = self._with_own(choice), self._writing(lane.receiver)
        lane.offer(choice, lambda: composing.compose(written, writing, now_ms))

    def _with_own(self, choice: Choice) -> Choice:
        """What only we saw belongs into the digest."""
        head = choice.head
        if head.notification.message.what != "digest":
            return choice
        message = own_alerts.with_own(head.notification.message, self.ledger.own)
        about = replace(head.notification, message=message)
        return choice._replace(of=(head._replace(notification=about),))

    def _waiting(self, now_ms: int) -> dict[str, list[Waiting]]:
        messages = [*self._messages(), *self.ledger.messages(now_ms)]
        found: dict[str, list[Waiting]] = {}
        for one in choosing.waiting_of(messages, self.ledger.deliveries):
            found.setdefault(one.notification.receiver, []).append(one)
        return found

    def _messages(self) -> list[tuple[MessageKey, Notification]]:
        return [] if self._look is None else list(self._look.messages.items())

    def _types(self) -> dict[str, str]:
        return {one.name: one.type for one in self.settings.receiver}

    def _writing(self, receiver: str) -> Writing:
        settings = self.settings
        found = next(one for one in settings.receiver if one.name == receiver)
        return Writing(
            language=language(found.language or settings.web.language),
            zone=settings.city.timezone,
            city=settings.city.name,
            url=settings.web.url,
        )

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
        if self.ledger.served == place:
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
        if rows:
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
