"""The BSSes of an access point without ubus, as hostapd reports them on its control interface.

Every socket in hostapd's directory is a BSS, named after its interface. Where a BSS has several
links (MLO), each socket is one of the links, `wlan0_link1` of `wlan0`. The BSS is all of them
together.
Rule: a list of stations that broke off is no list: that BSS has no count, and so there is no total.
Rule: a BSS that does not answer is asked last the next time. An answer is waited for no longer than
its share of the time left, so that a hostapd that hangs uses up no other's time.
Rule: no BSS at all is a failure, not zero clients: an access point has some.
"""

import logging
import os
import re
import stat
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from titik_agent.hostapd.bss_status import BssStatus
from titik_agent.hostapd.control_replies import CannotListError, list_stations, parse_status
from titik_agent.hostapd.control_socket import Addresses, ControlError, ControlSocket
from titik_agent.hostapd.station import Station, one_each
from titik_agent.sampling.source import SourceError
from titik_agent.sampling.stations import Tracker
from titik_agent.sources.bss_section import READ_S, BssCounters, BssSection
from titik_agent.sources.visitors import Sketch
from titik_wire.limits import MAX_BSSES, MAX_IFNAME
from titik_wire.messages import Bss

log = logging.getLogger(__name__)

_LINK = re.compile(r"(.+)_link[0-9]+")
_JOINED = b"AP-STA-CONNECTED "
_CHANGES = (_JOINED, b"AP-STA-DISCONNECTED ", b"AP-ENABLED", b"AP-DISABLED", b"CTRL-EVENT-TERM")


class _Link(NamedTuple):
    """What one socket answered; a BSS has one, or several (MLO)."""

    status: BssStatus
    stations: list[Station]


