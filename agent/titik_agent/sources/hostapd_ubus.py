"""The BSSes of an OpenWrt router, as its hostapd reports them over ubus.

Rule: after `wifi reload` objects have new ids, and none may be counted that is gone. So they are
looked up at every read, unless ubusd would have reported each that came or went. Then it is every
LOOKUP_S.
Rule: a BSS whose clients cannot be read has no count, so the router has no total. The same holds
for one that ubusd lost and hostapd has not registered again.
Rule: no visible object at all is a failure, unless the same ACL shows us another object: then Wi-Fi
is off.
Rule: an answer is waited for no longer than its BSS's share of the time left, so that one that
hangs costs no other.

Two connections. One for questions: where an answer did not come or made no sense it is closed, so
that nothing is left for the next read. One for events; what is new is subscribed to at every read.
hostapd's probe, auth and assoc events are requests, and arrive because events cannot be chosen. We
never ask it to wait for our answer to them (`notify_response`).
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from titik_agent.hostapd.bss_status import BssStatus
from titik_agent.hostapd.ubus import PERMISSION_DENIED, Ubus, UbusEvent, UbusRefused
from titik_agent.hostapd.ubus_blob import UbusError
from titik_agent.hostapd.ubus_replies import (
    Clients,
    has_links,
    parse_clients,
    parse_status,
)
from titik_agent.sampling.source import SourceError
from titik_agent.sampling.stations import Tracker
from titik_agent.sources.bss_section import READ_S, BssCounters, BssSection
from titik_agent.sources.visitors import Sketch
from titik_wire.limits import MAX_BSSES, MAX_IFNAME
from titik_wire.messages import Bss

log = logging.getLogger(__name__)

CALL_S = 1.0  # for one answer; hostapd takes about a millisecond
LOOKUP_S = 300.0  # an ACL may show more objects, which no event says
# After ubusd was restarted, hostapd tries to reach it each second, and has most BSSes back at once.
REGISTERED_S = 60.0

_PREFIX = "hostapd."
_ALWAYS_THERE = "service"  # procd's; the ACL that shows us hostapd.* shows us this one too

_LEFT = frozenset(("disassoc", "deauth", "local-deauth", "inactive-deauth", "key-mismatch"))
_OBJECT_EVENTS = ("ubus.object.add", "ubus.object.remove")

# ubusd reads its ACLs at start and on SIGHUP only, and hides an object rather than refusing it.
REMEDY = "is /usr/share/acl.d/titik-agent.json there, root's, mode 0644? then: killall -HUP ubusd"
NOTHING_VISIBLE = f"no hostapd.* object is visible, nor is `service`: the ACL hides them ({REMEDY})"


class HostapdUbus(BssSection):
    """By ubus."""

    def __init__(
        self,
        interfaces: BssCounters,
        tracker: Tracker,
        sketch: Sketch,
        paths: Sequence[str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(interfaces, tracker, sketch, monotonic)
        self._questions = Ubus(paths, monotonic=monotonic)
        self._events = Ubus(paths, on_event=self._hear, monotonic=monotonic)
        self._subscribed: dict[str, int] = {}
        self._listens = False  # to objects that come and go
        self._objects: dict[str, int] = {}  # as looked up; empty: something came or went since
        self._lookup_at = 0.0
        self._is_late = False  # an answer may come that nobody waits for
        self._known: frozenset[str] = frozenset()  # BSSes of the last read
        self._missed: frozenset[str] = frozenset()  # of them, lost with ubusd, perhaps to return
        self._missed_until = 0.0
        self._eventless = ""  # why there are no events, logged once
        self._statuses: tuple[BssStatus, ...] | None = None

    def statuses(self) -> tuple[BssStatus, ...] | None:
        """What the last read learnt of each radio; None if it failed."""
        return self._statuses

    def read(self) -> tuple[Bss, ...] | None:
        """Empty: Wi-Fi is off. None: hostapd serves wires alone."""
        self._statuses = None
        self._is_late = False
        end = self._monotonic() + READ_S
        try:
            with suppress(UbusError):  # that ubusd was restarted shows here
                self._questions.pump()
            if not self._questions.is_open:
                self._questions.open(self._by(end))
            return self._read_all(end)
        except UbusError as error:
            self._doubt(error)
            raise SourceError(f"ubus: {error}") from error
        finally:
            if self._is_late:
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
        return self._take_changed()

    def close(self) -> None:
        self._questions.close()
        self._events.close()

    def _read_all(self, end: float) -> tuple[Bss, ...] | None:
        objects = self._present(end)
        self._follow(objects, end)
        self._changed = False  # whatever it was, the clients are counted only now
        missed = self._missing(objects)
        self._tracker.keep(objects.keys() | missed)
        bsses: list[Bss] = []
        statuses: list[BssStatus] = []
        failures = [UbusError("hostapd has not registered it again") for _ in missed]
        for left, (ifname, objid) in zip(
            range(len(objects), 0, -1), sorted(objects.items()), strict=True
        ):
            by = self._by(end, left)
            clients = self._clients(objid, by, failures)
            status = self._status(ifname, objid, by) if clients else None
            if clients and clients.freq_mhz is None and (status is None or status.freq_mhz is None):
                continue  # 802.1X on a wire, since 25.12
            bsses.append(self._answered(ifname, clients, status))
            statuses += [status] if status else []
        bsses += [self._bss(BssStatus(ifname), None) for ifname in sorted(missed)]
        if failures and len(failures) == len(bsses):
            raise _unreadable(failures[0])
        self._known = frozenset([bss.ifname for bss in bsses])
        self._statuses = tuple(statuses)
        return tuple(bsses) if bsses or not objects else None

    def _present(self, end: float) -> dict[str, int]:
        """Object ids by interface, looked up where one may have come or gone unheard."""
        is_heard = self._hear_all() and self._listens
        now = self._monotonic()
        if not (is_heard and self._objects and now < self._lookup_at and not self._missed):
            self._objects = {}
            objects = self._lookup(end)
            if not is_heard:
                return objects
            self._objects, self._lookup_at = objects, now + LOOKUP_S
        return self._objects

    def _hear_all(self) -> bool:
        """Whether all that ubusd has sent by now is heard."""
        try:
            return self._events.pump() and self._events.is_open
        except UbusError:  # that ubusd was restarted shows here
            return False

    def _lookup(self, end: float) -> dict[str, int]:
        """Object ids by interface."""
        found = self._questions.lookup(_PREFIX + "*", self._by(end))
        # Cut where it is no interface's name, so that its clients count.
        named = {path.removeprefix(_PREFIX)[:MAX_IFNAME]: i for path, i in found.items()}
        objects = {ifname: objid for ifname, objid in named.items() if ifname}
        if not objects and not self._questions.lookup(_ALWAYS_THERE, self._by(end)):
            raise SourceError(NOTHING_VISIBLE)
        if len(objects) > MAX_BSSES:  # some of them would be a smaller number than all
            raise SourceError(f"more than {MAX_BSSES} hostapd.* objects")
        return objects

    def _missing(self, objects: dict[str, int]) -> frozenset[str]:
        """BSSes that were there before ubusd was restarted, while they may still come back."""
        self._missed -= objects.keys()
        if self._monotonic() >= self._missed_until:
            self._missed = frozenset()
        return self._missed

    def _clients(self, objid: int, by: float, failures: list[UbusError]) -> Clients | None:
        try:
            return parse_clients(self._questions.call(objid, "get_clients", by))
        except UbusError as error:
            self._doubt(error)
            failures.append(error)
            return None

    def _status(self, ifname: str, objid: int, by: float) -> BssStatus | None:
        """None where it cannot be read; its figures are then absent, the counts are not."""
        try:
            reply = self._questions.call(objid, "get_status", by)
            return parse_status(ifname, reply)
        except UbusError as error:
            self._doubt(error)
            log.debug("get_status failed ifname=%s reason=%s", ifname, error)
            return None

    def _doubt(self, error: UbusError) -> None:
        """What was refused may be gone; without an answer, one may still come."""
        self._objects = {}
        if not isinstance(error, UbusRefused):
            self._is_late = True

    def _answered(self, ifname: str, clients: Clients | None, status: BssStatus | None) -> Bss:
        known = status or BssStatus(ifname)
        undercounted = False
        if has_links(known):  # each of them has a channel of its own
            known = known._replace(freq_mhz=None, channel=None, utilization_ratio=None)
            undercounted = status is not None and status.links is None
        elif clients and not known.freq_mhz:
            known = known._replace(freq_mhz=clients.freq_mhz)
        return self._bss(known, clients and clients.stations, undercounted)

    def _follow(self, objects: dict[str, int], end: float) -> None:
        """Subscribe to the objects that are new. Without events, samples come at their interval."""
        try:
            refusal = self._subscribe(objects, end)
        except UbusError as error:
            refusal = str(error)
            self._events.close()
            self._miss()
        if refusal and refusal != self._eventless:
            log.warning("ubus events missing, counting at samples only reason=%s", refusal)
        self._eventless = refusal

    def _subscribe(self, objects: dict[str, int], end: float) -> str:
        """What was refused, if anything; a refusal of one subscription leaves the others."""
        refusal = ""
        if not self._events.is_open:
            self._miss()
            self._listens = False
            self._events.open(self._by(end))
            self._subscribed = {}
            try:
                self._events.listen("ubus.object.*", self._by(end))
                self._listens = True
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

    def _miss(self) -> None:
        """ubusd was away, and with it every object, without a word of any that hostapd removed."""
        if self._known:
            self._missed, self._known = self._known, frozenset()
            self._missed_until = self._monotonic() + REGISTERED_S

    def _hear(self, event: UbusEvent) -> None:
        try:
            if event.name in _OBJECT_EVENTS:
                (path,) = event.data.pick(b"path")
                if isinstance(path, str) and path.startswith(_PREFIX):
                    self._changed, self._objects = True, {}
            elif event.name == "unsubscribed":
                self._changed, self._objects = True, {}
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

    def _by(self, end: float, left: int = 1) -> float:
        """Until when one may be waited for, of `left` that are still to be asked until `end`."""
        now = self._monotonic()
        return now + min(CALL_S, max(0.0, end - now) / left)


def _unreadable(error: UbusError) -> SourceError:
    denied = isinstance(error, UbusRefused) and error.status == PERMISSION_DENIED
    return SourceError(f"get_clients: {error} ({REMEDY})" if denied else f"get_clients: {error}")
