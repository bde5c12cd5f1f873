"""`titik-agent check`: the whole chain, one line per step, with the remedy where one fails."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from titik_agent import shared_files
from titik_agent.broker_link.connection_life import ConnectionLife
from titik_agent.broker_link.connector import Connector
from titik_agent.broker_link.link import CONNECT_TIMEOUT_S, RouterRemedies
from titik_agent.clock import Clock
from titik_agent.limits import MAX_SHOWN
from titik_agent.sampling.source import Source, SourceError
from titik_agent.sources.netdev import Interfaces
from titik_agent.spool.spool import Spool
from titik_mqtt.dial import dial, resolve
from titik_mqtt.endpoint import Endpoint
from titik_mqtt.failures import LinkDown

Say = Callable[[str], None]
LOGIN_S = 15.0  # to be accepted by the broker
ACK_S = 30.0  # for the collector to commit and answer
GOODBYE_S = 3.0
_SERVICE = "/etc/init.d/titik-agent"  # OpenWrt's, which checks as the right user
ROOM = 64 << 10  # bytes: a segment of a spool of the usual 1 MiB, and some minutes of samples
ENOUGH = 50_000_000  # bytes inside before it is asked whether as many went out
FAR_LESS = 20  # what stays in the LAN, a film from a neighbour's disk, is hardly ever 95 %
_OFF = {
    "hostapd": '; if this is no access point, set hostapd = "off" under [sources] in agent.toml'
}


def die_first() -> None:
    """Where memory runs out, the kernel ends this process and not the agent beside it."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def user(say: Say) -> None:
    """Who checks: root reads what the service's user may not, and ubusd shows root everything."""
    import pwd

    uid = os.geteuid()
    if uid == 0:
        better = "; better: service titik-agent check" if os.path.exists(_SERVICE) else ""
        say(f"--    user: root, who may read more than the agent's own user{better}")
        return
    try:
        say(f"ok    user: {pwd.getpwuid(uid).pw_name}")
    except KeyError:
        say(f"ok    user: {uid}")


def sources(every: Sequence[Source], say: Say) -> bool:
    """Read each source once."""
    good = True
    for source in every:
        try:
            value = source.read()
        except SourceError as error:
            say(f"FAIL  source {source.name}: {error}{_OFF.get(source.name, '')}")
            good = False
        else:
            say(f"ok    source {source.name}: {_shown(value)}")
            for warning in _warnings(source.field, value):
                say(f"--    source {source.name}: {warning}")
    return good


def uplink(interfaces: Interfaces, every: Sequence[Source], say: Say) -> None:
    """Which interfaces are taken as uplink, and why; what is likely wrong is no failure."""
    try:
        ways, nets = interfaces.ways(), interfaces.net()
    except SourceError:
        return  # it has had its line
    if not ways:
        say(
            "--    uplink: no default route in a table that a rule uses; without one, name the"
            " interface as interfaces.uplink"
        )
    for way in ways:
        known = f"uplink: {way.ifname}; {way.why}"
        say(f"ok    {known}" if way.doubt is None else f"--    {known}; {way.doubt}")
    inside = max(_moved(nets, "lan"), _moved(_read(every, "bss"), None))
    outside = _moved(nets, "uplink")
    if ways and inside > ENOUGH and outside * FAR_LESS < inside:
        say(
            f"--    uplink: {outside / 1e6:,.1f} MB have passed it since boot,"
            f" {inside / 1e6:,.1f} MB the visitors' side; name another as interfaces.uplink, or"
            " see Byte counts in docs/routers.md"
        )


def _read(every: Sequence[Source], field: str) -> Sequence[Any]:
    """What the sources of a section say; nothing of one that fails, which has had its line."""
    found: list[Any] = []
    for source in every:
        if source.field == field:
            with suppress(SourceError):
                found += source.read() or ()
    return found


def _moved(counted: Sequence[Any], role: str | None) -> int:
    """Bytes in both directions since boot; of BSSes where there is no role."""
    return sum(
        (one.rx_bytes or 0) + (one.tx_bytes or 0)
        for one in counted
        if role is None or one.role == role
    )


@contextmanager
def lines_before() -> Iterator[None]:
    """Sources that fail have had their line, so the sampler need not warn of them."""
    log = logging.getLogger("titik_agent.sampling.sampler")
    log.disabled = True
    try:
        yield
    finally:
        log.disabled = False


def clock(router: Clock, say: Say) -> bool:
    """A wrong clock is no failure: samples are placed later; but TLS needs a right one."""
    if router.quality() == "ntp":
        say("ok    clock: set in this boot")
    else:
        place = 'clock = "trusted" to agent.toml, above its first [section]'
        if os.path.exists(_SERVICE):
            place = "option clock 'trusted' to /etc/config/titik-agent"
        say(f"--    clock: not known to be set; if it is right, add {place}")
    return True


