"""Questions of the city: the `Looker` finds the answer, and this hands it on.

Rule: a question is no wish. It changes nothing, so nothing of it is in `running`.
"""

import math

from titik_agent.looking.looker import Looker
from titik_agent.wishes.wish_handler import WishDesk, WishHandler
from titik_wire.fleet_messages import Question


class QuestionHandler(WishHandler):
    """Of one router."""

    def __init__(self, desk: WishDesk, looker: Looker) -> None:
        super().__init__(desk)
        self._looker = looker

    def received(self, message: Question) -> None:
        """Begin to look, or refuse to."""
        self._looker.ask(message)

    def refused(self, revision: int | None, reason: str) -> None:
        """A later version's question is not answered."""

    def step(self, now: float) -> float:  # noqa: ARG002
        """Hand on what was found; whoever found it woke us."""
        while (reply := self._looker.take()) is not None:
            self.desk.answer(reply)
        return math.inf

    def close(self) -> None:
        """A check that goes on is of no use any more."""
        self._looker.close()
