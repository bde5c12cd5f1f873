"""What became of a question to a router, for whoever asked: a command or the page."""

from typing import Final, Literal, NamedTuple

from titik_collector.alerts.desk_facts import AskedQuestion
from titik_collector.languages.codes import marked
from titik_collector.store import router_answers
from titik_collector.store.database import Database
from titik_wire.fleet_messages import RouterReply

# Longer than the collector waits for a router, by the time that it takes to see a question.
PATIENCE_MS: Final = 75_000
WAITS: Final = "waits"
FAIL: Final = "FAIL"  # how a line of a check begins that failed
State = Literal["waits", "answered", "offline", "silent", "not offered", "not taken"]
# Why there is no answer.
WORDS: Final[dict[str, str]] = {
    "offline": marked("The router is offline: it cannot be asked now."),
    "silent": marked(
        "No answer came within a minute: the router was cut off, or its agent is older and cannot"
        " be asked."
    ),
    "not offered": marked(
        "The broker does not let routers hear questions; bring its rights up to date: titik broker"
        " init"
    ),
    "not taken": marked("The collector did not send the question; titik status shows why."),
}


class RouterLook(NamedTuple):
    """A question, and what is known of it now."""

    asked: AskedQuestion
    state: State
    reply: RouterReply | None = None
    ended_ms: int | None = None  # None: it goes on, or the collector does not know it

    @property
    def is_good(self) -> bool:
        """The router looked, and no step failed."""
        reply = self.reply
        if reply is None or reply.refused is not None:
            return False
        return not any(line.startswith(FAIL) for line in reply.checks)

    def age_ms(self, now_ms: int) -> int | None:
        """Since the answer came, or since it is known that none comes."""
        return None if self.ended_ms is None else max(0, now_ms - self.ended_ms)


def look(db: Database, asked: AskedQuestion, now_ms: int) -> RouterLook:
    """As the store has it."""
    row = router_answers.of_router(db, asked.router)
    if row is not None and row.question == asked.id and row.ended_ms is not None:
        return RouterLook(asked, row.why or "answered", row.reply, row.ended_ms)
    is_late = not 0 <= now_ms - asked.at_ms < PATIENCE_MS
    return RouterLook(asked, "not taken" if is_late else "waits")