def spool_folder(directory: str, say: Say) -> bool:
    """Whether this user may write there; nothing is made, for the agent may be another user."""
    place = wanted = os.path.abspath(directory)
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    if not os.path.isdir(place):
        say(f"FAIL  spool: {place}: is no directory; name another as spool.directory")
    elif not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        say(
            f"FAIL  spool: {place}: this user may not write there; check as the agent's"
            " user, or name another spool.directory"
        )
    elif (reason := _no_room(place)) is not None:
        say(
            f"FAIL  spool: {place}: {reason}; the agent keeps samples in memory alone, and a power"
            " cut takes them; make room, or name another spool.directory"
        )
    elif place == wanted and (fault := _shared_fault(place)):
        say(f"FAIL  spool: {fault}")
    else:
        say(f"ok    spool: {directory}{'' if place == wanted else ', not there yet'}")
        return True
    return False


def _shared_fault(place: str) -> str | None:
    """Why the agent would refuse the folder; root checks for an agent that is another user."""
    try:
        (shared_files.check_closed if os.geteuid() == 0 else shared_files.check_own)(place)
    except shared_files.NotOurs as error:
        return str(error)
    return None


def _no_room(place: str) -> str | None:
    """Why not even one segment of the spool can be written there; None if it can."""
    disk = os.statvfs(place)
    free = disk.f_bavail * disk.f_frsize
    if free < ROOM:
        return f"the disk is full ({free // 1024} KiB are free)"
    if disk.f_files and not disk.f_favail:
        return "the disk is full (it takes no more files)"
    return None


def broker(endpoint: Endpoint, say: Say) -> bool:
    """Name, TCP and TLS."""
    try:
        say(f"ok    dns: {endpoint.host} is {resolve(endpoint, RouterRemedies)[0][4][0]}")
        dial(endpoint, RouterRemedies, CONNECT_TIMEOUT_S).close()
    except LinkDown as down:
        say(f"FAIL  {down.step}: {down.reason}")
        return False
    say(f"ok    tcp{' and tls' if endpoint.tls else ''}: {endpoint.host} port {endpoint.port}")
    return True


def chain(connector: Connector, spool: Spool, life: ConnectionLife, say: Say) -> bool:
    """Log in, publish the one sample in the spool, and wait until the collector has it."""
    trouble = _Trouble()
    log = logging.getLogger("titik_agent")
    log.addHandler(trouble)
    log.propagate = False
    try:
        return _chain(connector, spool, life, say, trouble)
    finally:
        connector.stop_soon()
        _drive(connector, GOODBYE_S, lambda: connector.is_over)
        log.removeHandler(trouble)
        log.propagate = True


def _chain(
    connector: Connector, spool: Spool, life: ConnectionLife, say: Say, trouble: "_Trouble"
) -> bool:
    if not _drive(connector, LOGIN_S, lambda: connector.is_connected or bool(trouble.reasons)):
        say("FAIL  login: no answer from the broker; is there an MQTT 5 broker at this port?")
        return False
    if trouble.reasons:
        say(f"FAIL  login: {trouble.reasons[0]}")
        return False
    say("ok    login")
    acked = _drive(connector, ACK_S, lambda: spool.spooled == 0 or bool(trouble.reasons))
    if trouble.reasons:
        say(f"FAIL  publish: {trouble.reasons[0]}")
    elif not acked:
        silent = "the collector did not answer; on the server see titik status, titik router list"
        say(f"FAIL  ack: {life.doubt or silent}")
    else:
        say("ok    publish and ack: the collector has committed a sample")
    return acked and not trouble.reasons


def _drive(connector: Connector, seconds: float, done: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not done():
        left = until - time.monotonic()
        if left <= 0:
            return False
        connector.turn(min(left, 1.0))
    return True


class _Trouble(logging.Handler):
    """The warnings of the connection, which say what an installer can do."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.reasons: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # An installer needs the reason, not when a running agent would try again.
        reason = record.getMessage().partition("reason=")[2] or record.getMessage()
        self.reasons.append(reason.rpartition(" next_try_s=")[0] or reason)


def _warnings(field: str, value: Any) -> Iterator[str]:
    """What an installer should know of what could be read."""
    if (field, value) == ("bss", ()):
        yield "Wi-Fi is off, so nobody can be a client"
    if field == "flow_offload" and value:
        yield f"bytes may be counted too low; if they must be right, {_offload_remedy()}"
    for one in value if isinstance(value, tuple) else ():
        if getattr(one, "off_air", None):
            yield f"{one.ifname} is off the air (no channel, radar, or switched off)"
        if getattr(one, "undercounted", None):
            yield (
                f"{one.ifname} has several links (MLO), and this hostapd lists the clients of the"
                " first alone: there may be more than are counted"
            )


def _offload_remedy() -> str:
    if os.path.exists(_SERVICE):
        return (
            "switch it off: uci set firewall.@defaults[0].flow_offloading=0; uci commit firewall;"
            " service firewall restart"
        )
    return "take the rule `flow add` out of the firewall"


def _shown(value: Any) -> str:
    """A section in a few words."""
    if value is None:
        return "none here"
    if isinstance(value, tuple):
        names = [getattr(one, "ifname", getattr(one, "name", "")) for one in value]
        return ", ".join(names) or "none now"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return str(value)
    given = [f"{name}={getattr(value, name)}" for name in value.__slots__]
    return " ".join(one for one in given if not one.endswith("=None"))[:MAX_SHOWN]
