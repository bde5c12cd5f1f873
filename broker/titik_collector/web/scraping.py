"""`/metrics`: the city for Prometheus, whose questions are called scrapes.

Rule: one answer is made at a time, in a thread. Whoever asks within a second gets the same one.
Rule: a city that cannot be read now has no series; what is known without it is answered.
"""

import asyncio
import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.config.model import Config
from titik_collector.metrics import measured
from titik_collector.metrics.firing import FiringAlert
from titik_collector.metrics.growing import Growth, RouterCounters
from titik_collector.metrics.measured import REFUSED, STORED, Measured, MeasuredCity, StoreAnswer
from titik_collector.own_state import collector_state
from titik_collector.queries import failing_receivers
from titik_collector.queries.status import CityStatus
from titik_collector.web.city_view import CityView, Unanswered
from titik_collector.web.live import Streams
from titik_wire import __version__

KEEP_S = 1.0
MEDIA = "text/plain; version=0.0.4; charset=utf-8"  # which every Prometheus reads


class Scrapes:
    """What is remembered from one answer to the next."""

    def __init__(self, city: CityView, streams: Streams) -> None:
        self._city = city
        self._streams = streams
        self._capacity = {
            one.name: one.capacity for one in city.config.site if one.capacity is not None
        }
        self._bytes = RouterCounters()
        self._lost = Growth()
        self._settled = Growth()
        self._one = asyncio.Lock()
        self._made: bytes | None = None
        self._made_s = 0.0

    async def answer(self) -> Response:
        """The city now, or a moment ago."""
        async with self._one:
            if self._made is None or time.monotonic() - self._made_s > KEEP_S:
                made = await asyncio.to_thread(_text, await self._measure())
                self._made, self._made_s = made, time.monotonic()
            return Response(self._made, headers={"Content-Type": MEDIA})

    async def _measure(self) -> Measured:
        city, streams = self._city, len(self._streams)
        if not city.is_seen or not city.snapshot.is_read_now:
            return Measured(__version__, streams, self._is_connected(time.time_ns() // 1_000_000))
        status, now_ms = city.snapshot.status, city.now_ms
        seen, connected = self._see(status), self._is_connected(now_ms)
        asked = self._bytes.asked(now_ms)
        try:
            answer = await city.ask(lambda db: measured.ask(db, asked))
        except Unanswered:  # why is in the log and on each page
            return Measured(__version__, streams, connected, seen)
        return Measured(
            __version__,
            streams,
            connected,
            seen,
            self._count(answer, status, now_ms),
            [*answer.alerts, *await asyncio.to_thread(_unreached, city.config, now_ms)],
            None if answer.beat_ms is None else max(0, now_ms - answer.beat_ms),
        )

    def _see(self, status: CityStatus) -> MeasuredCity:
        _, stored, refused, _, _ = status.totals
        return MeasuredCity(
            status,
            self._capacity,
            self._lost.look({one.name: one.line.lost for one in status.routers()}),
            self._settled.look({STORED: stored, REFUSED: refused}),
        )

    def _count(
        self, answer: StoreAnswer, status: CityStatus, now_ms: int
    ) -> measured.BytesByRouter:
        routers = [one.name for one in status.routers()]
        read = answer.settled, answer.still_open
        return self._bytes.look(answer.asked, *read, routers, now_ms)

    def _is_connected(self, now_ms: int) -> bool | None:
        """What the collector's own file says; None: there is none, or nobody writes it."""
        state = collector_state.read(self._city.config.state_files)
        return None if state is None or state.is_stale(now_ms) else state.connected


def _unreached(config: Config, now_ms: int) -> list[FiringAlert]:
    """Receivers that nothing reaches: an alert that only the notifier can see."""
    return [
        FiringAlert("delivery-failing", "server", one.receiver, "warning")
        for one in failing_receivers.look(config, now_ms)
    ]


def _text(known: Measured) -> bytes:
    # Imported here: where no Prometheus asks, the page does without its 11 MB.
    from titik_collector.metrics import exposition

    return exposition.text(known)


async def _metrics(request: Request) -> Response:
    scrapes: Scrapes = request.app.state.scrapes
    return await scrapes.answer()


ROUTES = [Route("/metrics", _metrics)]
