"""What the probe process last saw, read from its small result file.

Rule: any bytes in the file give a Probe or nothing; a stale, foreign or damaged result is nothing.
"""

import json
import os
from dataclasses import asdict

from titik_agent.clock import Clock
from titik_agent.limits import MAX_DEVICES, MAX_SMALL_FILE
from titik_wire.limits import MAX_RTT_MS, MAX_WHOLE
from titik_wire.messages import Probe


class ProbeSource:
    """The probe's result, in a sample; older than `max_age_s` it is left out."""

    name = "probe"
    field = "probe"

    def __init__(self, path: str, clock: Clock, max_age_s: float) -> None:
        self._path = path
        self._clock = clock
        self._max_age_ms = int(max_age_s * 1000)

    def read(self) -> Probe | None:
        """None: there is no probe on this router, or it has stopped."""
        try:
            # Never waits, should something else than a file be found there.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                content = file.read(MAX_SMALL_FILE + 1) or b""
        except OSError:
            return None
        probe = decode_result(content, self._clock.boot)
        if probe is None:
            return None
        age_ms = self._clock.uptime_ms() - probe.at_uptime_ms
        return probe if 0 <= age_ms <= self._max_age_ms else None


def encode_result(boot: str, probe: Probe) -> bytes:
    """The content of the result file: counts and times, and never an address."""
    return json.dumps({"boot": boot} | asdict(probe)).encode()


def decode_result(content: bytes, boot: str) -> Probe | None:
    """The probe in a result file of this boot; None: not a whole and true one."""
    try:
        found = json.loads(content) if len(content) <= MAX_SMALL_FILE else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("boot") != boot:
        return None
    at, gateway_up = _whole(found.get("at_uptime_ms"), MAX_WHOLE), found.get("gateway_up")
    if at is None or not isinstance(gateway_up, bool):
        return None
    return Probe(
        at_uptime_ms=at,
        gateway_up=gateway_up,
        icmp_ms=_real(found.get("icmp_ms"), MAX_RTT_MS),
        icmp_loss_ratio=_real(found.get("icmp_loss_ratio"), 1.0),
        lan_devices=_whole(found.get("lan_devices"), MAX_DEVICES),
    )


def _whole(value: object, maximum: int) -> int | None:
    # A bool is an int to isinstance.
    return value if type(value) is int and 0 <= value <= maximum else None


def _real(value: object, maximum: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= maximum else None
