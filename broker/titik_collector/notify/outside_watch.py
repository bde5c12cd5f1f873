"""`titik notify watch`: a second machine of the city misses the sign of life, and gives alarm.

Rule: it needs nothing of the server: no store and no broker, only receivers of its own.
Rule: whoever does not know the secret path of the sign gives none.
Rule: what was reported lies on the disk, so that a restart reports nothing twice, and no end is
lost. A place that cannot be written stops no message.
"""

import hmac
import http.server
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

from titik_collector.alerts.alert import AlertSubject, Message
from titik_collector.notify import own_alerts
from titik_collector.notify.all_lanes import ReceiverLanes
from titik_collector.notify.own_alerts import Firing, OwnKey

log = logging.getLogger(__name__)

SILENT_S = 300.0  # a sign comes each minute
LOOK_S = 1.0
READ_S = 5.0  # for a whole request
FINISH_S = 10.0  # for what is under way when it ends
KEY = OwnKey("collector-down", "watched")


@dataclass(eq=False)
class OutsideWatch:
    """Hears signs, and says once that they stay away, and once that they are back."""

    lanes: ReceiverLanes
    path: str
    silent_s: float = SILENT_S
    _heard_at: float = field(default_factory=time.monotonic)
    _heard_ms: int | None = None  # None: no sign came since the start
    _began_ms: int = 0
    _firing: Firing | None = None  # what was reported, and is not over

    def __post_init__(self) -> None:
        self._began_ms = self.lanes.now_ms()  # before the start nothing was missed
        self._firing = own_alerts.firing_of(self.lanes.ledger.own).get(KEY)

    def hear(self, path: str) -> bool:
        """Whether it was a sign."""
        if not hmac.compare_digest(path.encode(), self.path.encode()):
            return False
        self._heard_ms = self.lanes.now_ms()
        self._heard_at = time.monotonic()  # last: who looks in between needs the other
        return True

    def turn(self, wait_s: float = LOOK_S) -> None:
        """Report what is to be reported now, and deliver."""
        self.lanes.take(wait_s)
        self._look()
        self.lanes.offer(())
        self.lanes.ledger.save(self.lanes.now_ms())

    def close(self) -> None:
        """What is under way is finished, or sent again after the next start."""
        until = time.monotonic() + FINISH_S
        while self.lanes.is_busy and time.monotonic() < until:
            self.lanes.take(0.1)
        self.lanes.ledger.close(self.lanes.now_ms())

    def _look(self) -> None:
        is_silent = time.monotonic() - self._heard_at > self.silent_s
        heard_ms, firing = self._heard_ms, self._firing
        if is_silent and firing is None:
            names = tuple(one.name for one in self.lanes.settings.receiver)
            since_ms = self._began_ms if heard_ms is None else heard_ms
            self._firing = Firing(since_ms, names)
            self._say(self._firing.from_ms, None, names)
        if not is_silent and firing is not None and heard_ms is not None:
            self._firing = None
            self._say(firing.from_ms, heard_ms, firing.receivers)

    def _say(self, from_ms: int, to_ms: int | None, receivers: Iterable[str]) -> None:
        log.warning("the server is %s", "silent" if to_ms is None else "heard again")
        message = Message(
            what="firing" if to_ms is None else "resolved",
            kind=KEY.kind,
            severity="critical",
            subject=AlertSubject("server", KEY.name),
            title=self.lanes.settings.city.title,
            from_ms=from_ms,
            to_ms=to_ms,
        )
        self.lanes.ledger.say(message, dict.fromkeys(receivers), self.lanes.now_ms())


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
            watch.turn()
        server.shutdown()
    watch.close()
