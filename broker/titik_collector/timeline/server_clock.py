"""Decides what time it is: the server's clock is a witness, not a judge.

Rule: time goes on by the server's uptime, whatever its clock does.
Rule: at least two witnesses that agree set the time, if no more agree on another. Witnesses are
the server's clock, routers that are heard live and have an NTP clock, and the uptime itself once
routers have agreed with it.
Rule: without a router's word the server's clock is followed at once before routers have agreed,
and after it stood for HOLD_MS when they have.
Rule: what deletes goes by `forget_ms`. It goes on as fast as the uptime, and catches up only
CATCH_UP times as fast, while routers agree. So a step deletes nothing, and a lie little.
"""

import logging
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from titik_collector.languages.codes import marked
from titik_collector.store import presence_rows
from titik_collector.store.database import Database
from titik_collector.store.server_clock_row import Known, load
from titik_collector.wording.sentence import Length, Sentence
from titik_wire import instant
from titik_wire.instant import HOUR_MS

log = logging.getLogger(__name__)

AGREE_MS = 60_000  # witnesses this near to each other agree; so is what is followed in silence
WITNESS_MS = 600_000  # a router's word is good for so long
HOLD_MS = 600_000  # a step that no witness contradicts is believed then
CATCH_UP = 25  # a day in an hour: an operator can act, and a month off is caught up in a day


class Jump(NamedTuple):
    """Stamps since `since_ms`, made before the jump, are so much too early."""

    since_ms: int
    by_ms: int


def wall_ms() -> int:
    """The server's clock."""
    return time.time_ns() // 1_000_000


def uptime_ms() -> int:
    """Since the server's boot, suspended time included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def boot_id() -> str:
    """The kernel's."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


