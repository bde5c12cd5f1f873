"""The rules by which each sample of a boot gets its time; pure, begin here for a wrong minute.

Rule: a clock is not believed if it is later than the sample's arrival, or long before the boot can
have begun.
Rule: no place is later than its sample's arrival allows, whatever a clock or an uptime claims.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from titik_collector.limits import MAX_AHEAD_MS, MAX_BEHIND_MS
from titik_collector.store.boot_samples import SampleRow
from titik_wire.instant import DAY_MS

# No sample is placed outside of this, whatever uptime it claims: windows must have dates.
EARLIEST_MS = 2 * DAY_MS
DRIFT = 1000
# Arrivals and the starts of boots are used to the second: otherwise every sample that travelled a
# millisecond faster than all before would move its whole boot.
GRAIN_MS = 1000


class Claim(NamedTuple):
    """A time that a router reports and has from NTP."""

    taken_ms: int
    uptime_ms: int
    arrived_ms: int

    def is_believed(self, prompt_ms: int | None) -> bool:
        """`prompt_ms`: when the boot began, if that is known."""
        if self.taken_ms > self.arrived_ms + MAX_AHEAD_MS:
            return False
        slack_ms = MAX_BEHIND_MS + self.uptime_ms // DRIFT
        return prompt_ms is None or self.taken_ms - self.uptime_ms >= prompt_ms - slack_ms


class OfflineBoot(NamedTuple):
    """A boot that was not heard while it ran."""

    arrival_ms: int  # smallest arrival minus uptime of its samples
    end_ms: int  # largest uptime of its samples
    newer: frozenset[int] = frozenset()  # boots in which samples of this one still waited


def place_by_clock(rows: Sequence[SampleRow]) -> list[int]:
    """Instants of successive samples of a boot with a believed clock.

    Samples that had it may be pruned. Then what is left was taken when it came, at the latest.
    """
    anchors = [row for row in rows if row.taken_ms is not None]
    if not anchors:
        return place_by_offset(rows, min(row.arrived_ms - row.uptime_ms for row in rows))
    places, after = [], 0
    for row in rows:
        while after < len(anchors) and anchors[after].uptime_ms < row.uptime_ms:
            after += 1
        near = anchors[max(after - 1, 0) : after + 1]
        # The earlier comes first, so it wins a tie.
        nearest = min(near, key=lambda anchor: abs(anchor.uptime_ms - row.uptime_ms))
        if row.taken_ms is not None:
            places.append(_clamp(row.taken_ms, row.arrived_ms))
        else:
            assert nearest.taken_ms is not None
            place_ms = nearest.taken_ms + row.uptime_ms - nearest.uptime_ms
            # One of the two may have arrived while the server's clock was behind.
            places.append(_clamp(place_ms, max(row.arrived_ms, nearest.arrived_ms)))
    return places


def place_by_offset(rows: Sequence[SampleRow], offset_ms: int) -> list[int]:
    """Instants of samples of a boot without a believed clock; `offset_ms`: instant minus uptime."""
    return [_clamp(row.uptime_ms + offset_ms, row.arrived_ms) for row in rows]


def offsets_of_lone(boots: Mapping[int, OfflineBoot], starts: Mapping[int, int]) -> dict[int, int]:
    """Instant minus uptime of boots never heard: just before the next began, at the latest.

    `starts` are those of boots heard while they ran. A chain of lone boots is no longer than their
    number, so as many rounds are enough. A circle, which no real router makes, ends there too.
    """
    offsets = {boot_id: to_grain(lone.arrival_ms) for boot_id, lone in boots.items()}
    for _ in range(len(boots)):
        known = {**starts, **offsets}
        better = {}
        for boot_id, lone in boots.items():
            began = [known[newer] for newer in lone.newer if newer in known and newer != boot_id]
            better[boot_id] = min(
                [to_grain(lone.arrival_ms), *(start_ms - lone.end_ms for start_ms in began)]
            )
        if better == offsets:
            break
        offsets = better
    return offsets


def to_grain(ms: int) -> int:
    """What is used of an arrival, or of the start of a boot."""
    return ms // GRAIN_MS * GRAIN_MS


def _clamp(at_ms: int, arrived_ms: int) -> int:
    return max(EARLIEST_MS, min(at_ms, arrived_ms + MAX_AHEAD_MS))
