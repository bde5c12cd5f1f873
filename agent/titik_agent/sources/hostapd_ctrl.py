"""The BSSes of an access point without ubus, as hostapd tells on its control interface.

Every socket in hostapd's directory is a BSS, named after its interface.

Rule: a list of stations that broke off is no list: that BSS has no count, and so there is no total.
Rule: a BSS that does not answer is asked last the next time, so that one hostapd that hangs cannot
use up the time of another.
Rule: no BSS at all is a failure, not zero clients: an access point has some.
"""

import logging
import os
import stat
import time
from collections.abc import Callable
from typing import Protocol

from titik_agent import frequency
from titik_agent.ctrl import Addresses, Ctrl, CtrlError
from titik_agent.sketch import Sketch
from titik_agent.sources import SourceError
from titik_agent.sources.ctrl_replies import (
    CannotListError,
    CtrlStatus,
    list_stations,
    parse_status,
)
from titik_agent.stations import Station, Tracker
from titik_wire.messages import Bss

log = logging.getLogger(__name__)

READ_S = 2.0  # for all of a read: a hung hostapd must not stall sampling
MAX_BSSES = 64  # the contract's limit

_MAX_IFNAME = 15  # Linux has no longer ones
_JOINED = b"AP-STA-CONNECTED "
_CHANGES = (_JOINED, b"AP-STA-DISCONNECTED ", b"AP-ENABLED", b"AP-DISABLED", b"CTRL-EVENT-TERM")


class Interfaces(Protocol):
    """Byte counters of a BSS: its own interface and the AP_VLANs under it."""

    def bss_counters(self, ifname: str) -> tuple[str, int, int] | None:
        """`since`, received and sent bytes; None if they cannot be read."""
        ...


