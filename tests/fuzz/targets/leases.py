"""dnsmasq's lease file: any bytes give a number of devices or a SourceError."""

from collections.abc import Sequence

from tests.fuzz.targets import CAPTURES
from titik_agent.sampling.source import SourceError
from titik_agent.sources.leases import count_devices

NOW_S = 1_795_403_045


def seeds() -> Sequence[bytes]:
    found = [file.read_bytes() for file in sorted(CAPTURES.glob("hwsim/dnsmasq_leases_*"))]
    return [
        *found,
        (CAPTURES / "s-dhcp-leases-durations-broken-rtc.txt").read_bytes(),
        b"1795500000 00- 10.0.0.5 * ff:00\n0 06-02:00:5e:00:53:01 10.0.0.6 * *\n",
        b"duid 00:01\n1795500000 123 fd00::5 host 00:01\n",
    ]


def one(data: bytes) -> None:
    try:
        ever = count_devices([data], None)
    except SourceError:
        return
    held = count_devices([data], NOW_S)
    assert 0 <= held <= ever <= len(data.splitlines())
    assert ever == count_devices([data, data], None)
