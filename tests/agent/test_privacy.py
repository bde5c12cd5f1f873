"""Nothing that a visitor could be identified by leaves the router or touches its flash."""

import base64
import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.fake_ubusd import FakeUbusd, answer
from tests.agent.test_hostapd_ubus import Counters
from tests.agent.test_sampler import FakeClock
from titik_agent.sampler import Sampler
from titik_agent.sketch import Sketch
from titik_agent.sources.hostapd_ubus import HostapdUbus
from titik_agent.sources.leases import LeasesSource
from titik_agent.sources.survey import Survey
from titik_agent.sources.visitors import VisitorsSource
from titik_agent.spool import Spool
from titik_agent.stations import Tracker

VISITORS = 300


def mac(number: int) -> str:
    """A client's address; none of it looks like a number that a sample contains."""
    return ":".join(f"{byte:02x}" for byte in hashlib.sha256(b"visitor %d" % number).digest()[:6])


def ip(number: int) -> str:
    return f"198.51.{100 + number // 250}.{number % 250 + 1}"


def hostname(number: int) -> str:
    return f"hp-si-budi-{number:03}"


def identifiers() -> Iterator[bytes]:
    """Everything known of the visitors: plain, spelled otherwise, cut, and hashed without a key."""
    for number in range(VISITORS):
        plain = mac(number)
        octets = bytes.fromhex(plain.replace(":", ""))
        spellings = [plain, plain.replace(":", ""), plain.replace(":", "-"), hostname(number)]
        spellings += [spelling.upper() for spelling in spellings]
        yield from (spelling.encode() for spelling in spellings)
        yield ip(number).encode()
        yield octets
        yield octets[2:]  # without what the manufacturer's part tells
        yield plain[6:].encode()
        yield base64.b64encode(octets)
        for algorithm in ("md5", "sha1", "sha256"):
            for text in (octets, plain.encode(), plain.upper().encode(), hostname(number).encode()):
                digest = hashlib.new(algorithm, text).digest()
                yield digest[:8]
                yield digest.hex()[:16].encode()


class _Everything(logging.Handler):
    """Keeps every log line of any level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def clients() -> dict[str, object]:
    return {
        mac(number): {
            "authorized": True,
            "assoc": True,
            "aid": number + 1,
            "bytes": {"rx": 1, "tx": 1},
            "packets": {"rx": number, "tx": number},
            "signal": -50,
        }
        for number in range(VISITORS)
    }


def what_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Payloads, spool, checkpoint and log of a router with these visitors."""
    everything = _Everything()
    root = logging.getLogger()
    root.addHandler(everything)
    monkeypatch.setattr(root, "level", logging.DEBUG)
    leases = tmp_path / "dhcp.leases"
    leases.write_text(
        "".join(f"0 {mac(n)} {ip(n)} {hostname(n)} 01:{mac(n)}\n" for n in range(VISITORS))
    )
    clock, sketch = FakeClock(), Sketch(FakeClock())
    spool = Spool(str(tmp_path / "spool"), 1 << 16, str(tmp_path / "flash"))
    gathered = [b""]
    with FakeUbusd(str(tmp_path / "ubus.sock")) as ubusd:
        ubusd.add(
            "hostapd.phy0-ap0",
            {
                "get_clients": answer({"freq": 2437, "clients": clients()}),
                "get_status": answer({"ssid": "Kota", "freq": 2437, "channel": 6, "phy": "phy0"}),
            },
        )
        hostapd = HostapdUbus(
            Counters(phy0_ap0=("boot/12", 11, 22)), Tracker(), sketch, [str(tmp_path / "ubus.sock")]
        )
        leased = LeasesSource(clock, (str(leases),))
        sources = (hostapd, Survey(hostapd), leased, VisitorsSource(sketch))
        sampler = Sampler("a", "0" * 16, clock, spool, sources, rss_bytes=lambda: 1)
        for number in range(60):
            ubusd.notify("hostapd.phy0-ap0", "sta-authorized", {"address": mac(number)})
            hostapd.pump()
            sample, payload = sampler.take()
            assert (VISITORS, VISITORS) == (sample.clients, sample.leases)
            spool.append(sample.run, sample.seq, payload)
            gathered.append(payload)
            clock.now_ms += 30_000
        hostapd.close()
    spool.close()
    root.removeHandler(everything)
    for folder in ("spool", "flash"):
        files = [os.path.join(tmp_path, folder, name) for name in os.listdir(tmp_path / folder)]
        gathered += [Path(file).read_bytes() for file in files]
    assert (tmp_path / "flash").exists()
    return b"\n".join([*gathered, *(line.encode() for line in everything.lines)])


def test_no_identifier_of_a_visitor_leaves_the_router(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in a message, the spool, the checkpoint or the log; plain, re-encoded or hashed."""
    gone = what_leaves(tmp_path, monkeypatch)

    assert len(gone) > 60 * 500
    assert [] == [known for known in identifiers() if known in gone]
