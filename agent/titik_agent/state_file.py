"""What the agent does now, as one small JSON file for the router's own page.

Rule: numbers, names of sources and interfaces, and reasons as the log has them. No secret, no
SSID, and nothing of a visitor.
Rule: nothing wakes up for it. It is written once for each sample, with its ack if one comes, and
when the connection changes.
Rule: a file that cannot be written costs nothing but itself.
"""

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from titik_agent import shared_files
from titik_agent.broker_link.collectors import Collectors
from titik_agent.broker_link.connector import Connector
from titik_agent.clock import Clock
from titik_agent.limits import MAX_REASON, MAX_WAYS
from titik_agent.sampling.sampler import Sampler
from titik_agent.sampling.source import Source
from titik_agent.spool.spool import Spool
from titik_wire import __version__
from titik_wire.messages import Sample

if TYPE_CHECKING:
    from titik_wire.fleet_messages import Running

log = logging.getLogger(__name__)

FORMAT: Final = 1  # of the file; rises when a field changes its meaning
# A reason is the system's and never has one; should it ever, the page is no place for it.
_MAC: Final = re.compile(r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}|[0-9a-f]{12,}", re.IGNORECASE)


class StateWriter:
    """Of one agent; `sampled` and `changed` come from its two threads."""

    def __init__(
        self,
        path: str,
        where: str,
        clock: Clock,
        spool: Spool,
        sampler: Sampler,
        connector: Connector,
        collectors: Collectors,
        router: str,
        interval_s: int,
        running: Callable[[], "Running | None"] = lambda: None,
    ) -> None:
        """`where`: the broker's address. `running`: what became of the city's wishes, if any."""
        self._path = path
        self._where = where
        self._clock = clock
        self._spool = spool
        self._sampler = sampler
        self._connector = connector
        self._collectors = collectors
        self._router = router
        self._interval_s = interval_s
        self._running = running
        self._lock = threading.Lock()
        self._written: object = None  # what the connection was like in the file
        self._fails = False

    def sampled(self) -> None:
        """A sample is in the spool; where its ack is about to come, that writes the file."""
        is_quick = self._connector.is_connected and self._collectors.online
        if not is_quick or self._spool.spooled > 1:
            self.write()

    def changed(self) -> None:
        """Something came from the broker, or the connection did or went."""
        if self._connection() != self._written:
            self.write()

    def write(self) -> None:
        """Put the present there."""
        with self._lock:
            self._written = self._connection()
            try:
                content = json.dumps(self._present(), ensure_ascii=False)
                shared_files.replace(self._path, content.encode(errors="replace"))
            except Exception as error:  # a bug costs the file too, and no report
                if not self._fails:
                    is_bug = not isinstance(error, OSError)
                    log.warning("state file cannot be written reason=%s", error, exc_info=is_bug)
                self._fails = True
            else:
                self._fails = False

    def remove(self) -> None:
        """The agent ends."""
        with suppress(OSError):
            os.unlink(self._path)

    def _connection(self) -> object:
        connector = self._connector
        return (
            connector.is_connected,
            connector.next_try_at,
            len(self._collectors.online),
            self._spool.settled_at,
            self._running(),
        )

    def _present(self) -> Mapping[str, Any]:
        now = self._clock.monotonic()

        def ago_ms(then: float | None) -> int | None:
            return None if then is None else int((now - then) * 1000)

        uptime_ms, spool, connector = self._clock.uptime_ms(), self._spool, self._connector
        is_waiting = not connector.is_connected
        running = self._running()
        in_force = None if running is None else running.in_force
        present = {
            "v": FORMAT,
            "router": self._router,
            "version": __version__,
            "python": sys.version.split()[0],
            "uptime_ms": uptime_ms,
            "clock": self._clock.quality(),
            "interval_s": self._interval_s if in_force is None else in_force.interval_s,
            "settings": None if running is None else _settings(running),
            "broker": {
                "where": self._where,
                "connected": connector.is_connected,
                "since_ago_ms": ago_ms(connector.since),
                "reason": _reason(connector.trouble),
                "next_try_ms": _until_ms(connector.next_try_at, now) if is_waiting else None,
                "collectors": len(self._collectors.online),
                "acked_ago_ms": ago_ms(spool.settled_at),
            },
            "spool": {
                "samples": spool.spooled,
                "bytes": spool.held_bytes,
                "oldest_ago_ms": ago_ms(spool.waits_since),
                "merged": spool.merged,
                "lost": spool.lost,
                "corrupt": spool.corrupt,
            },
        }
        return {**present, **self._sampled(self._sampler.newest, uptime_ms)}

    def _sampled(self, sample: Sample | None, uptime_ms: int) -> Mapping[str, Any]:
        """What the newest sample adds."""
        failing = self._sampler.failing
        return {
            "sources": [
                {"name": one.name, **_source(one, sample, failing)} for one in self._sampler.sources
            ],
            "sample": sample
            and {
                "seq": sample.seq,
                "ago_ms": uptime_ms - sample.uptime_ms,
                "clients": sample.clients,
                "off_air": bool(sample.off_air),
                "flow_offload": bool(sample.flow_offload),
                "uplinks": [
                    {"ifname": one.ifname, "up": one.up}
                    for one in sample.net or ()
                    if one.role == "uplink"
                ][:MAX_WAYS],
            },
        }


def _settings(running: "Running") -> Mapping[str, Any] | None:
    """What became of the city's settings; None: it has none for this router."""
    found = running.settings
    return (
        None
        if found is None
        else {
            "revision": found.revision,
            "state": found.state,
            "reason": _reason(found.reason),
        }
    )


def _source(
    source: Source, sample: Sample | None, failing: Mapping[str, str]
) -> Mapping[str, str | None]:
    reason = failing.get(source.name)
    if reason is not None:
        return {"state": "failed", "reason": _reason(reason)}
    if sample is None:
        return {"state": "unread"}
    return {"state": "none" if getattr(sample, source.field) is None else "ok"}


def _until_ms(then: float, now: float) -> int:
    return max(0, int((then - now) * 1000))


def _reason(text: str | None) -> str | None:
    return None if text is None else _MAC.sub("...", text)[:MAX_REASON]
