"""The job that finds outages which were the server's fault though the collector heard all the time.

The server's own line, its DNS, port, firewall or revocation list can fail while the broker beside
the collector answers. Then most routers go at once, and come back in the same run. What they
spooled in that time shows whether their internet was fine: if so, they could not reach the server.

Rule: a cause is a probable cause, with its evidence in words. What speaks against it leaves that
router's outage as it is.
Rule: evidence comes late, with the backlog: an outage is looked at again for LOOK_BACK_MS.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from titik_collector.limits import MAX_SEARCHED
from titik_collector.live.reach_rounds import answered
from titik_collector.store import kept_messages, outages, server_outages
from titik_collector.store.database import Database, alone
from titik_collector.store.outages import EndedOutage
from titik_collector.store.server_outages import ServerOutage
from titik_wire.instant import HOUR_MS
from titik_wire.messages import Sample

EVERY_S = 30.0
LOOK_BACK_MS = HOUR_MS
TOGETHER_MS = 120_000  # routers that go within this time went together
LATE_MS = 300_000  # who needs so much longer than half of the others had an outage of its own
FIRST_MS = 600_000  # of an outage: its last samples may be of when the router's line worked again
SAMPLES = 20  # so many are read of these, evenly
ENOUGH = 3  # rounds; more would not change the mind
BUSY_BYTES_S = 10_000  # received a second: visitors were using the internet

Internet = Literal["fine", "gone", "unknown"]


class Verdict(NamedTuple):
    """What a router's own samples say of its internet during an outage."""

    internet: Internet
    is_final: bool


class Fault(NamedTuple):
    """The server's: which outages are of it."""

    outages: tuple[EndedOutage, ...]
    from_ms: int
    to_ms: int
    evidence: str


@dataclass(eq=False)
class ServerCause:
    """Reads the evidence, a little at a time, and rewrites causes."""

    _db: Database
    _now_ms: Callable[[], int]
    _monotonic: Callable[[], float]
    _next: float = 0.0
    _outages: list[EndedOutage] = field(default_factory=list)
    _queue: deque[EndedOutage] = field(default_factory=deque)
    _verdicts: dict[int, Verdict] = field(default_factory=dict)

    def due(self, now: float) -> bool:
        """Whether `step` has something to do; `now` is monotonic seconds."""
        return bool(self._queue) or now >= self._next

    def step(self, budget_s: float) -> bool:
        """Read evidence for so long at most; StoreError: nothing was written, call again."""
        until = self._monotonic() + budget_s
        if not self._queue:
            self._next = self._monotonic() + EVERY_S
            self._begin()
        while self._queue:
            one = self._queue[0]
            self._verdicts[one.id] = Verdict("unknown", True)  # unless it can be read
            with alone("the evidence of an outage router=%s", one.router):
                self._verdicts[one.id] = verdict(*_evidence(self._db, one))
            self._queue.popleft()
            if self._monotonic() >= until:
                break
        if not self._queue and self._outages:
            self._conclude()
        return bool(self._queue)

    def _begin(self) -> None:
        self._outages = outages.same_run_since(self._db, self._now_ms() - LOOK_BACK_MS)
        known = {one.id for one in self._outages}
        self._verdicts = {id_: one for id_, one in self._verdicts.items() if id_ in known}
        unknown = Verdict("unknown", False)
        self._queue.extend(
            one for one in self._outages if not self._verdicts.get(one.id, unknown).is_final
        )

    def _conclude(self) -> None:
        found = list(faults(self._outages, self._verdicts, self._routers_there))
        if all(one.cause == "server" for fault in found for one in fault.outages):
            return
        with self._db.transaction():
            for fault in found:
                self._write(fault)
        self._outages = []

    def _routers_there(self, at_ms: int) -> int:
        """How many routers were heard of late then, and not away already."""
        return outages.routers_there(self._db, at_ms, at_ms - LOOK_BACK_MS, at_ms - TOGETHER_MS)

    def _write(self, fault: Fault) -> None:
        outages.blame_server(self._db, [one.id for one in fault.outages], fault.evidence)
        line = ServerOutage(fault.from_ms, fault.to_ms, "line", fault.evidence)
        server_outages.put_line(self._db, line, TOGETHER_MS)


