"""Samples, clocks and disks that the spool's tests share."""

import errno
import os
from dataclasses import replace

from tests.wire.examples import BARE_SAMPLE, RUN
from titik_agent.spool.segments import Position, Segments
from titik_agent.spool.spool import Key, Spool
from titik_wire import topics
from titik_wire.codec import decode, encode
from titik_wire.messages import Ack, AckedRun, Bss, Held, Net, Sample, Span

OTHER_RUN = "00000000000000aa"
INTERVAL_MS = 30_000


class Clock:
    """A monotonic clock that moves when asked to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Disk:
    """Writes that can be made to fail like a full or a broken disk."""

    def __init__(self) -> None:
        self.error: int | None = None
        self.writes = 0
        self.short = False  # of descriptors: nothing can be read for now
        self.unread: dict[str, int] = {}  # names of files that cannot be read, and the error

    def write(self, fd: int, data: bytes, offset: int) -> int:
        """As os.pwrite; a full disk takes the first bytes of what it cannot keep."""
        self.writes += 1
        if self.error == errno.ENOSPC:
            return os.pwrite(fd, data[:10], offset)
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        return os.pwrite(fd, data, offset)

    def open(self, directory: str, segment_bytes: int) -> Segments:
        """Its segments, for a spool."""
        return _Segments(directory, segment_bytes, self)


class _Segments(Segments):
    def __init__(self, directory: str, segment_bytes: int, disk: Disk) -> None:
        super().__init__(directory, segment_bytes, disk.write)
        self._disk = disk

    def read(self, position: Position) -> bytes:
        if self._disk.short:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().read(position)

    def _contents(self, number: int, is_deflated: bool) -> bytes:
        error = self._disk.unread.get(f"{number:010d}.seg")
        if error is not None:
            raise OSError(error, os.strerror(error))
        return super()._contents(number, is_deflated)


def sample(seq: int, run: str = RUN) -> Sample:
    """One sample whose counters follow from its seq."""
    return replace(
        BARE_SAMPLE,
        run=run,
        first_seq=seq,
        seq=seq,
        spool=(Held(run, (1, seq)),),
        uptime_ms=seq * INTERVAL_MS,
        covers_ms=INTERVAL_MS if seq > 1 else 0,
        clients=5 + seq % 7,
        clients_min=seq % 5,
        clients_max=12 + seq % 3,
        client_ms=seq * 1000,
        observed_ms=seq * INTERVAL_MS,
    )


def typical(seq: int, run: str = RUN) -> Sample:
    """A sample as large as a router with two BSSes makes it, about 1.1 kB."""
    bss = tuple(
        Bss(
            ifname=f"phy{n}-ap0",
            ssid="Kupang Smart City",
            band="2g",
            channel=6,
            clients=17,
            clients_min=15,
            clients_max=19,
            client_ms=93_144_000,
            active=12,
            weak=3,
            since=f"{BARE_SAMPLE.boot}/{n}",
            rx_bytes=1000 * seq,
            tx_bytes=9000 * seq + n,
        )
        for n in range(2)
    )
    wan = Net(
        "wan",
        role="uplink",
        up=True,
        since=f"{BARE_SAMPLE.boot}/3",
        rx_bytes=9500 * seq,
        tx_bytes=1100 * seq,
    )
    lan = replace(wan, ifname="br-lan", role="lan", since=f"{BARE_SAMPLE.boot}/5")
    return replace(sample(seq, run), bss=bss, net=(wan, lan))


def take(spool: Spool, *seqs: int, run: str = RUN) -> None:
    """Append bare samples."""
    for seq in seqs:
        spool.append(run, seq, encode(sample(seq, run)))


def read(spool: Spool, key: Key) -> Sample:
    """The sample of a key that is held."""
    payload = spool.payload(key)
    assert payload is not None
    message = decode(topics.sample(BARE_SAMPLE.router), payload)
    assert isinstance(message, Sample)
    return message


def spans(spool: Spool, run: str = RUN) -> list[Span]:
    """First and last seq of each block of a run."""
    keys = spool.keys()
    return [(key.first_seq, key.seq) for key in keys if key.run == run]


def ack(upto: int, *also: Span, run: str = RUN) -> Ack:
    """The collector's word for one run."""
    return Ack(BARE_SAMPLE.router, (AckedRun(run, upto, also),))
