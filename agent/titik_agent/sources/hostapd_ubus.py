"""The BSSes of an OpenWrt router, as its hostapd tells over ubus.

Rule: objects are looked up at every read: after `wifi reload` they have new ids, and none may be
counted that is gone. Rule: a BSS whose clients cannot be read has no count, so the router has no
total. Rule: no visible object at all is a failure, not zero clients: an access point has some.

Two connections: one per read, for questions, so that nothing of an earlier read is left in it; one
that stays, for events, whose subscriptions are renewed at every read. hostapd's probe, auth and
assoc events are requests, and arrive only because events cannot be chosen; we never ask it to wait
for our opinion on them (`notify_response`).
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from titik_agent import frequency
from titik_agent.blob import UbusError
from titik_agent.sketch import Sketch
from titik_agent.sources import SourceError
from titik_agent.sources.hostapd_replies import BssStatus, Clients, parse_clients, parse_status
from titik_agent.stations import Tracker
from titik_agent.ubus import PERMISSION_DENIED, SOCKETS, Event, Ubus, UbusRefused
from titik_wire.messages import Bss

log = logging.getLogger(__name__)

READ_S = 2.0  # for all of a read: a hung ubusd or hostapd must not stall sampling
CALL_S = 1.0  # for one answer; hostapd takes about a millisecond

_PREFIX = "hostapd."
_MAX_IFNAME = 15  # Linux has no longer ones
MAX_BSSES = 64  # what a sample holds; some of them would be a smaller number than all

_LEFT = frozenset(("disassoc", "deauth", "local-deauth", "inactive-deauth", "key-mismatch"))
_OBJECT_EVENTS = ("ubus.object.add", "ubus.object.remove")

# ubusd reads its ACLs at start and on SIGHUP only, and hides an object rather than refusing it.
REMEDY = "is /usr/share/acl.d/titik-agent.json there, root's, mode 0644? then: killall -HUP ubusd"
NOTHING_VISIBLE = f"no hostapd.* object is visible: Wi-Fi is off, or the ACL hides it ({REMEDY})"


class Interfaces(Protocol):
    """Byte counters of a BSS: its own interface and the AP_VLANs under it."""

    def bss_counters(self, ifname: str) -> tuple[str, int, int] | None:
        """`since`, received and sent bytes; None if they cannot be read."""
        ...


class HostapdUbus:
    """The section `bss`."""

    name = "hostapd"
    field = "bss"

    def __init__(
        self,
        interfaces: Interfaces,
        tracker: Tracker,
        sketch: Sketch,
        paths: Sequence[str] = SOCKETS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interfaces = interfaces
        self._tracker = tracker
        self._sketch = sketch
        self._monotonic = monotonic
        self._questions = Ubus(paths, monotonic=monotonic)
        self._events = Ubus(paths, on_event=self._hear, monotonic=monotonic)
        self._subscribed: dict[str, int] = {}
        self._deaf = ""  # why there are no events, said once
        self._changed = False
        self._statuses: tuple[BssStatus, ...] | None = None

    @property
    def saturated(self) -> bool:
        """More clients than are tracked one by one; counts are still right."""
        return self._tracker.saturated

    def statuses(self) -> tuple[BssStatus, ...] | None:
        """What the last read learnt of each radio; None if it failed."""
        return self._statuses

    def read(self) -> tuple[Bss, ...]:
        self._statuses = None
        end = self._monotonic() + READ_S
        try:
            self._questions.open(self._by(end))
            return self._read_all(end)
        except UbusError as error:
            raise SourceError(f"ubus: {error}") from error
        finally:
            self._questions.close()

    def filenos(self) -> tuple[int, ...]:
        fileno = self._events.fileno()
        return () if fileno is None else (fileno,)

    def pump(self) -> bool:
        try:
            self._events.pump()
        except UbusError as error:
            # The next read connects and subscribes again: ubusd needs a moment to come back.
            log.warning("ubus events lost, until the next sample reason=%s", error)
        changed, self._changed = self._changed, False
        return changed

    def close(self) -> None:
        self._events.close()

    def _read_all(self, end: float) -> tuple[Bss, ...]:
        objects = self._lookup(end)
        self._follow(objects, end)
        self._changed = False  # whatever it was, the clients are counted only now
        self._tracker.keep(objects)
        bsses: list[Bss] = []
        statuses: list[BssStatus] = []
        failures: list[UbusError] = []
        for ifname, target in sorted(objects.items()):
            clients = self._clients(target, end, failures)
            status = self._status(ifname, target, end) if clients else None
            if clients and clients.freq_mhz is None and (status is None or status.freq_mhz is None):
                continue  # 802.1X on a wire, since 25.12
            bsses.append(self._bss(ifname, clients, status))
            statuses += [status] if status else []
        if failures and len(failures) == len(bsses):
            raise _unreadable(failures[0])
        self._statuses = tuple(statuses)
        return tuple(bsses)

    def _lookup(self, end: float) -> dict[str, int]:
        """Object ids by interface."""
        found = self._questions.lookup(_PREFIX + "*", self._by(end))
        objects = {path.removeprefix(_PREFIX): target for path, target in found.items()}
        objects = {ifname: i for ifname, i in objects.items() if 0 < len(ifname) <= _MAX_IFNAME}
        if not objects:
            raise SourceError(NOTHING_VISIBLE)
        if len(objects) > MAX_BSSES:
            raise SourceError(f"more than {MAX_BSSES} hostapd.* objects")
        return objects

    def _clients(self, target: int, end: float, failures: list[UbusError]) -> Clients | None:
        try:
            return parse_clients(self._questions.call(target, "get_clients", self._by(end)))
        except UbusError as error:
            failures.append(error)
            return None

    def _status(self, ifname: str, target: int, end: float) -> BssStatus | None:
        """None where it cannot be read; its figures are then absent, the counts are not."""
        try:
            reply = self._questions.call(target, "get_status", self._by(end))
            return parse_status(ifname, reply)
        except UbusError as error:
            log.debug("get_status failed ifname=%s reason=%s", ifname, error)
            return None

    def _bss(self, ifname: str, clients: Clients | None, status: BssStatus | None) -> Bss:
        status = status or BssStatus(ifname)
        freq_mhz = status.freq_mhz or (clients.freq_mhz if clients else None) or 0
        since, rx_bytes, tx_bytes = self._interfaces.bss_counters(ifname) or (None, None, None)
        tally = None
        if clients:
            tally = self._tracker.tally(ifname, clients.stations)
            self._sketch.add(*[each.mac for each in clients.stations if each.authorized])
        return Bss(
            ifname=ifname,
            ssid=status.ssid,
            band=frequency.band(freq_mhz),
            channel=status.channel or frequency.channel(freq_mhz),
            utilization_ratio=status.utilization_ratio,
            clients=tally.clients if tally else None,
            active=tally.active if tally else None,
            weak=tally.weak if tally else None,
            since=since,
            rx_bytes=rx_bytes,
            tx_bytes=tx_bytes,
        )

    def _follow(self, objects: dict[str, int], end: float) -> None:
        """Subscribe to the objects that are new. Without events, samples come at their interval."""
        try:
            refusal = self._subscribe(objects, end)
        except UbusError as error:
            refusal = str(error)
            self._events.close()
        if refusal and refusal != self._deaf:
            log.warning("ubus events missing, the interval remains reason=%s", refusal)
        self._deaf = refusal

    def _subscribe(self, objects: dict[str, int], end: float) -> str:
        """What was refused, if anything; a refusal of one subscription leaves the others."""
        refusal = ""
        if not self._events.is_open:
            self._events.open(self._by(end))
            self._subscribed = {}
            try:
                self._events.listen("ubus.object.*", self._by(end))
            except UbusRefused as error:
                refusal = f"ubus.object.*: {error}"
        kept = {name: i for name, i in self._subscribed.items() if objects.get(name) == i}
        self._subscribed = kept
        for ifname in objects.keys() - kept.keys():
            try:
                self._events.subscribe(objects[ifname], self._by(end))
                kept[ifname] = objects[ifname]
            except UbusRefused as error:
                refusal = f"{_PREFIX}{ifname}: {error}"
        return refusal

    def _hear(self, event: Event) -> None:
        try:
            if event.name in _OBJECT_EVENTS:
                (path,) = event.data.pick(b"path")
                self._changed |= isinstance(path, str) and path.startswith(_PREFIX)
            elif event.name == "unsubscribed":
                self._changed = True
            elif event.name == "sta-authorized" or event.name in _LEFT:
                (address,) = event.data.pick(b"address")
                self._hear_client(event.name, address if isinstance(address, str) else "")
        except UbusError as error:
            log.debug("event unreadable name=%s reason=%s", event.name, error)

    def _hear_client(self, name: str, mac: str) -> None:
        if name == "sta-authorized":
            if mac:
                self._sketch.add(mac)  # it may be gone before the next read
            self._changed = True
        else:
            # One departure has several events, and a wrong key many that are none.
            self._changed |= self._tracker.knows(mac)

    def _by(self, end: float) -> float:
        return min(end, self._monotonic() + CALL_S)


def _unreadable(error: UbusError) -> SourceError:
    denied = isinstance(error, UbusRefused) and error.status == PERMISSION_DENIED
    return SourceError(f"get_clients: {error} ({REMEDY})" if denied else f"get_clients: {error}")
