"""The spool's files: any bytes as segment and checkpoint give an agent that works.

The first byte says how the rest is read. Bit 0: as it is, or as records that get their lengths and
CRCs. Bits 1 and 2: into the segment, the checkpoint, or both.
"""

import shutil
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.targets import folder
from tests.wire.examples import BARE_SAMPLE, FULL_SAMPLE
from titik_agent.spool.record import Key, pack
from titik_agent.spool.spool import Spool
from titik_wire import codec
from titik_wire.messages import Ack, AckedRun

RUN = "aaaaaaaaaaaaaaaa"  # the run that goes on with the files
OLD = "0123456789abcdef"
NEW = codec.encode(BARE_SAMPLE)
LIMIT = 1 << 16
HEAD = struct.Struct(">BBBBH")  # age, run, block, form, bytes
FRAME, IDENTITY = struct.Struct(">II"), struct.Struct(">I8sQQ")


def seeds() -> Sequence[bytes]:
    full = codec.encode(FULL_SAMPLE)
    whole = b"".join(pack(1, Key(OLD, seq, seq), NEW) for seq in (1, 2, 3))
    merged = pack(2, Key(OLD, 5, 8), full)
    parts = b"".join(HEAD.pack(1, 1, seq, 0, len(NEW)) + NEW for seq in (0, 1, 2))
    return [
        b"\2" + whole,
        b"\4" + whole,
        b"\6" + whole + merged,
        b"\2" + whole[:-5] + merged,
        b"\3" + parts,
        b"\3" + HEAD.pack(1, 1, 0, 0x80, len(NEW)) + NEW,  # seq 0
        b"\3" + HEAD.pack(1, 1, 0, 0x11, len(NEW)) + NEW,  # no block
        b"\7" + parts + HEAD.pack(2, 0, 1, 2, len(full)) + full,
    ]


def one(data: bytes) -> None:
    home = folder("spool")
    for name in ("spool", "flash"):
        shutil.rmtree(home / name, ignore_errors=True)
        (home / name).mkdir()
    how = data[0] if data else 0
    content = _records(data[1:]) if how & 1 else data[1:]
    if how & 2:
        (home / "spool" / "0000000001.seg").write_bytes(content)
    if how & 4:
        (home / "flash" / "spool.checkpoint").write_bytes(content)
    held = _live(home)
    _live_again(home, held)


def _records(data: bytes) -> bytes:
    """Records with a right length and CRC, so that what is behind these is met too.

    The low half of a form is the size of the block, the high half how far it is off its place.
    """
    found, at = b"", 0
    while at + HEAD.size <= len(data):
        age, run, block, form, length = HEAD.unpack_from(data, at)
        at += HEAD.size
        size = 1 << form % 16
        first = max(0, block * size + 1 - form // 16)
        last = max(0, (block + 1) * size - form // 128)
        body = IDENTITY.pack(age, bytes([run] * 8), first, last) + data[at : at + length]
        found += FRAME.pack(len(body), zlib.crc32(body)) + body
        at += length
    return found


def _open(home: Path) -> Spool:
    return Spool(str(home / "spool"), LIMIT, str(home / "flash"))


def _live(home: Path) -> dict[Key, bytes]:
    """A life that finds the files, takes a sample and ends; what it held."""
    spool = _open(home)
    try:
        for key in list(spool.keys()):
            spool.payload(key)
        seq = max((key.seq for key in list(spool.keys()) if key.run == RUN), default=0) + 1
        spool.append(RUN, seq, NEW)
        assert NEW == spool.payload(Key(RUN, seq, seq))
        assert spool.held()[RUN][1] == seq
        for run, (first, last) in spool.held().items():
            assert 1 <= first <= last, run
        found = {key: spool.payload(key) for key in list(spool.keys())}
    finally:
        spool.close()
    return {key: payload for key, payload in found.items() if payload is not None}


def _live_again(home: Path, held: dict[Key, bytes]) -> None:
    """The next life has the same, and lets go of it when it is acked."""
    spool = _open(home)
    try:
        assert held == {key: spool.payload(key) for key in list(spool.keys())}
        runs = tuple(AckedRun(run, span[1]) for run, span in spool.held().items())
        assert spool.settle(Ack("tirosa-1", runs))
        assert [] == spool.keys()
    finally:
        spool.close()
