"""What a simulated router answers to a question: it has no process to check itself with."""

from collections.abc import Callable

from titik_agent.wishes.wish_handler import WishDesk, WishHandler
from titik_wire import __version__
from titik_wire.fleet_messages import Question, RouterReply


class SimulatedLook(WishHandler):
    """Answers at once. Of the agent's own lines it has what a node knows."""

    def __init__(self, desk: WishDesk, spooled: Callable[[], int]) -> None:
        super().__init__(desk)
        self._spooled = spooled

    def received(self, message: Question) -> None:
        """Each question has its answer."""
        router = self.desk.router
        agent = f"ok    agent: {__version__}, connected, samples without an ack: {self._spooled()}"
        checks = (agent, f"ok    config: router {router}, simulated")
        self.desk.answer(RouterReply(router, message.id, checks))

    def refused(self, revision: int | None, reason: str) -> None:
        """A later version's question is not answered."""
