"""What one stolen key can ask for in one packet, and that it costs nobody anything."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.broker import raw
from tests.broker.besieged import SITE, THIEF, Besieged, resident_bytes
from tests.broker.enrolled import City
from tests.broker.raw import packet, secure, text
from tests.broker.running import RunningBroker
from titik_wire import topics

pytestmark = pytest.mark.system

ACK_S = 5.0  # no honest router waits longer for what it has taken
VERSIONS = pytest.mark.parametrize("version", [5, 4], ids=["mqtt5", "mqtt311"])


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """Two honest routers, ten samples a second each."""
    with Besieged(tmp_path_factory.mktemp("besieged"), honest=2, interval_s=0.1) as made:
        yield made


def many(filters: list[str]) -> bytes:
    """One SUBSCRIBE, below the limit of a packet."""
    body = b"\0\1\0" + b"".join(text(one) + b"\x01" for one in filters)
    assert len(body) < 20_400
    return packet(0x82, body)


# By what they are; the n-th packet of each.
FLOODS: dict[str, Callable[[int], list[str]]] = {
    "4,000 times everything": lambda _: ["#"] * 4000,
    "800 different ones": lambda n: [f"titik/v1/+/{n}-{m}/#" for m in range(800)],
    "800 that are shared": lambda n: [f"$share/g{n}-{m}/#" for m in range(800)],
    "one that is 20 kB long": lambda n: [f"{n}/" + "+/" * 10_000 + "#"],
    "40 that are long": lambda n: [f"{n}-{m}/" + "x/" * 235 + "#" for m in range(40)],
}


@pytest.mark.parametrize("case", FLOODS)
def test_a_flood_of_filters_is_refused_and_delays_no_ack(besieged: Besieged, case: str) -> None:
    """Forty packets of it: SUBACK refuses each filter, and the broker holds nothing of them."""
    before = resident_bytes(besieged.directory.pid())
    codes: set[int] = set()
    waits: list[float] = []
    with besieged.holds(), besieged.thief() as thief:
        assert 0 == thief.connect("titik:x")
        for n in range(40):
            thief.send(many(FLOODS[case](n)))
            body = thief.answer(raw.SUBACK)
            if body is None:  # too deep for mosquitto: it hangs up
                break
            codes |= set(body[3:])
            waits.append(waits_s(besieged))
        assert [] == thief.hear(0.2)
    assert codes <= {0x87}
    # A flood delays most of them; a machine with other work delays one.
    assert sorted([0.0, *waits])[len(waits) // 2] < ACK_S
    grown = resident_bytes(besieged.directory.pid()) - before
    assert grown < 32 << 20


def waits_s(besieged: Besieged) -> float:
    """How long honest routers wait from now until what they have taken is committed."""
    goals = [node.sampler.seq for node in besieged.nodes]
    began = time.monotonic()
    while any(
        node.sampler.seq - spool.spooled < goal
        for node, spool, goal in zip(besieged.nodes, besieged.spools, goals, strict=True)
    ):
        assert time.monotonic() - began < 10 * ACK_S
        time.sleep(0.01)
    return time.monotonic() - began


@VERSIONS
def test_a_certificate_that_the_broker_does_not_know_may_do_nothing(
    besieged: Besieged, version: int
) -> None:
    """It is let in, as its certificate is good; every topic and filter is refused, its own too."""
    keys = besieged.city.folder / f"unknown-{version}"
    keys.mkdir()
    certificate, key = besieged.directory.authority.certify_router("unknown-1")
    (keys / "ca.crt").write_text(besieged.directory.authority.ca_pem)
    (keys / "router.crt").write_text(certificate)
    (keys / "router.key").write_text(key)
    refused = raw.REFUSED[version]

    def open_() -> raw.Wire:
        return secure(besieged.city, besieged.directory.ports.router, keys, version)

    own = (topics.status("unknown-1"), topics.sample("unknown-1"), topics.backlog("unknown-1"))
    with besieged.holds(), besieged.witness() as witness:
        with open_() as unknown:
            assert 0 == unknown.connect("titik:x")
            for topic in own:
                assert unknown.publish(topic) == (0x87 if version == 5 else 0)
            for filter_ in (
                topics.ack("unknown-1"), topics.settings("unknown-1"), topics.ALL_COLLECTORS, "#",
            ):  # fmt: skip
                assert refused == unknown.subscribe(filter_)
        with open_() as unknown:
            unknown.connect("titik:x", will=(own[0], b"x"))
        heard = {topic for topic, _ in witness.hear(0.3)}
        assert heard
        assert not heard & set(own)


@pytest.mark.parametrize("case", FLOODS)
def test_a_flooded_broker_ends_at_once(city: City, tmp_path: Path, case: str) -> None:
    """Within ten seconds of SIGTERM, with its database saved, though the flood was not over."""
    city.says("router", "add", THIEF, "--site", SITE)
    keys = city.enrol(THIEF, tmp_path / "thief")
    with (
        RunningBroker(city.broker) as broker,
        secure(city, city.broker.ports.router, keys) as thief,
    ):
        assert 0 == thief.connect("titik:x")
        with contextlib.suppress(OSError):  # it may hang up
            for n in range(60):
                thief.send(many(FLOODS[case](n)))
                thief.answer(raw.SUBACK)
        assert 0 == broker.stop()
    assert city.broker.database.exists()
