"""Many routers check themselves: a few at a time, and who is over makes room for the next.

Rule: a router that is offline is not asked.
Rule: where the collector sends no question, or the broker hands none on, no more are asked.
Rule: it ends by itself, whatever routers do.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from titik_collector.accounts.audit import Actor
from titik_collector.alerts.desk_facts import AskedQuestion
from titik_collector.desk import questions
from titik_collector.queries import looks
from titik_collector.queries.looks import FAIL, PATIENCE_MS, WAITS, RouterLook
from titik_collector.store import presence_rows, router_answers
from titik_collector.store.database import Database

AT_ONCE: Final = 40  # fewer than may be open, so that whoever asks one router gets through
Result = Literal[
    "works", "bad lines", "refused", "did not answer", "offline", "no answer yet", "not asked"
]
RESULTS: Final[tuple[Result, ...]] = (
    *("works", "bad lines", "refused", "did not answer"),
    *("offline", "no answer yet", "not asked"),
)


class LookOutcome(NamedTuple):
    """What became of one router's check."""

    router: str
    result: Result
    lines: tuple[str, ...] = ()  # those that are bad, or why the router refused


class CityLook:
    """Of one command. `why` is what ended it early."""

    def __init__(self, db: Database, desk: Database, routers: Sequence[str], now_ms: int) -> None:
        """The store is read, the desk is written to; `routers` are names, in order."""
        self._db = db
        self._desk = desk
        self.why: str | None = None
        self.asked = 0  # questions so far
        self.old = 0  # of them had their answer before
        reachable = presence_rows.reachable(db)
        self.offline = [LookOutcome(one, "offline") for one in routers if one not in reachable]
        self._waiting = deque(one for one in routers if one in reachable)
        self._open: list[AskedQuestion] = []
        self._heard_ms = 0  # when the last question was over that the collector sent
        rounds = -(-len(self._waiting) // AT_ONCE)
        self._until_ms = now_ms + (rounds + 1) * PATIENCE_MS

    @property
    def is_over(self) -> bool:
        """Nobody is asked any more."""
        return not self._open and (self.why is not None or not self._waiting)

    def step(self, actor: Actor) -> list[LookOutcome]:
        """Who is over now; the next ones are asked. The moment is that of `actor`."""
        now_ms = actor.now_ms
        ended = router_answers.ended(self._db)
        found = []
        for one in list(self._open):
            if one.id in ended or not 0 <= now_ms - one.at_ms < PATIENCE_MS:
                look = looks.look(self._db, one, now_ms)
                if look.state != WAITS:
                    self._open.remove(one)
                    found.append(self._over(look, now_ms))
        if self.why is None and now_ms >= self._until_ms:
            self.why = "Others ask too many routers."
        room = AT_ONCE - len(self._open)
        if room > 0 and self._waiting and self.why is None:
            names = [*self._waiting][:room]
            for asked in questions.ask_some(self._desk, names, actor, ended):
                self._waiting.popleft()
                self._open.append(asked)
                self.asked += 1
                self.old += asked.id in ended
        return found

    def left(self) -> list[LookOutcome]:
        """Who is not over."""
        return [
            *(LookOutcome(one.router, "no answer yet") for one in self._open),
            *(LookOutcome(one, "not asked") for one in self._waiting),
        ]

    def all_work(self, found: Sequence[LookOutcome]) -> bool:
        """`found`: all outcomes until now. Who was not asked, or did not answer, does not work."""
        return all(one.result == "works" for one in [*found, *self.left()])

    def _over(self, look: RouterLook, now_ms: int) -> LookOutcome:
        router, reply = look.asked.router, look.reply
        if look.state == "not offered" or (
            look.state == "not taken" and self._heard_ms <= look.asked.at_ms
        ):
            self.why = self.why or looks.WORDS[look.state]
        if look.state in ("not offered", "not taken"):
            return LookOutcome(router, "not asked")
        self._heard_ms = now_ms
        if reply is None:
            return LookOutcome(router, "offline" if look.state == "offline" else "did not answer")
        if reply.refused is not None:
            return LookOutcome(router, "refused", (reply.refused,))
        bad = tuple(line for line in reply.checks if line.startswith(FAIL))
        return LookOutcome(router, "bad lines" if bad else "works", bad)
