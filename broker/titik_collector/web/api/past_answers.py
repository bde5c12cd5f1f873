"""Answers of the past that are kept, and what computing them may cost.

Rule: the cost is counted for everybody together, because a city's own Wi-Fi is one address. What
is kept costs nothing.
Rule: where the budget is spent, the answer is that there is none now. The collector keeps the
processor.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

from starlette.requests import Request

from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_KEPT_ANSWERS, MAX_KEPT_BYTES
from titik_collector.web.city_view import Unanswered

# Windows of one subject. A core reads some 100,000 in a second, and this is a tenth of it.
PER_S = 10_000
AT_ONCE = 300_000


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """Bytes, and how long they are true."""

    body: bytes
    keep_s: int


@dataclass(slots=True)
class _Kept:
    answer: KeptAnswer
    until: float


def past_of(request: Request) -> "PastBudget":
    """Those of this server."""
    found: PastBudget = request.app.state.past
    return found


class PastBudget:
    """Those of one server."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._bytes = 0
        self._budget = float(AT_ONCE)
        self._filled_at = monotonic()

    async def get(
        self, key: Hashable, windows: int, make: Callable[[], Awaitable[KeptAnswer]]
    ) -> KeptAnswer:
        """The kept answer, or a new one that reads so many windows; Unanswered: it cannot be."""
        if (kept := self.kept(key)) is not None:
            return kept
        self.spend(windows)
        answer = await make()
        self._keep(key, answer)
        return answer

    def kept(self, key: Hashable) -> KeptAnswer | None:
        """What is true of it still; None: it has to be made."""
        found = self._kept.get(key)
        if found is None or self._monotonic() >= found.until:
            return None
        self._kept.move_to_end(key)
        return found.answer

    def spend(self, windows: int) -> None:
        """So many windows are read; Unanswered: not now."""
        now = self._monotonic()
        self._budget = min(AT_ONCE, self._budget + (now - self._filled_at) * PER_S)
        self._filled_at = now
        if windows > self._budget:
            raise Unanswered(
                marked(
                    "too much of the past is asked for at once; try again in a moment, or ask for a"
                    " longer window"
                )
            )
        self._budget -= windows

    def _keep(self, key: Hashable, answer: KeptAnswer) -> None:
        self._drop(key)
        self._kept[key] = _Kept(answer, self._monotonic() + answer.keep_s)
        self._bytes += len(answer.body)
        while len(self._kept) > MAX_KEPT_ANSWERS or self._bytes > MAX_KEPT_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._bytes -= len(gone.answer.body)