class HostapdCtrl:
    """The section `bss`."""

    name = "hostapd"
    field = "bss"

    def __init__(
        self,
        interfaces: Interfaces,
        tracker: Tracker,
        sketch: Sketch,
        directory: str = "/var/run/hostapd",
        addresses: Addresses | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interfaces = interfaces
        self._tracker = tracker
        self._sketch = sketch
        self._directory = directory
        self._addresses = addresses or Addresses()
        self._monotonic = monotonic
        self._listeners: dict[str, Ctrl] = {}
        self._failing: dict[str, None] = {}  # BSSes, the one asked longest ago first
        self._deaf: set[str] = set()  # BSSes that refused to tell events, said once
        self._changed = False

    @property
    def saturated(self) -> bool:
        """More clients than are tracked one by one; counts are still right."""
        return self._tracker.saturated

    def read(self) -> tuple[Bss, ...]:
        end = self._monotonic() + READ_S
        servers = self._find()
        self._forget_all_but(servers)
        self.pump()  # makes room for answers
        failures: list[CtrlError] = []
        found = [
            self._read_bss(name, servers[name], end, failures) for name in self._turns(servers)
        ]
        bsses = [bss for bss in found if bss is not None]
        self._changed = False  # whatever it was, the clients are counted only now
        if len(failures) == len(bsses):
            raise SourceError(str(failures[0]) if failures else self._nothing())
        return tuple(sorted(bsses, key=lambda bss: bss.ifname))

    def filenos(self) -> tuple[int, ...]:
        return tuple([listener.fileno() for listener in self._listeners.values()])

    def pump(self) -> bool:
        for ifname, listener in list(self._listeners.items()):
            try:
                listener.pump()
            except CtrlError as error:
                # The next read attaches again: hostapd needs a moment to come back.
                log.warning("events lost, until the next sample bss=%s reason=%s", ifname, error)
                self._listeners.pop(ifname).close()
        changed, self._changed = self._changed, False
        return changed

    def close(self) -> None:
        self._forget_all_but({})
        self._addresses.close()

    def _find(self) -> dict[str, str]:
        """The socket of each BSS, by interface."""
        servers = {}
        try:
            for ifname in sorted(os.listdir(self._directory)):
                path = os.path.join(self._directory, ifname)
                if ifname != "global" and len(ifname) <= _MAX_IFNAME and ifname.isprintable():
                    servers.update({ifname: path} if _is_socket(path) else {})
        except FileNotFoundError as error:
            raise SourceError(self._nothing()) from error
        except OSError as error:
            raise SourceError(
                f"{self._directory}: {error.strerror or error} (is this user in the group"
                " that hostapd.conf names as ctrl_interface_group?)"
            ) from error
        if len(servers) > MAX_BSSES:
            raise SourceError(f"more than {MAX_BSSES} BSSes in {self._directory}")
        return servers

    def _nothing(self) -> str:
        return (
            f"no BSS in {self._directory}: hostapd is not running,"
            " or its hostapd.conf has no ctrl_interface there"
        )

    def _turns(self, servers: dict[str, str]) -> list[str]:
        healthy = [ifname for ifname in servers if ifname not in self._failing]
        return healthy + list(self._failing)

    def _read_bss(
        self, ifname: str, server: str, end: float, failures: list[CtrlError]
    ) -> Bss | None:
        """Without a count where it fails. None: not the socket of a BSS."""
        if self._monotonic() >= end:
            # Not asked, so it keeps its place, before those that were.
            failures.append(CtrlError("no time left to ask it"))
            return self._bss(ifname, None, None)
        try:
            bss = self._ask(ifname, server, end)
        except CannotListError as error:
            raise SourceError(str(error)) from error
        except CtrlError as error:
            failures.append(error)
            self._say_failed(ifname, error)
            return self._bss(ifname, None, None)
        self._say_back(ifname)
        return bss

    def _ask(self, ifname: str, server: str, end: float) -> Bss | None:
        ctrl = Ctrl(self._addresses, server, monotonic=self._monotonic)
        try:
            status = parse_status(ifname, ctrl.ask(b"STATUS", end))
            if status is None:
                return None
            # Attached before the clients are counted, so that no change falls between.
            self._follow(ifname, server, end)
            stations = list_stations(lambda question: ctrl.ask(question, end))
        finally:
            ctrl.close()
        return self._bss(ifname, status, stations)

    def _follow(self, ifname: str, server: str, end: float) -> None:
        """Hear this BSS's events. Without them, samples come at their interval."""
        listener = self._listeners.pop(ifname, None)
        if listener is not None:
            try:
                if listener.is_attached(end):
                    self._listeners[ifname] = listener
                    return
            except CtrlError as error:
                log.info("events lost, attaching again bss=%s reason=%s", ifname, error)
            listener.close()
        listener = Ctrl(self._addresses, server, self._hear, self._monotonic)
        attached = False
        try:
            attached = listener.attach(end)
        finally:
            if not attached:
                listener.close()
        if attached:
            self._listeners[ifname] = listener
            self._deaf.discard(ifname)
        elif ifname not in self._deaf:
            self._deaf.add(ifname)
            log.warning("events refused, the interval remains bss=%s", ifname)

    def _hear(self, event: bytes) -> None:
        if event.startswith(_JOINED):
            mac = event[len(_JOINED) :].split(b" ")[0].decode("ascii", "replace")
            self._sketch.add(mac)  # it may be gone before the next read
        self._changed |= event.startswith(_CHANGES)

    def _bss(self, ifname: str, status: CtrlStatus | None, stations: list[Station] | None) -> Bss:
        since, rx_bytes, tx_bytes = self._interfaces.bss_counters(ifname) or (None, None, None)
        tally = None
        if stations is not None:
            tally = self._tracker.tally(ifname, stations)
            self._sketch.add(*[each.mac for each in stations if each.authorized])
        freq_mhz = status.freq_mhz if status else 0
        return Bss(
            ifname=ifname,
            ssid=status.ssid if status else None,
            band=frequency.band(freq_mhz),
            channel=(status.channel if status else None) or frequency.channel(freq_mhz),
            utilization_ratio=status.utilization_ratio if status else None,
            clients=tally.clients if tally else None,
            active=tally.active if tally else None,
            weak=tally.weak if tally else None,
            since=since,
            rx_bytes=rx_bytes,
            tx_bytes=tx_bytes,
        )

    def _forget_all_but(self, servers: dict[str, str]) -> None:
        """What is known of BSSes that are no more."""
        for ifname in self._listeners.keys() - servers.keys():
            self._listeners.pop(ifname).close()
        self._failing = {ifname: None for ifname in self._failing if ifname in servers}
        self._deaf &= servers.keys()
        self._tracker.keep(servers)

    def _say_failed(self, ifname: str, error: CtrlError) -> None:
        if ifname not in self._failing:
            log.warning("bss unreadable bss=%s reason=%s", ifname, error)
        self._failing.pop(ifname, None)
        self._failing[ifname] = None  # asked last the next time

    def _say_back(self, ifname: str) -> None:
        if ifname in self._failing:
            del self._failing[ifname]
            log.info("bss readable again bss=%s", ifname)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False  # it vanished just now
