"""A sign of life for a service outside, each minute while all is well; silence is the alarm.

Rule: it is sent only if the collector stores, its beat came through the broker, and some receiver
of critical messages can be reached. So it goes on with every router off.
Rule: it has a thread of its own, and whoever looks must have looked a short while ago.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from titik_collector.config.receiver_tables import Heartbeat
from titik_collector.notify import http_call, webhook
from titik_collector.notify.http_call import DEADLINE_S, HttpCall
from titik_collector.notify.undelivered import Undelivered, nothing

log = logging.getLogger(__name__)

EVERY_S = 60.0
HEARD_S = 30.0  # a beat comes every 10 s
LOOKED_S = 30.0  # whoever looks hangs after that


class Health(NamedTuple):
    """What was found at one look."""

    looked_at: float  # monotonic
    is_alive: bool  # the collector's beat in the store is fresh
    silent_s: float | None  # for how long no beat came through the broker; None: none came yet
    is_reachable: bool  # some receiver of critical messages


def why_silent(health: Health | None, now: float) -> str | None:
    """Why no sign is given; None: all is well."""
    if health is None or now - health.looked_at > LOOKED_S:
        return "the store was not looked at"
    if not health.is_alive:
        return "the collector does not store"
    if health.silent_s is None or health.silent_s > HEARD_S:
        return "no beat of the collector came through the broker"
    return None if health.is_reachable else "no receiver of critical messages can be reached"


@dataclass(eq=False)
class Heart:
    """Gives the sign; `health` is set by who looks."""

    settings: Heartbeat
    every_s: float = EVERY_S
    wait: Callable[[float], None] = time.sleep
    health: Health | None = None
    _logged: str | None = field(default=None)

    def start(self) -> None:
        """Begin, if there is an address."""
        if self.settings.is_given:
            threading.Thread(target=self._beat_on, name="heartbeat", daemon=True).start()

    def beat(self) -> None:
        """One sign, or none; what changes is logged."""
        problem = why_silent(self.health, time.monotonic())
        if problem is None:
            problem = self._send()
        if problem != self._logged and problem is not None:
            log.warning("no heartbeat reason=%s", problem)
        elif problem != self._logged:
            log.info("heartbeat again")
        self._logged = problem

    def _send(self) -> str | None:
        try:
            url = self.settings.url or webhook.read_url(self.settings.url_file)
            http_call.send(HttpCall("GET", url, "heartbeat.url"), DEADLINE_S, nothing)
        except Undelivered as failure:
            return f"{failure.reason}; {failure.remedy}" if failure.remedy else failure.reason
        return None

    def _beat_on(self) -> None:
        while True:
            # As the first look comes a moment after the start.
            self.wait(min(5.0, self.every_s) if self.health is None else self.every_s)
            try:
                self.beat()
            except Exception:  # a bug costs this sign, and not all that follow
                log.exception("a bug stops a heartbeat")
