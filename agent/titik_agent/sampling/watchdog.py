"""Reports to procd that the sampling thread lives, so that a hang is ended as a crash is.

procd kills and restarts an instance whose `watchdog` time has run out; each call winds it up again.
"""

import logging
import time
from collections.abc import Callable

from titik_agent.hostapd.ubus import Ubus
from titik_agent.hostapd.ubus_blob import UbusError, text_member

log = logging.getLogger(__name__)

INSTANCE = "agent"  # as the init script calls it
EVERY_S = 30.0  # a tenth of what the init script allows
DEADLINE_S = 1.0


class Watchdog:
    """Of one service of procd."""

    def __init__(
        self, socket: str, service: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._ubus = Ubus((socket,), monotonic=monotonic)
        self._arguments = text_member(b"name", service) + text_member(b"instance", INSTANCE)
        self._monotonic = monotonic
        self._service: int | None = None
        self._next = 0.0
        self._failed = False

    def kick(self) -> None:
        """Wind it up, if it is time; what fails is logged once, and tried again."""
        now = self._monotonic()
        if now < self._next:
            return
        self._next = now + EVERY_S
        try:
            self._call(now + DEADLINE_S)
        except UbusError as error:
            self.close()
            if not self._failed:
                log.warning("watchdog not kicked reason=%s", error)
            self._failed = True
        else:
            self._failed = False

    def close(self) -> None:
        """Give the connection back; the next kick opens another."""
        self._ubus.close()
        self._service = None

    def _call(self, deadline: float) -> None:
        if not self._ubus.is_open:
            self._ubus.open(deadline)
            self._service = None
        if self._service is None:
            self._service = self._ubus.lookup("service", deadline).get("service")
        if self._service is None:
            raise UbusError("no object `service`; is the access list installed?")
        self._ubus.call(self._service, "watchdog", deadline, self._arguments)
