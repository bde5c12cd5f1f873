"""The job that sends people's questions to routers, and keeps what they answer.

Rule: one at a time for each router; a question that nobody answers ends by itself.
Rule: what is in the store counts: a question is sent once, whatever restarts meanwhile.
Rule: an answer to no question of ours, or to one that ended, is left out. So a router writes only
where it was asked.
Rule: those that are asked at once are one commit, because a whole city may be asked.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from titik_collector.alerts.desk_facts import AskedQuestion
from titik_collector.broker_link.inbox import Outbox
from titik_collector.store import router_answers
from titik_collector.store.database import Database
from titik_wire import codec, topics
from titik_wire.fleet_messages import Question, RouterReply
from titik_wire.instant import MINUTE_MS

EVERY_S: Final = 2.0
# Without an answer. A router checks for three quarters of it at most.
GIVE_UP_MS: Final = MINUTE_MS
# A question that is older was asked while no collector was there; who asked has given up.
LATE_MS: Final = MINUTE_MS


@dataclass(eq=False)
class Asking:
    """Knows which answers are awaited."""

    _db: Database
    _outbox: Outbox
    _asked: Callable[[int], Sequence[AskedQuestion]]  # by people, lately
    _router_id: Callable[[str], int | None]  # of a registered one
    _is_offline: Callable[[int], bool]  # it reported so, or the broker did
    _offers: Callable[[], bool]  # the broker's rights let a router hear questions
    _now_ms: Callable[[], int]
    _is_connected: Callable[[], bool]
    _awaited: dict[int, tuple[str, int]] | None = None  # by router, since when; None: read first
    _taken: set[str] = field(default_factory=set)  # ids that need no look into the store

    def due(self, _now: float) -> bool:
        """Whether a question could be sent."""
        return self._is_connected()

    def step(self, _budget_s: float) -> bool:
        """Send what was asked, and end what was not answered."""
        now_ms, awaited = self._now_ms(), self._waiting()
        asked = self._asked(now_ms)
        self._taken &= {one.id for one in asked}
        silent = {
            router_id: question
            for router_id, (question, sent_ms) in awaited.items()
            if not 0 <= now_ms - sent_ms < GIVE_UP_MS
        }
        if silent:
            with self._db.transaction():
                for router_id, question in silent.items():
                    router_answers.end(self._db, router_id, question, now_ms, "silent")
            for router_id in silent:
                del awaited[router_id]
        self._take(
            [one for one in asked if one.id not in self._taken and now_ms - one.at_ms < LATE_MS],
            awaited,
            now_ms,
        )
        return False

    def replied(self, router_id: int, reply: RouterReply) -> None:
        """Something came from a registered router."""
        awaited = self._waiting()
        if awaited.get(router_id, ("", 0))[0] == reply.id:
            with self._db.transaction():
                router_answers.end(self._db, router_id, reply.id, self._now_ms(), reply)
            del awaited[router_id]

    def placed(self) -> None:
        """Routers were added or removed."""
        self._awaited = None

    def _waiting(self) -> dict[int, tuple[str, int]]:
        if self._awaited is None:
            rows = router_answers.awaited(self._db)
            self._awaited = {one.router_id: (one.question, one.sent_ms) for one in rows}
        return self._awaited

    def _take(
        self, asked: Sequence[AskedQuestion], awaited: dict[int, tuple[str, int]], now_ms: int
    ) -> None:
        """Begin them all at once, then send them."""
        fresh = list(self._fresh(asked, awaited))
        if not fresh:
            return
        with self._db.transaction():
            for router_id, one, why in fresh:
                router_answers.begin(self._db, router_id, one.id, now_ms, why)
        for router_id, one, why in fresh:
            self._taken.add(one.id)
            if why is None:
                awaited[router_id] = one.id, now_ms
                payload = codec.encode(Question(one.router, one.id, "check"))
                self._outbox.publish(topics.request(one.router), payload, retain=False)
        self._outbox.flush()

    def _fresh(
        self, asked: Sequence[AskedQuestion], awaited: dict[int, tuple[str, int]]
    ) -> Iterator[tuple[int, AskedQuestion, router_answers.Why | None]]:
        """One of each router at most, and why it cannot be sent."""
        busy = set(awaited)
        for one in asked:
            router_id = self._router_id(one.router)
            if router_id is None or router_id in busy:
                continue  # not yet registered, or asked something else: it is looked at again
            before = router_answers.of_router(self._db, one.router)
            if before is not None and before.question == one.id:
                self._taken.add(one.id)
                continue
            busy.add(router_id)
            why: router_answers.Why | None = None
            if not self._offers():
                why = "not offered"
            elif self._is_offline(router_id):
                why = "offline"
            yield router_id, one, why
