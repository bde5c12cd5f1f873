"""Weeks that a simulated city did not live: when routers were away, and every sample; pure.

Rule: the same span, city and seed give the same samples under the same names. So what is published
a second time is a duplicate, and counts once.
Rule: a run is one day of one boot, so each day can be published by itself, in any order.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple
from zoneinfo import ZoneInfo

from titik_collector.config.model import CAPACITY, SEED
from titik_collector.config.site_tables import Site
from titik_collector.figures.windows import Calendar, Span
from titik_collector.simulation.world import (
    BUSY_SHARE,
    DOWN_BPS,
    STAY_MINUTES,
    UP_BPS,
    day_of,
    expected_clients,
)
from titik_wire.instant import DAY_MS, MINUTE_MS
from titik_wire.messages import AgentState, Bss, Held, Net, Sample, Visitors

SLOT_MS = 10 * MINUTE_MS
MERGED = 16  # samples that a slot's merged sample covers; aligned, as a full spool makes them
LOOKS = 5  # how often in a slot the clients are counted
BOOT_MS = 90_000  # from power to the first sample
FULL = 0.95  # of its line, more than which a place does not use
WITHOUT_INTERNET = 0.3  # of the visitors stay
WANDER, WANDER_KEEPS = 0.05, 0.9  # how far a place is from what is expected, and for how long


class Away(NamedTuple):
    """One outage of one router."""

    router: str
    from_ms: int
    to_ms: int
    cause: str


# Days before the end, minutes, the cause, and which routers by number.
_OUTAGES = (
    (1.62, 85, "uplink lost", (8,)),
    (3.31, 130, "power cut", (3, 4, 5)),
    (6.77, 24, "power cut", (0,)),
    (9.18, 540, "uplink lost", (2,)),
    (13.09, 4, "reboot", (7,)),
    (16.53, 210, "power cut", (1, 9)),
    (20.44, 45, "uplink lost", (6,)),
    (24.71, 95, "power cut", (8,)),
    (29.23, 18, "uplink lost", (0,)),
    (32.87, 300, "power cut", (2,)),
)


def outages(span: Span, routers: Sequence[str]) -> list[Away]:
    """Those that lie in the span; a short one has few or none."""
    found = []
    for days, minutes, cause, numbers in _OUTAGES:
        from_ms = span.end_ms - round(days * DAY_MS)
        if from_ms > span.start_ms + SLOT_MS:
            names = {routers[number % len(routers)] for number in numbers}
            # Routers of one power cut are back one after the other.
            found += [
                Away(name, from_ms + 700 * at, from_ms + minutes * MINUTE_MS + 9000 * at, cause)
                for at, name in enumerate(sorted(names))
            ]
    return found


class Piece(NamedTuple):
    """One run: a day of one boot, or what an outage left of it."""

    run: str
    boot: str
    booted_ms: int
    span: Span

    @property
    def ends(self) -> list[int]:
        """When each merged sample ends, the last with what is left."""
        return [*range(self.span.start_ms + SLOT_MS, self.span.end_ms, SLOT_MS), self.span.end_ms]

    @property
    def seqs(self) -> int:
        """Of its last sample."""
        return MERGED * len(self.ends)


class _Slot(NamedTuple):
    """What a place saw between two samples."""

    clients: Sequence[int]  # as often as it looked, the last at the end
    down: int  # bytes
    up: int
    down_outside: int  # bytes through the uplink
    up_outside: int
    came: int  # visitors
    has_uplink: bool


@dataclass(frozen=True, eq=False)
class Weeks:
    """The simulated weeks of one router."""

    router: str
    site: Site
    zone: ZoneInfo
    span: Span
    away: Sequence[Away]  # its own
    seed: int = SEED

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """In order of time."""
        calendar = Calendar(self.zone)
        found = []
        for life in self._lives():
            booted_ms = life.start_ms - BOOT_MS
            boot = _token(self.router, "boot", booted_ms)[:32]
            for day in calendar.days(*life):
                span = Span(max(day.start_ms, life.start_ms), min(day.end_ms, life.end_ms))
                run = _token(self.router, "run", span.start_ms)[:16]
                found.append(Piece(run, boot, booted_ms, span))
        return tuple(found)

    def samples(self, piece: Piece) -> Iterator[Sample]:
        """Merged ones, in order; the counters go on from the piece before of the same boot."""
        down, up, down_outside, up_outside = self._before[piece]
        client_ms = visitors = 0
        start_ms = piece.span.start_ms
        for number, (slot, end_ms) in enumerate(zip(self._slots(piece), piece.ends, strict=True)):
            first = number * MERGED + 1
            seq = first + MERGED - 1
            covers_ms = end_ms - start_ms
            client_ms += sum(slot.clients) * covers_ms // LOOKS
            down, up = down + slot.down, up + slot.up
            down_outside, up_outside = (
                down_outside + slot.down_outside,
                up_outside + slot.up_outside,
            )
            visitors += slot.came
            start_ms = end_ms
            bss = Bss(
                ifname="phy0-ap0",
                ssid="Kupang Smart City",
                band="2g",
                channel=6,
                clients=slot.clients[-1],
                clients_min=min(slot.clients),
                clients_max=max(slot.clients),
                client_ms=client_ms,
                active=round(slot.clients[-1] * 0.8),
                weak=round(slot.clients[-1] * 0.12),
                since=f"{piece.boot}/12",
                rx_bytes=up,
                tx_bytes=down,
            )
            yield Sample(
                router=self.router,
                run=piece.run,
                first_seq=first,
                seq=seq,
                spool=(Held(piece.run, (1, seq)),),
                boot=piece.boot,
                uptime_ms=end_ms - piece.booted_ms,
                taken_at=end_ms,
                clock="ntp",
                covers_ms=covers_ms,
                agent=AgentState(rss_bytes=0, spooled=1, merged=0, lost=0, corrupt=0),
                clients=bss.clients,
                clients_min=bss.clients_min,
                clients_max=bss.clients_max,
                active=bss.active,
                client_ms=client_ms,
                observed_ms=end_ms - piece.span.start_ms,
                bss=(bss,),
                net=(
                    Net(
                        "wan",
                        "uplink",
                        slot.has_uplink,
                        f"{piece.boot}/3",
                        down_outside,
                        up_outside,
                    ),
                ),
                # The last one is of the next day's first instant.
                visitors=None
                if end_ms == piece.span.end_ms
                else Visitors(visitors, piece.span.start_ms),
            )

    def _lives(self) -> Iterator[Span]:
        """From power to power; where only the uplink was lost, samples went on."""
        from_ms = self.span.start_ms
        for one in sorted(self.away, key=lambda away: away.from_ms):
            if one.cause != "uplink lost":
                yield Span(from_ms, one.from_ms)
                from_ms = one.to_ms
        yield Span(from_ms, self.span.end_ms)

    @cached_property
    def _before(self) -> dict[Piece, tuple[int, int, int, int]]:
        """The counters as each piece begins."""
        found: dict[Piece, tuple[int, int, int, int]] = {}
        boot, totals = "", (0, 0, 0, 0)
        for piece in self.pieces:
            if piece.boot != boot:
                boot, totals = piece.boot, (0, 0, 0, 0)
            found[piece] = totals
            for one in self._slots(piece):
                more = (one.down, one.up, one.down_outside, one.up_outside)
                down, up, down_outside, up_outside = map(sum, zip(totals, more, strict=True))
                totals = (down, up, down_outside, up_outside)
        return found

    def _slots(self, piece: Piece) -> Iterator[_Slot]:
        rand = random.Random(f"{self.seed}/{piece.run}")
        wander, at_ms = rand.gauss(0, 2 * WANDER), piece.span.start_ms
        capacity = self.site.capacity or CAPACITY
        most_bps = FULL * 1e6 * (self.site.uplink_mbps or 1e6)
        for end_ms in piece.ends:
            middle_ms, seconds = (at_ms + end_ms) // 2, (end_ms - at_ms) / 1000
            wander = WANDER_KEEPS * wander + rand.gauss(0, WANDER)
            local = datetime.fromtimestamp(middle_ms / 1000, UTC).astimezone(self.zone)
            minute = local.hour * 60 + local.minute
            mean = expected_clients(self.site.name, capacity, minute, day_of(local.date()))
            mean *= max(0.0, 1 + wander)
            cut = any(
                one.from_ms <= middle_ms < one.to_ms
                for one in self.away
                if one.cause == "uplink lost"
            )
            mean *= WITHOUT_INTERNET if cut else 1.0
            clients = [max(0, round(rand.gauss(mean, mean**0.5 / 2))) for _ in range(LOOKS)]
            busy = sum(clients) / LOOKS * BUSY_SHARE * rand.uniform(0.8, 1.2)
            busy = 0.0 if cut else min(busy, most_bps / DOWN_BPS / 1.05)
            down, up = int(busy * DOWN_BPS * seconds / 8), int(busy * UP_BPS * seconds / 8)
            came = round(mean * seconds / 60 / STAY_MINUTES)
            yield _Slot(clients, down, up, down * 21 // 20, up * 21 // 20, came, not cut)
            at_ms = end_ms


def _token(*parts: object) -> str:
    """The same name for the same thing."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()
