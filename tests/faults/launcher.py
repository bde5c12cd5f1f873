"""`titik-agent run` whose samples are written down outside of it, before its spool has them.

    python -m tests.faults.launcher SETTINGS run --config FILE

Rule: the agent's own code is unchanged; what is put in its place wraps it, or shortens its waits.
Rule: each life writes a file of its own, a line at a time, so that a kill tears at most the last.
"""

import functools
import hashlib
import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from titik_agent import assemble
from titik_agent.__main__ import main as run_agent
from titik_agent.broker_link.backoff import Backoff
from titik_agent.broker_link.lanes import Pace
from titik_agent.broker_link.link import Link
from titik_agent.broker_link.publisher import Publisher
from titik_agent.clock import SystemClock
from titik_agent.sampling.loop import Loop
from titik_agent.sampling.source import EventSource
from titik_agent.sources.netdev import Interfaces
from titik_agent.sources.traffic import Traffic, read_traffic
from titik_agent.spool import spool
from titik_agent.spool.spool import Spool


@dataclass(frozen=True, slots=True)
class Settings:
    """What differs from a router in the field."""

    oracle: str  # folder of the lives' files
    lie: str | None = None  # file that says how wrong the wall clock is, and what it believes
    first_s: float = 0.5  # ceiling of the first wait before connecting again
    cap_s: float = 3.0
    keepalive_s: int = 4
    resend_s: float = 3.0
    past_ms: int = 0  # begin so long ago, and catch up
    speed: float = 1.0  # of the clock until then
    patience_s: float | None = None  # before what waits is copied to flash
    checkpoint_s: float | None = None  # between two copies

    def text(self) -> str:
        """As an argument of the command."""
        return json.dumps(asdict(self))


class LyingClock(SystemClock):
    """The wall clock is wrong by what a file says; `quality` is what the file says, if it does."""

    lie: str | None = None

    def __init__(self, trusted: bool = False) -> None:
        super().__init__(trusted)
        self.boot = str(self._given().get("boot", self.boot))

    def wall_ms(self) -> int:
        return super().wall_ms() + int(self._given().get("wrong_ms", 0))

    def quality(self) -> Literal["ntp", "guess"]:
        return "guess" if self._given().get("guess") else super().quality()

    def _given(self) -> dict[str, Any]:
        return self.calls(self.lie)

    @staticmethod
    def calls(lie: str | None) -> dict[str, Any]:
        """What the file says now."""
        try:
            with open(lie or "", encoding="ascii") as file:
                given: dict[str, Any] = json.load(file)
        except FileNotFoundError:
            return {}
        return given


def wrapping(lie: str | None) -> Callable[[], dict[str, Traffic]]:
    """Counters of 32 bits that wrap after so many bytes as the file says."""
    given = LyingClock.calls(lie)
    if "wraps_after" not in given:
        return read_traffic
    first = _first(f"{lie}.{given['boot']}")

    def read() -> dict[str, Traffic]:
        return {
            name: Traffic(
                *(
                    ((now or 0) - (was or 0) + 2**32 - given["wraps_after"]) % 2**32
                    if at < 2
                    else now
                    for at, (now, was) in enumerate(zip(seen, first.get(name, seen), strict=True))
                )
            )
            for name, seen in read_traffic().items()
        }

    return read


def _first(file: str) -> dict[str, Traffic]:
    """What the counters were when the boot began; its later lives go on from there."""
    try:
        with open(file, encoding="ascii") as kept:
            return {name: Traffic(*values) for name, values in json.load(kept).items()}
    except FileNotFoundError:
        first = read_traffic()
        with open(file, "w", encoding="ascii") as kept:
            json.dump(first, kept)
        return first


class FastClock(SystemClock):
    """A router whose past runs by in a hurry, and ends in the present."""

    past_ms = 0
    speed = 1.0
    began_ms = 0

    def __init__(self, trusted: bool = False) -> None:
        super().__init__(trusted)
        self.boot = str(uuid.uuid4())
        self._lasts_ms = self.past_ms / self.speed

    def wall_ms(self) -> int:
        real_ms = super().wall_ms() - self.began_ms
        ahead_ms = min(real_ms, self._lasts_ms) * self.speed + max(0, real_ms - self._lasts_ms)
        return int(self.began_ms + self._lasts_ms - self.past_ms + ahead_ms)

    def uptime_ms(self) -> int:
        return self.wall_ms() - self.began_ms + self.past_ms + 600_000

    def monotonic(self) -> float:
        return self.uptime_ms() / 1000


class FastLoop(Loop):
    """Sleeps as much less as its clock is faster."""

    def _wait(self, wait_s: float) -> list[EventSource]:
        return super()._wait(wait_s / FastClock.speed)


class Oracle(Spool):
    """A spool beside which every sample is written down."""

    folder = ""

    def append(self, run: str, seq: int, payload: bytes) -> None:
        """`taken` before the spool has it, `kept` when the spool has acknowledged it."""
        # CPython keeps up to 4096 names of attributes that were looked up, which at a sample a
        # second looks like a leak for an hour.
        sys._clear_type_cache()
        self._note(
            True,
            kind="taken",
            run=run,
            seq=seq,
            true_ms=_true_ms(payload),
            sha=hashlib.sha256(payload).hexdigest(),
            payload=payload.decode(),
        )
        super().append(run, seq, payload)
        self._note(False, kind="kept", run=run, seq=seq)

    def _note(self, sync: bool, **what: object) -> None:
        if not hasattr(self, "_oracle"):
            path = os.path.join(self.folder, f"{time.time_ns()}-{os.getpid()}.log")
            self._oracle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(self._oracle, json.dumps(what).encode() + b"\n")
        if sync:
            os.fsync(self._oracle)


def _true_ms(payload: bytes) -> int:
    """When it was taken, by a clock that nobody touched: its uptime, however late it is now."""
    uptime_ms: int = json.loads(payload)["uptime_ms"]
    if FastClock.past_ms:
        return FastClock.began_ms - FastClock.past_ms - 600_000 + uptime_ms
    booted_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return booted_ns // 1_000_000 + uptime_ms


def main() -> None:
    """Put the wrappers in their places and run the command."""
    settings = Settings(**json.loads(sys.argv.pop(1)))
    Oracle.folder = settings.oracle
    LyingClock.lie = settings.lie
    pace = Pace(resend_s=settings.resend_s, resend_cap_s=4 * settings.resend_s)
    places: dict[str, object] = {
        "Spool": Oracle,
        "SystemClock": LyingClock,
        "Backoff": functools.partial(Backoff, first_s=settings.first_s, cap_s=settings.cap_s),
        "Interfaces": functools.partial(Interfaces, traffic=wrapping(settings.lie)),
        "Publisher": functools.partial(Publisher, pace=pace),
        "Link": functools.partial(Link, keepalive_s=settings.keepalive_s, connect_timeout_s=2.0),
    }
    if settings.past_ms:
        FastClock.past_ms, FastClock.speed = settings.past_ms, settings.speed
        FastClock.began_ms = time.time_ns() // 1_000_000
        places |= {"SystemClock": FastClock, "Loop": FastLoop}
    for name, value in places.items():
        setattr(assemble, name, value)
    if settings.patience_s is not None and settings.checkpoint_s is not None:
        setattr(spool, "PATIENCE_S", settings.patience_s)  # noqa: B010
        setattr(spool, "CHECKPOINT_S", settings.checkpoint_s)  # noqa: B010
    run_agent()


if __name__ == "__main__":
    main()
