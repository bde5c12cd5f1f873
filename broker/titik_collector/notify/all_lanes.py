"""What waits goes to the lanes of its receivers, and what became of it is written.

Rule: whoever calls decides and writes; only lanes wait for others.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from queue import Empty, SimpleQueue

from titik_collector.alerts.alert import Notification
from titik_collector.config.model import Config
from titik_collector.config.receiver_tables import PROGRAMS
from titik_collector.languages.language import language
from titik_collector.limits import MAX_DETAIL
from titik_collector.notify import alertmanager, choosing, composing, own_alerts
from titik_collector.notify.alertmanager import PostedAlert
from titik_collector.notify.channel import channel_of
from titik_collector.notify.choosing import Choice, Failure, Waiting
from titik_collector.notify.composed import MessageKey
from titik_collector.notify.composing import Writing
from titik_collector.notify.lane import ReceiverLane, Try
from titik_collector.notify.ledger import Ledger
from titik_collector.notify.report_outbox import ReportOutbox
from titik_collector.notify.standing import Standing, standing
from titik_collector.notify.undelivered import Undelivered

log = logging.getLogger(__name__)

AGAIN_S = 60.0  # so often an Alertmanager gets what goes on, which it forgets when it restarts

Messages = Iterable[tuple[MessageKey, Notification]]


@dataclass(eq=False)
class ReceiverLanes:
    """One for each receiver, from `start` to the end of the process."""

    settings: Config
    ledger: Ledger
    now_ms: Callable[[], int]
    reports: ReportOutbox | None = None  # None: it sends none
    _tries: "SimpleQueue[Try]" = field(default_factory=SimpleQueue)
    _lanes: dict[str, ReceiverLane] = field(default_factory=dict)
    _posted_at: dict[str, float] = field(default_factory=dict)  # monotonic
    _silent: dict[str, str] = field(default_factory=dict)  # why nothing was posted again
    _nobodies: set[str] = field(default_factory=set)  # receivers that have no lane, as logged

    def start(self) -> None:
        """Begin to wait for messages."""
        for one in self.settings.receiver:
            lane = ReceiverLane(one.name, channel_of(self.settings, one), self._tries)
            self._lanes[one.name] = lane
            lane.start()

    def take(self, wait_s: float) -> None:
        """Write what became of tries; wait so long for the first."""
        try:
            self._mark(self._tries.get(timeout=wait_s) if wait_s else self._tries.get_nowait())
            while True:
                self._mark(self._tries.get_nowait())
        except Empty:
            return

    def offer(self, messages: Messages) -> None:
        """Give free lanes what is due of these, and of our own."""
        now_ms = self.now_ms()
        for receiver, some in self._waiting(messages, now_ms).items():
            lane = self._lanes.get(receiver)
            if lane is None:
                # The collector may have read of it before we did.
                left = self._left(receiver, some, now_ms)
                if left and receiver not in self._nobodies:
                    self._nobodies.add(receiver)
                    log.error("message to nobody, it waits receiver=%s", receiver)
            elif lane.is_free():
                self._give(lane, some, now_ms)

    def post_again(self, messages: Iterable[Notification]) -> None:
        """Post what goes on by these and by our own to each Alertmanager, if it is time."""
        some, now, now_ms = list(messages), time.monotonic(), self.now_ms()
        for receiver in alertmanagers(self.settings):
            lane = self._lanes[receiver]
            posted_at = self._posted_at.get(receiver)
            if not lane.is_free() or (posted_at is not None and now - posted_at < AGAIN_S):
                continue
            self._posted_at[receiver] = now
            mine = [one for one in (*some, *self.ledger.own) if one.receiver == receiver]
            found = standing(mine, now_ms - alertmanager.ENDS_MS)
            if found:
                writing = self._writing(receiver)
                lane.post_again(partial(_posted, found, writing, now_ms))

    @property
    def is_busy(self) -> bool:
        """Whether something is under way."""
        return any(lane.is_busy for lane in self._lanes.values())

    def _mark(self, one: Try) -> None:
        now_ms, failure = self.now_ms(), one.failure
        self._lanes[one.receiver].done(one)
        if one.choice is None:
            self._log_again(one.receiver, failure)
            return
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

    def _log_again(self, receiver: str, failure: Undelivered | None) -> None:
        """What goes on was posted again, or was not: logged when that changes."""
        reason = None if failure is None else f"{failure.step}: {failure.reason}"[:MAX_DETAIL]
        before = self._silent.pop(receiver, None)
        if reason is not None:
            self._silent[receiver] = reason
            if before is None:
                log.warning("alerts not posted again receiver=%s reason=%s", receiver, reason)
        elif before is not None:
            log.info("alerts are posted again receiver=%s", receiver)

    def _left(self, receiver: str, some: list[Waiting], now_ms: int) -> list[Waiting]:
        """Without what waited for too long, which is given up."""
        over = [one for one in some if choosing.is_over(one, now_ms)]
        self.ledger.add(choosing.row_of(one, now_ms, "ended", "too long") for one in over)
        for one in over:
            log.error("message given up receiver=%s id=%s", receiver, one.key.id)
        return [one for one in some if one not in over]

    def _give(self, lane: ReceiverLane, some: list[Waiting], now_ms: int) -> None:
        own = [one for one in self.ledger.deliveries if one.receiver == lane.receiver]
        choice = choosing.choose(
            self._left(lane.receiver, some, now_ms),
            own,
            now_ms,
            is_person=self._types()[lane.receiver] not in PROGRAMS,
        )
        if choice is None:
            return
        written, writing = self._with_own(choice), self._writing(lane.receiver)
        report = None if self.reports is None else self.reports.mail_of(choice.head)
        if report is not None:
            lane.offer(choice, lambda: report.compose(writing, now_ms))
            return
        lane.offer(choice, lambda: composing.compose(written, writing, now_ms))

    def _with_own(self, choice: Choice) -> Choice:
        """What only we saw belongs into the digest."""
        head = choice.head
        if head.notification.message.what != "digest":
            return choice
        message = own_alerts.with_own(head.notification.message, self.ledger.own)
        about = replace(head.notification, message=message)
        return choice._replace(of=(head._replace(notification=about),))

    def _waiting(self, messages: Messages, now_ms: int) -> dict[str, list[Waiting]]:
        every = [*messages, *self.ledger.messages(now_ms)]
        found: dict[str, list[Waiting]] = {}
        for one in choosing.waiting_of(every, self.ledger.deliveries):
            found.setdefault(one.notification.receiver, []).append(one)
        return found

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


def alertmanagers(settings: Config) -> list[str]:
    """The receivers that get what goes on again and again."""
    return [one.name for one in settings.receiver if one.type == "alertmanager"]


def _posted(some: Iterable[Standing], writing: Writing, now_ms: int) -> list[PostedAlert]:
    """In the words of the message that was due then."""
    found = []
    for about, ended_ms in some:
        one = Waiting(choosing.key_of("store", about), about, 0, about.due_ms)
        words = composing.compose(Choice("single", (one,)), writing, about.due_ms)
        ends_ms = now_ms + alertmanager.ENDS_MS if ended_ms is None else ended_ms
        found.append(PostedAlert(words, ends_ms))
    return found