class ServerClock:
    """Keeps the time of one collector; call `decide` every second or so."""

    def __init__(
        self,
        known: Known | None = None,
        heard_ms: int | None = None,
        wall_ms: Callable[[], int] = wall_ms,
        uptime_ms: Callable[[], int] = uptime_ms,
        boot: str | None = None,
    ) -> None:
        """`heard_ms` is the newest stamp of a store that has no `known` yet."""
        self._wall_ms = wall_ms
        self._uptime_ms = uptime_ms
        self._routers: dict[int, tuple[int, int]] = {}  # how far ahead, and the uptime then
        self._stepped: tuple[int, int] | None = None  # where the server's clock stands since when
        self._decided_ms = up_ms = uptime_ms()
        self._heard_ms = heard_ms
        self._began_ms = up_ms
        boot = boot or boot_id()
        if known is not None and known.boot == boot:
            self._known = known
            return
        now_ms = wall_ms()
        if known is None:
            forget_ms = 0 if heard_ms is None else min(now_ms, heard_ms)
            self._known = Known(boot, now_ms - up_ms, False, now_ms, forget_ms)
            return
        # It is not earlier than it was. How much later, no one knows who was off in that time.
        now_ms = max(now_ms, known.agreed_ms or 0)
        self._known = replace(
            known, boot=boot, offset_ms=now_ms - up_ms, sure=False, unsure_ms=now_ms
        )

    @property
    def known(self) -> Known:
        """To be kept in the store."""
        return self._known

    @property
    def forget_ms(self) -> int:
        """What is older than is kept, counted from here, may be deleted."""
        return self._known.forget_ms

    def now_ms(self) -> int:
        """What time it is."""
        return self._uptime_ms() + self._known.offset_ms

    def hear(self, router_id: int, ahead_ms: int) -> None:
        """A router reported just now that it is so much later than `now_ms`, by NTP."""
        self._routers[router_id] = (ahead_ms, self._uptime_ms())

    def decide(self) -> Jump | None:
        """Go by the witnesses; the caller moves the stamps if time jumped."""
        up_ms = self._uptime_ms()
        elapsed_ms, self._decided_ms = max(0, up_ms - self._decided_ms), up_ms
        server_ms = self._wall_ms() - self.now_ms()
        by_ms, agreed_up_ms = self._verdict(server_ms, up_ms)
        agreed = agreed_up_ms is not None
        jump = Jump(self._known.unsure_ms, by_ms) if abs(by_ms) > AGREE_MS else None
        if jump is not None:
            # That the server's clock is wrong is a warning of its own.
            level = logging.INFO if abs(server_ms - by_ms) > AGREE_MS else logging.WARNING
            log.log(level, "time was wrong, stamps are moved by_s=%+d", by_ms // 1000)
        self._move(by_ms)
        self._compare(server_ms - by_ms)
        self._forget(elapsed_ms, agreed)
        if agreed_up_ms is not None:
            at_ms = max(self._known.unsure_ms, agreed_up_ms + self._known.offset_ms)
            self._known = replace(self._known, sure=True, agreed_ms=at_ms, unsure_ms=at_ms)
        elif jump is not None:
            self._known = replace(self._known, sure=False)
        return jump

    def _verdict(self, server_ms: int, up_ms: int) -> tuple[int, int | None]:
        """How far it is later than we took it for, and at what uptime a router last agreed."""
        for router_id, (_, heard_ms) in list(self._routers.items()):
            if up_ms - heard_ms > WITNESS_MS:
                del self._routers[router_id]
        ours = [0] if self._known.sure else []
        routers = [ahead_ms for ahead_ms, _ in self._routers.values()]
        group = _largest(sorted([server_ms, *ours, *routers]), server_ms)
        first_ms, last_ms = group[0], group[-1]
        believed = [one for one in self._routers.values() if first_ms <= one[0] <= last_ms]
        if len(group) < 2 or not believed:
            return self._alone(server_ms, up_ms), None
        self._stepped = None
        heard_ms = max(heard_ms for _, heard_ms in believed)
        if first_ms <= server_ms <= last_ms:
            return server_ms, heard_ms
        middle_ms = round(statistics.median(ahead_ms for ahead_ms, _ in believed))
        return (middle_ms if abs(middle_ms) > AGREE_MS else 0), heard_ms

    def _alone(self, server_ms: int, up_ms: int) -> int:
        """What the server's clock is worth when no router agrees with anybody."""
        if abs(server_ms) <= AGREE_MS:
            self._stepped = None
            return server_ms
        if self._routers:
            return 0
        if not self._known.sure:  # but it is not earlier than it was
            return max(server_ms, min(0, (self._known.agreed_ms or 0) - self.now_ms()))
        if self._stepped is None or abs(self._stepped[0] - server_ms) > AGREE_MS:
            self._stepped = server_ms, up_ms
        return server_ms if up_ms - self._stepped[1] >= HOLD_MS else 0

    def _move(self, ahead_ms: int) -> None:
        known = self._known
        self._known = replace(
            known, offset_ms=known.offset_ms + ahead_ms, unsure_ms=known.unsure_ms + ahead_ms
        )
        self._routers = {
            router_id: (one_ms - ahead_ms, heard_ms)
            for router_id, (one_ms, heard_ms) in self._routers.items()
        }

    def _compare(self, ahead_ms: int) -> None:
        """Note since when the server's clock is wrong."""
        since_ms = self._known.since_ms
        if abs(ahead_ms) <= AGREE_MS:
            if since_ms is not None:
                log.info("server clock is right again")
            since_ms = None
        elif since_ms is None:
            since_ms = self.now_ms()
            log.warning(
                "server clock is wrong, time goes by the routers and the uptime"
                " off_s=%+d time=%s; set it: timedatectl",
                ahead_ms // 1000,
                instant.to_text(since_ms),
            )
        self._known = replace(self._known, ahead_ms=ahead_ms, since_ms=since_ms)

    def _forget(self, elapsed_ms: int, agreed: bool) -> None:
        now_ms, forget_ms = self.now_ms(), self._known.forget_ms
        if not forget_ms:
            alone = not self._routers and self._decided_ms - self._began_ms >= HOLD_MS
            forget_ms = now_ms if agreed or alone else 0
        elif not agreed:
            forget_ms = max(forget_ms, min(now_ms, forget_ms + elapsed_ms))
        elif self._known.agreed_ms is None:  # for the first time in an older store
            forget_ms = min(now_ms, max(forget_ms, (self._heard_ms or 0) + CATCH_UP * HOUR_MS))
        else:
            forget_ms = min(now_ms, forget_ms + CATCH_UP * elapsed_ms)
        self._known = replace(self._known, forget_ms=forget_ms)


def _largest(witnesses: Sequence[int], server_ms: int) -> Sequence[int]:
    """The most that agree; of equally many those with the server's clock. They are in order."""
    best = (0, False, 0, 0)  # how many, whether the server's clock is one, the order, the first
    end = 0
    for start, first_ms in enumerate(witnesses):
        while end < len(witnesses) and witnesses[end] - first_ms <= AGREE_MS:
            end += 1
        with_server = first_ms <= server_ms <= witnesses[end - 1]
        best = max(best, (end - start, with_server, start if with_server else -start, start))
    many, _, _, first = best
    return witnesses[first : first + many]


def of(db: Database) -> ServerClock:
    """The clock of a collector over this store."""
    return ServerClock(load(db), presence_rows.last_heard_ms(db))


def shown_ms(db: Database | None) -> int:
    """What time it is to a reader of the store; the server's clock where it cannot be read."""
    return time_of(None if db is None else load(db))


def time_of(known: Known | None) -> int:
    """What time it is by what the store keeps; the server's clock where that is right."""
    if known is None or known.since_ms is None:
        return wall_ms()
    if known.boot == boot_id():  # the server's clock may have been set since that was written
        return uptime_ms() + known.offset_ms
    return wall_ms() - known.ahead_ms


def forget_ms(db: Database) -> int:
    """What a reader deletes elsewhere goes by this time, as in the store; 0: it is not known."""
    known = load(db)
    return 0 if known is None else known.forget_ms


def problem(db: Database) -> str | None:
    """What is wrong with the server's clock, for an operator; None: nothing."""
    known = load(db)
    if known is None or known.since_ms is None:
        return None
    ahead = marked("the server's clock is {length} ahead; set it: timedatectl")
    behind = marked("the server's clock is {length} behind; set it: timedatectl")
    text = ahead if known.ahead_ms > 0 else behind
    return Sentence(text, length=Length(abs(known.ahead_ms)))
