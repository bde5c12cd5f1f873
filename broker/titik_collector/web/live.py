"""`/events`: the city as it changes, as server-sent events; one stream for each visible tab.

Rule: a stream begins with a snapshot; whoever was away begins again with one.
Rule: what waits for a slow reader is bounded. Above it the reader is sent away, and comes again.
Rule: a stream says each second that it lives, so that a page sees soon when it does not.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from titik_collector.limits import MAX_STREAM_QUEUE, MAX_STREAMS
from titik_collector.web import live_rows
from titik_collector.web.city_view import CityView
from titik_collector.web.live_rows import SITES, LiveRows
from titik_collector.web.rendering import city_of

BEAT_S = 1.0
RETRY_MS, JITTER_MS = 3000, 2000  # until a browser comes again; not all at the same moment
COME_AGAIN_S = 30  # where all streams are taken
RESYNC = live_rows.event("resync", b"{}")
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx would wait for more


class Stream:
    """One reader and what waits for it."""

    def __init__(self, of: str) -> None:
        self.of = of
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(MAX_STREAM_QUEUE)
        self._is_over = False

    def put(self, event: bytes) -> None:
        """One event more; where there is no room for it, the reader is sent away."""
        if self._is_over:
            return
        if self._waiting.full():
            while not self._waiting.empty():
                self._waiting.get_nowait()
            event, self._is_over = RESYNC, True
        self._waiting.put_nowait(event)

    async def events(self) -> AsyncIterator[bytes]:
        """What is sent, until it is over."""
        yield f"retry: {RETRY_MS + random.randrange(JITTER_MS)}\n\n".encode()
        event = b""
        while event is not RESYNC:
            event = await self._waiting.get()
            yield event


class Streams:
    """All open streams of one city."""

    def __init__(self, city: CityView) -> None:
        self._city = city
        self._open: dict[str, set[Stream]] = defaultdict(set)  # by what they are of
        self._sent: dict[str, LiveRows] = {}  # what their readers know
        self._is_blind = False  # as the newest health has it
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beating: asyncio.Task[None] | None = None
        city.listen(self._heard)

    def __len__(self) -> int:
        return sum(map(len, self._open.values()))

    def join(self, of: str) -> Stream:
        """A new stream, with its snapshot."""
        stream = Stream(of)
        if of not in self._sent:
            self._sent[of] = live_rows.rows(self._city.config, self._city.snapshot, of)
        stream.put(_snapshot(self._sent[of]))
        stream.put(self._health())
        self._open[of].add(stream)
        if self._beating is None:
            self._loop = asyncio.get_running_loop()
            self._beating = self._loop.create_task(self._beat())
        return stream

    def leave(self, stream: Stream) -> None:
        """Its reader is gone."""
        self._open[stream.of].discard(stream)
        if not self._open[stream.of]:
            del self._open[stream.of], self._sent[stream.of]

    def _heard(self) -> None:
        """In the thread that gathers: a new snapshot is there."""
        if self._beating is not None and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._publish)

    def _publish(self) -> None:
        """What changed, to each that shows it; the banner comes and goes with the states."""
        if self._is_blind == self._city.snapshot.is_true_now:
            self._send_health()
        for of, streams in self._open.items():
            old, new = self._sent[of], live_rows.rows(self._city.config, self._city.snapshot, of)
            self._sent[of] = new
            if old.rows == new.rows:
                continue
            changed = live_rows.changes(old, new)
            event = _snapshot(new) if changed is None else live_rows.event("now", changed)
            for stream in streams:
                stream.put(event)

    async def _beat(self) -> None:
        """Until nobody reads."""
        while self._open:
            await asyncio.sleep(BEAT_S)
            self._send_health()
        self._beating = None

    def _send_health(self) -> None:
        health = self._health()
        for streams in self._open.values():
            for stream in streams:
                stream.put(health)

    def _health(self) -> bytes:
        health = live_rows.health(self._city)
        self._is_blind = health["blind"]
        return live_rows.event("health", msgspec.json.encode(health))


def _snapshot(rows: LiveRows) -> bytes:
    return live_rows.event("snapshot", live_rows.whole(rows), rows.number)


class EventStream(StreamingResponse):
    """A stream as an answer, which leaves when its reader does."""

    def __init__(self, streams: Streams, stream: Stream) -> None:
        super().__init__(stream.events(), media_type="text/event-stream", headers=HEADERS)
        self._streams, self._stream = streams, stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Until the reader is gone, or is sent away."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.leave(self._stream)


async def _events(request: Request) -> Response:
    """A stream; with `once` only its snapshot, for browsers that get no stream."""
    of = request.query_params.get("of", SITES)
    city = city_of(request)
    if "once" in request.query_params:
        whole = live_rows.whole(live_rows.rows(city.config, city.snapshot, of))
        both = {"health": live_rows.health(city), "snapshot": msgspec.Raw(whole)}
        return Response(msgspec.json.encode(both), media_type="application/json")
    streams: Streams = request.app.state.streams
    if len(streams) >= MAX_STREAMS:
        busy = {"title": "All streams are taken", "status": 503, "detail": "ask with ?once"}
        headers = {"Retry-After": str(COME_AGAIN_S)}
        return JSONResponse(busy, 503, headers, "application/problem+json")
    return EventStream(streams, streams.join(of))


ROUTES = [Route("/events", _events)]
