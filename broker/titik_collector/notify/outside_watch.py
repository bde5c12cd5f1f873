"""`titik notify watch`: a second machine of the city misses the sign of life, and gives alarm.

Rule: it needs nothing of the server: no store and no broker, only receivers of its own.
Rule: whoever does not know the secret path of the sign gives none.
"""

import hmac
import http.server
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from titik_collector.alerts.alert import AlertSubject, Message, Notification
from titik_collector.config.model import Config
from titik_collector.languages.language import language
from titik_collector.notify import choosing, composing
from titik_collector.notify.channel import Channel, channel_of
from titik_collector.notify.choosing import Choice, Waiting
from titik_collector.notify.composed import Composed
from titik_collector.notify.composing import Writing
from titik_collector.notify.undelivered import Undelivered

log = logging.getLogger(__name__)

SILENT_S = 300.0  # a sign comes each minute
LOOK_S = 1.0
READ_S = 5.0  # for a whole request


@dataclass(eq=False)
class OutsideWatch:
    """Hears signs, and says once that they stay away, and once that they are back."""

    settings: Config
    path: str
    silent_s: float = SILENT_S
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    _heard_at: float = field(default_factory=time.monotonic)
    _heard_ms: int = 0
    _fired_ms: int | None = None  # since when nothing came, if that was reported

    def __post_init__(self) -> None:
        self._heard_ms = self.now_ms()  # before the start nothing was missed

    def hear(self, path: str) -> bool:
        """Whether it was a sign."""
        if not hmac.compare_digest(path.encode(), self.path.encode()):
            return False
        self._heard_at, self._heard_ms = time.monotonic(), self.now_ms()
        return True

    def look(self) -> Message | None:
        """What is to be reported now."""
        is_silent = time.monotonic() - self._heard_at > self.silent_s
        if is_silent and self._fired_ms is None:
            self._fired_ms = self._heard_ms
            return self._message(self._fired_ms, None)
        if not is_silent and self._fired_ms is not None:
            from_ms, self._fired_ms = self._fired_ms, None
            return self._message(from_ms, self._heard_ms)
        return None

    def _message(self, from_ms: int, to_ms: int | None) -> Message:
        return Message(
            what="firing" if to_ms is None else "resolved",
            kind="collector-down",
            severity="critical",
            subject=AlertSubject("server", "watched"),
            title=self.settings.city.title,
            from_ms=from_ms,
            to_ms=to_ms,
        )


def run(watch: OutsideWatch, host: str, port: int, is_stopped: Callable[[], bool]) -> None:
    """Listen and look until it is stopped."""

    class SignRequest(http.server.BaseHTTPRequestHandler):
        timeout = READ_S

        def do_GET(self) -> None:
            """A sign, or somebody else."""
            found = watch.hear(self.path)
            self.send_response(HTTPStatus.NO_CONTENT if found else HTTPStatus.NOT_FOUND)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """The path is a secret."""

    with http.server.ThreadingHTTPServer((host, port), SignRequest) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, name="signs", daemon=True).start()
        while not is_stopped():
            message = watch.look()
            if message is not None:
                report(watch.settings, message, watch.now_ms())
            time.sleep(LOOK_S)
        server.shutdown()


def report(settings: Config, message: Message, now_ms: int) -> None:
    """To each receiver, in a thread of its own that tries again for a day."""
    log.warning("the server is %s", "silent" if message.to_ms is None else "heard again")
    for place, receiver in enumerate(settings.receiver):
        about = Notification(
            number=now_ms + place,
            incident=None,
            receiver=receiver.name,
            made_ms=now_ms,
            due_ms=now_ms,
            message=message,
            is_uncapped=True,
        )
        one = Waiting(choosing.key_of("own", about), about, 0, now_ms)
        writing = Writing(
            language=language(receiver.language or settings.web.language),
            zone=settings.city.timezone,
            city=settings.city.name,
        )
        composed = composing.compose(Choice("single", (one,)), writing, now_ms)
        work = (channel_of(settings, receiver), composed, time.sleep)
        threading.Thread(target=deliver, args=work, daemon=True).start()


def deliver(channel: Channel, one: Composed, wait: Callable[[float], None]) -> bool:
    """Try until it arrives, or for a day."""
    tries = int(choosing.TRIED_MS / 1000 / choosing.LAST_RETRY_S)
    waits = [*choosing.RETRIES_S, *[choosing.LAST_RETRY_S] * tries]
    for wait_s in waits:
        try:
            channel.deliver(one)
        except Undelivered as failure:
            log.warning("not delivered receiver=%s reason=%s", one.receiver, failure.reason)
            if failure.is_permanent:
                return False
            wait(wait_s)
        else:
            return True
    return False
