"""The real agent on a foreign processor, against the real broker and collector on this one.

Run by `make foreign`; its name keeps it out of the other tests, which have no such processor.
"""

import struct
import subprocess
from pathlib import Path

import pytest

from tests.agent.fake_hostapd import FakeBss, FakeHostapd
from tests.system.city import City
from titik_collector.store.body import unpack
from titik_wire import codec, topics
from titik_wire.messages import Sample
from tools import foreign

ROUTER = "tirosa-1"
SAMPLES = 5
PATIENCE_S = 120.0  # emulated
KINDS = {"armhf": ("little", 4), "s390x": ("big", 8)}


@pytest.mark.parametrize("name", KINDS)
def test_the_processor_is_foreign(name: str) -> None:
    """Of the byte order and the width of a pointer that it is here for."""
    code = "import struct, sys; print(sys.byteorder, struct.calcsize('P'))"
    output = subprocess.run([foreign.python(name), "-c", code], check=True, capture_output=True)
    order, width = output.stdout.decode().split()
    assert KINDS[name] == (order, int(width))
    assert struct.calcsize("P") == 8


@pytest.mark.parametrize("name", KINDS)
def test_what_a_foreign_router_takes_is_stored(tmp_path: Path, name: str) -> None:
    """Each sample once, with the access point's name and its counters; nothing is refused."""
    access_point = FakeHostapd(
        str(tmp_path / "hostapd"), FakeBss("lo", b"Kota", freq_mhz=2437, channel=6)
    )
    with access_point, City(tmp_path / "city", ROUTER) as city:
        city.collect()
        agent = city.agent(
            python=str(foreign.python(name)), hostapd="control", control_dir=access_point.directory
        )
        try:
            city.until(
                lambda: city.number("SELECT count(*) FROM body") >= SAMPLES,
                "samples are stored",
                PATIENCE_S,
            )
        finally:
            status = agent.stop()
        assert 0 == status, agent.output()
        ((taken, stored, refused, lost, in_spool),) = city.close_books().values()
        assert (taken, 0, 0) == (stored + in_spool, refused, lost)
        ((packed,),) = city.ask("SELECT packed FROM body ORDER BY seq DESC LIMIT 1")
        assert isinstance(packed, bytes)
        sample = codec.decode(topics.sample(ROUTER), unpack(packed))
    assert isinstance(sample, Sample)
    assert () == sample.agent.failed
    ((bss, *none), net) = (sample.bss or (), sample.net)
    assert [] == none
    assert ("lo", "Kota", "2g", 6, 0) == (bss.ifname, bss.ssid, bss.band, bss.channel, bss.clients)
    assert bss.rx_bytes is not None
    assert net is not None
    assert net[0].rx_bytes > 0