def faults(
    outages: Sequence[EndedOutage],
    verdicts: Mapping[int, Verdict],
    there: Callable[[int], int],
) -> Iterator[Fault]:
    """The server's faults among these outages, which are in order of their beginning.

    `there` says how many routers could have gone at a moment.
    """
    rest = list(outages)
    while len(group := _densest(rest)) > 1:
        half_back_ms = sorted(one.to_ms for one in group)[len(group) // 2]
        group = [one for one in group if one.to_ms <= half_back_ms + LATE_MS]
        all_there = there(group[0].from_ms)
        if 2 * len({one.router_id for one in group}) <= all_there:
            return  # every other group is smaller
        if (found := _fault(group, verdicts, all_there)) is not None:
            yield found
        seen = {one.id for one in group}
        rest = [one for one in rest if one.id not in seen]


def _densest(outages: Sequence[EndedOutage]) -> list[EndedOutage]:
    """Those that began within TOGETHER_MS where they are most."""
    first = best = best_end = 0
    for end, one in enumerate(outages, 1):
        while one.from_ms - outages[first].from_ms > TOGETHER_MS:
            first += 1
        if end - first > best_end - best:
            best, best_end = first, end
    return list(outages[best:best_end])


def _fault(
    group: Sequence[EndedOutage], verdicts: Mapping[int, Verdict], all_there: int
) -> Fault | None:
    """The fault that this group met, unless its own internet was gone."""
    internets = [verdicts[one.id].internet for one in group]
    fine, gone = internets.count("fine"), internets.count("gone")
    routers = len({one.router_id for one in group})
    if routers < 2 or fine <= gone:
        return None
    of_server = tuple(one for one in group if verdicts[one.id].internet != "gone")
    seconds = (group[-1].from_ms - group[0].from_ms) // 1000
    evidence = (
        f"{routers} of {all_there} routers went within {seconds} s and came back in the same run;"
        f" the internet was fine at {fine} of them, and gone at {gone}"
    )
    return Fault(of_server, of_server[0].from_ms, max(one.to_ms for one in of_server), evidence)


def verdict(before: Sample | None, during: Sequence[Sample]) -> Verdict:
    """What the samples that were taken during an outage say; the one before it is the baseline."""
    rounds = _reach_results(before, during)
    if rounds:
        answered = sum(rounds)
        internet: Internet = "fine" if 2 * answered > len(rounds) else "gone"
        return Verdict(internet, len(rounds) >= ENOUGH)
    if before is not None and during and _was_busy(before, during[-1]):
        return Verdict("fine", True)
    return Verdict("unknown", False)


def _reach_results(before: Sample | None, during: Sequence[Sample]) -> list[bool]:
    """Whether the internet answered, for each round of tests that was made during the outage."""
    last = before.reach.attempts if before is not None and before.reach is not None else None
    found = []
    for sample in during:
        reach = sample.reach
        if reach is None or reach.attempts is None or reach.attempts == last:
            continue
        if last is not None:  # else the round may be of before
            found.append(answered(reach))
        last = reach.attempts
    return found


def _was_busy(before: Sample, last: Sample) -> bool:
    old = {
        (one.ifname, one.since): one.rx_bytes for one in before.net or () if one.role == "uplink"
    }
    received = sum(
        max(0, one.rx_bytes - old[one.ifname, one.since])
        for one in last.net or ()
        if (one.ifname, one.since) in old
    )
    took_ms = last.uptime_ms - before.uptime_ms
    return before.boot == last.boot and took_ms > 0 and received * 1000 > BUSY_BYTES_S * took_ms


def _evidence(db: Database, one: EndedOutage) -> tuple[Sample | None, list[Sample]]:
    """The sample before the outage, and some that were taken in its first minutes."""
    last = kept_messages.last_until(db, one.router_id, one.from_ms)
    end_ms = min(one.to_ms, one.from_ms + FIRST_MS)
    during = kept_messages.between(db, one.router_id, one.from_ms, end_ms, MAX_SEARCHED)
    some = during[:: -(-len(during) // SAMPLES) or 1]
    found = (kept_messages.sample(db, one.router, key) for key in some)
    before = None if last is None else kept_messages.sample(db, one.router, last)
    return before, [sample for sample in found if sample is not None]