class HostapdControl(BssSection):
    """By its control interface."""

    def __init__(
        self,
        interfaces: BssCounters,
        tracker: Tracker,
        sketch: Sketch,
        directory: str,
        addresses: Addresses | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(interfaces, tracker, sketch, monotonic)
        self._directory = directory
        self._addresses = addresses or Addresses()
        self._listeners: dict[str, ControlSocket] = {}  # by socket
        self._failing: dict[str, None] = {}  # BSSes, the one asked longest ago first
        self._eventless: set[str] = set()  # sockets that refused events, logged once

    def read(self) -> tuple[Bss, ...]:
        end = self._monotonic() + READ_S
        servers = self._find()
        self._forget_all_but(servers)
        self.pump()  # makes room for answers
        failures: list[ControlError] = []
        turns = self._turns(servers)
        found = [
            self._read_bss(ifname, servers[ifname], _Turn(self._monotonic, end, left), failures)
            for left, ifname in zip(range(len(turns), 0, -1), turns, strict=True)
        ]
        bsses = [bss for bss in found if bss is not None]
        self._changed = False  # whatever it was, the clients are counted only now
        if len(failures) == len(bsses):
            raise SourceError(str(failures[0]) if failures else self._nothing())
        return tuple(sorted(bsses, key=lambda bss: bss.ifname))

    def filenos(self) -> tuple[int, ...]:
        return tuple([listener.fileno() for listener in self._listeners.values()])

    def pump(self) -> bool:
        for server, listener in list(self._listeners.items()):
            try:
                listener.pump()
            except ControlError as error:
                # The next read attaches again: hostapd needs a moment to come back.
                name = os.path.basename(server)
                log.warning("events lost, until the next sample bss=%s reason=%s", name, error)
                self._listeners.pop(server).close()
        return self._take_changed()

    def close(self) -> None:
        self._forget_all_but({})
        self._addresses.close()

    def _find(self) -> dict[str, list[str]]:
        """The sockets of each BSS, by interface."""
        servers: dict[str, list[str]] = {}
        try:
            for name in sorted(os.listdir(self._directory)):
                path = os.path.join(self._directory, name)
                if name != "global" and name.isprintable() and _is_socket(path):
                    servers.setdefault(interface(name), []).append(path)
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

    def _turns(self, servers: dict[str, list[str]]) -> list[str]:
        healthy = [ifname for ifname in servers if ifname not in self._failing]
        return healthy + list(self._failing)

    def _read_bss(
        self, ifname: str, servers: list[str], turn: "_Turn", failures: list[ControlError]
    ) -> Bss | None:
        """Without a count where it fails. None: not the socket of a BSS."""
        if turn.is_over():
            # Not asked, so it keeps its place, before those that were.
            failures.append(ControlError("no time left to ask it"))
            return self._bss(BssStatus(ifname), None)
        try:
            links = [self._ask(ifname, server, turn) for server in servers]
        except CannotListError as error:
            raise SourceError(str(error)) from error
        except ControlError as error:
            failures.append(error)
            self._log_failed(ifname, error)
            return self._bss(BssStatus(ifname), None)
        self._log_back(ifname)
        known = [link for link in links if link is not None]
        if not known:
            return None
        return self._bss(_joined(known), one_each(each for link in known for each in link.stations))

    def _ask(self, ifname: str, server: str, turn: "_Turn") -> _Link | None:
        control = ControlSocket(self._addresses, server, monotonic=self._monotonic)
        try:
            status = parse_status(ifname, control.ask(b"STATUS", turn.by()))
            if status is None:
                return None
            # Attached before the clients are counted, so that no change falls between.
            self._follow(server, turn)
            stations: list[Station] = []
            if not status.off_air:
                stations = list_stations(lambda question: control.ask(question, turn.by()))
        finally:
            control.close()
        return _Link(status, stations)

    def _follow(self, server: str, turn: "_Turn") -> None:
        """Hear this socket's events. Without them, samples come at their interval."""
        name = os.path.basename(server)
        listener = self._listeners.pop(server, None)
        if listener is not None:
            try:
                if listener.is_attached(turn.by()):
                    self._listeners[server] = listener
                    return
            except ControlError as error:
                log.info("events lost, attaching again bss=%s reason=%s", name, error)
            listener.close()
        listener = ControlSocket(self._addresses, server, self._hear, self._monotonic)
        attached = False
        try:
            attached = listener.attach(turn.by())
        finally:
            if not attached:
                listener.close()
        if attached:
            self._listeners[server] = listener
            self._eventless.discard(server)
        elif server not in self._eventless:
            self._eventless.add(server)
            log.warning("events refused, counting at samples only bss=%s", name)

    def _hear(self, event: bytes) -> None:
        if event.startswith(_JOINED):
            mac = event[len(_JOINED) :].split(b" ")[0].decode("ascii", "replace")
            self._sketch.add(mac)  # it may be gone before the next read
        self._changed |= event.startswith(_CHANGES)

    def _forget_all_but(self, servers: dict[str, list[str]]) -> None:
        """What is known of BSSes that are gone."""
        paths = {path for each in servers.values() for path in each}
        for path in self._listeners.keys() - paths:
            self._listeners.pop(path).close()
        self._failing = {ifname: None for ifname in self._failing if ifname in servers}
        self._eventless &= paths
        self._tracker.keep(servers)

    def _log_failed(self, ifname: str, error: ControlError) -> None:
        if ifname not in self._failing:
            log.warning("bss unreadable bss=%s reason=%s", ifname, error)
        self._failing.pop(ifname, None)
        self._failing[ifname] = None  # asked last the next time

    def _log_back(self, ifname: str) -> None:
        if ifname in self._failing:
            del self._failing[ifname]
            log.info("bss readable again bss=%s", ifname)


class _Turn(NamedTuple):
    """Until when a BSS may be asked, which is one of `left` that are still to be asked."""

    monotonic: Callable[[], float]
    end: float
    left: int

    def by(self) -> float:
        """When to give up waiting for the answer to a question asked now."""
        now = self.monotonic()
        return now + (self.end - now) / self.left

    def is_over(self) -> bool:
        return self.monotonic() >= self.end


def _joined(links: Sequence[_Link]) -> BssStatus:
    """Several links have each a channel of their own, and are off the air together."""
    status = links[0].status
    if len(links) == 1:
        return status
    off_air = all(link.status.off_air for link in links)
    return BssStatus(status.ifname, status.ssid, off_air=off_air)


def interface(name: str) -> str:
    """The interface of a socket; cut to its length where it is none, so that its clients count."""
    link = _LINK.fullmatch(name)
    return (link[1] if link else name)[:MAX_IFNAME]


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False  # it vanished just now
