"""What was acknowledged and is still on disk, and what of it the collector lacks.

Rule: in memory are the ranges of each segment's records, and the records that are to be sent again:
those of one segment at a time. Ranges are packed, because objects take several times as much.
Rule: a segment is looked into at most MAX_ASKED times an hour, whatever a collector lacks.
Rule: what an ack covers is not lacked, whatever the ack says.
"""

import logging
import struct
from collections.abc import Callable, Iterable
from typing import Final

from titik_agent.limits import ASKED_S, MAX_ASKED
from titik_agent.spool.record import Key
from titik_agent.spool.spans import joined, overlap, without
from titik_wire.messages import Ack, AckedRun, Span

log = logging.getLogger(__name__)

_RANGE: Final = struct.Struct(">8sQQ")  # run, first and last seq
_Ranges = dict[str, list[Span]]  # by run


class KeptRecords:
    """The ranges of every record on disk, acknowledged or not, by segment and run."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.again: dict[Key, bytes] = {}  # acknowledged records that are to be sent now
        self._ranges: dict[int, bytes] = {}  # of each segment
        # How often something of a segment was to be sent again, and when it last was.
        self._asked: dict[int, tuple[int, float]] = {}
        self._lacks: dict[str, list[Span]] = {}
        self._asked_by: tuple[str | None, int | None] | None = None  # store and epoch, last logged

    def wrote(self, number: int, key: Key) -> None:
        """A segment has a whole record more."""
        ranges = self._of(number)
        spans = ranges.setdefault(key.run, [])
        if spans and key.first_seq == spans[-1][1] + 1:  # as samples in order do
            spans[-1] = (spans[-1][0], key.seq)
        else:
            spans[:] = joined([*spans, (key.first_seq, key.seq)])
        self._ranges[number] = _packed(ranges)

    def lost(self, key: Key) -> None:
        """These seqs were given up, so that no stretch may reach over them."""
        self.again.pop(key, None)
        for number in self._ranges:
            ranges = self._of(number)
            if key.run in ranges:
                ranges[key.run] = without(ranges[key.run], key.first_seq, key.seq)
                self._ranges[number] = _packed(ranges)

    def deleted(self, number: int) -> None:
        """A segment is gone."""
        self._ranges.pop(number, None)
        self._asked.pop(number, None)

    def segments(self) -> set[int]:
        """Those with a whole record."""
        return set(self._ranges)

    @property
    def is_asked(self) -> bool:
        """The collector lacks something, by its last ack."""
        return bool(self._lacks)

    def stretches(self) -> dict[str, Span]:
        """Of each run the newest stretch without a hole."""
        whole = ((run, joined(spans)) for run, spans in _unpacked(*self._ranges.values()).items())
        return {run: spans[-1] for run, spans in whole if spans}

    def heed(self, ack: Ack) -> None:
        """Take in what a collector lacks, as its newest ack has it.

        Its epoch decides nothing: a store that was brought back twice may have a lower one.
        """
        lacked = {acked.run: _lacked(acked) for acked in ack.runs if acked.lacks}
        self._lacks = {run: spans for run, spans in lacked.items() if spans}
        if self._lacks and (ack.store, ack.epoch) != self._asked_by:
            self._asked_by = ack.store, ack.epoch
            log.info(
                "the collector's store lacks what it had acknowledged, sending it again"
                " store=%s epoch=%s",
                *self._asked_by,
            )
        self.again = {key: one for key, one in self.again.items() if self._is_lacked(key)}

    def find_again(
        self,
        read: Callable[[int], Iterable[tuple[Key, bytes]]],
        is_held: Callable[[Key], bool],
    ) -> None:
        """With nothing left to send again, look into the oldest segment that may have some."""
        if self.again or not self._lacks:
            return
        now = self._monotonic()
        for number in sorted(self._ranges):
            asked, at = self._asked.get(number, (0, now))
            if now - at >= ASKED_S:
                asked = 0
            if asked >= MAX_ASKED or not self._may_have(number):
                continue
            self._asked[number] = asked + 1, now
            found = [(key, one) for key, one in read(number) if self._is_lacked(key)]
            self.again = {key: one for key, one in found if not is_held(key)}
            if self.again:
                return

    def _may_have(self, number: int) -> bool:
        ranges = self._of(number)
        return any(overlap(ranges.get(run, ()), spans) for run, spans in self._lacks.items())

    def _of(self, number: int) -> _Ranges:
        return _unpacked(self._ranges.get(number, b""))

    def _is_lacked(self, key: Key) -> bool:
        return overlap([(key.first_seq, key.seq)], self._lacks.get(key.run, ()))


def _packed(ranges: _Ranges) -> bytes:
    return b"".join(
        _RANGE.pack(bytes.fromhex(run), *span) for run, spans in ranges.items() for span in spans
    )


def _unpacked(*packed: bytes) -> _Ranges:
    ranges: dict[bytes, list[Span]] = {}
    for run, first, last in _RANGE.iter_unpack(b"".join(packed)):
        ranges.setdefault(run, []).append((first, last))
    return {run.hex(): spans for run, spans in ranges.items()}


def _lacked(acked: AckedRun) -> list[Span]:
    """What it lacks and does not cover."""
    spans = list(acked.lacks)
    for first, last in ((1, acked.upto), *acked.also):
        spans = without(spans, first, last)
    return spans
