"""Work that takes long, one at a time: a few wait, and who comes after them reads that."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from titik_collector.limits import MAX_WAITING_TURNS
from titik_collector.web.city_view import Unanswered

AGAIN_S = 60  # until who finds too many before it comes again


class Turns:
    """Of one kind of work; `busy` is what whoever finds too many before it reads."""

    def __init__(self, title: str, busy: str) -> None:
        self._title, self._busy = title, busy
        self._one = asyncio.Semaphore(1)
        self._asked = 0  # that wait, and the one whose turn it is

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Until the end of the block; Unanswered if too many wait."""
        if self._asked > MAX_WAITING_TURNS:
            raise Unanswered(self._busy, self._title, AGAIN_S)
        self._asked += 1
        try:
            async with self._one:
                yield
        finally:
            self._asked -= 1
