"""The probe process: asks gateway, targets and LAN with raw sockets, and writes one small file.

Rule: the agent never runs this code: it has no right to raw sockets, and scapy costs 50 MB.
Rule: each round is a child process with a deadline and a memory limit, gone when it is over.
Rule: only counts and times are written; addresses die with the child.
"""

import logging
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from titik_agent.clock import Clock, SystemClock
from titik_agent.limits import MAX_PROBE_MEMORY
from titik_agent.shared_files import check_link, replace
from titik_agent.sources.probe_result import encode_result
from titik_wire.messages import Probe

log = logging.getLogger(__name__)

OK, FAILED, NO_SCAPY, NO_RIGHTS = 0, 1, 3, 4  # exit codes; 2 is a wrong command line
HOPELESS = (NO_SCAPY, NO_RIGHTS)  # another round would end the same way
REMEDIES = {
    FAILED: "probe round failed",
    NO_SCAPY: "scapy is missing: install scapy (Debian: python3-scapy), or pip install .[probe]",
    NO_RIGHTS: "no right to raw sockets: run as root or with CAP_NET_RAW",
}


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """What to ask, and what a round may cost."""

    result_file: str  # where the agent looks for the result
    targets: tuple[str, ...] = ()  # IPv4 addresses or names to ping
    uplink: str | None = None  # None: the default route's
    lan: tuple[str, ...] | None = None  # None: the bridges
    deadline_s: float = 60.0  # a round that takes longer is killed
    memory_bytes: int = MAX_PROBE_MEMORY
    nice: int = 10  # forwarding comes first


# What one round does; round.measure but in tests.
Measure = Callable[[ProbeSettings, int], Probe]


def run_probe(
    settings: ProbeSettings,
    every_s: float | None = None,
    *,
    measure: Measure | None = None,
    clock: Clock | None = None,
) -> int:
    """One round, or one every `every_s` until SIGTERM; the exit code."""
    clock = clock or SystemClock()
    signal.signal(signal.SIGTERM, _stop)
    while True:
        due = clock.monotonic() + (every_s or 0)
        code = one_round(settings, measure or _measure, clock)
        if code != OK:
            log.error("%s", REMEDIES.get(code, REMEDIES[FAILED]))
        if every_s is None or code in HOPELESS:
            return code
        time.sleep(max(0.0, due - clock.monotonic()))


def one_round(settings: ProbeSettings, measure: Measure, clock: Clock) -> int:
    """Measure in a child process, and wait for it; its exit code."""
    child = os.fork()
    if child == 0:
        _live_as_child(settings, measure, clock)
    deadline = clock.monotonic() + settings.deadline_s
    try:
        while clock.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                child = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        log.warning("probe round killed deadline_s=%g", settings.deadline_s)
        return FAILED
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def write_result(path: str, content: bytes) -> None:
    """Replace the result file whole.

    The folder may be the agent's, for this process has more rights; but no link of somebody's.
    """
    folder = os.path.dirname(path) or "."
    os.makedirs(folder, mode=0o755, exist_ok=True)
    check_link(folder)
    replace(path, content, 0o644)


def _stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise SystemExit(OK)


def _live_as_child(settings: ProbeSettings, measure: Measure, clock: Clock) -> None:
    """Everything the child does; it never returns."""
    code = FAILED
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.nice(settings.nice)
        resource.setrlimit(resource.RLIMIT_AS, (settings.memory_bytes, settings.memory_bytes))
        probe = measure(settings, clock.uptime_ms())
        write_result(settings.result_file, encode_result(clock.boot, probe))
        code = OK
    except ImportError:
        code = NO_SCAPY
    except PermissionError as error:
        # Of the result file it has a name, of a socket it has none.
        log.error("probe round reason=%s", error)
        code = FAILED if error.filename is not None else NO_RIGHTS
    except Exception as error:
        # The child's top, and scapy parses what anybody sends: whatever it raises ends the round.
        log.error("probe round reason=%s: %s", type(error).__name__, error)
    finally:
        os._exit(code)


def _measure(settings: ProbeSettings, at_uptime_ms: int) -> Probe:
    # Tried first: scapy hides this error, and takes seconds to load before it does.
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    from titik_agent.probe.round import measure  # the only import of scapy, in the child alone

    return measure(settings, at_uptime_ms)
