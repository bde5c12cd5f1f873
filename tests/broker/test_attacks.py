"""What a stolen router and an engineer can do to a city, which is nothing to anybody else."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.broker import raw
from tests.broker.besieged import SILENT, SITE, THIEF, Besieged, resident_bytes
from tests.broker.raw import CONNECT, PUBLISH, hello, packet, text
from tests.collector.build import BOOT, OLD_RUN, RUN, sample
from tests.system.city import wall_ms
from titik_collector.access.rights import CONTROL
from titik_wire import codec, topics
from titik_wire.messages import CollectorStatus, Status

pytestmark = pytest.mark.system

VERSIONS = pytest.mark.parametrize("version", [5, 4], ids=["mqtt5", "mqtt311"])
MARK = OLD_RUN.encode()  # in all that is forged
OWN = {topics.ack(THIEF), topics.collector("main")}  # all that a router may read
LIMIT = 20_480  # of a packet, in the generated configuration


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """Two honest routers, ten samples a second each."""
    with Besieged(tmp_path_factory.mktemp("besieged"), honest=2, interval_s=0.1) as made:
        yield made


def forged(router: str, run: str = OLD_RUN) -> bytes:
    """A sample that this router never took."""
    made = replace(sample(1, router=router), taken_at=wall_ms() - 60_000, run=run)
    return codec.encode(replace(made, spool=(replace(made.spool[0], run=run),)))


def forgeries(victim: str, run: str) -> list[tuple[str, bytes]]:
    """Everything that would hurt, were it passed on."""
    ack = b'{"v":1,"runs":{"%s":{"upto":9007199254740991},"%s":{"upto":1}}}' % (run.encode(), MARK)
    sample_, offline = (
        forged(victim),
        codec.encode(Status(victim, "offline", OLD_RUN, 1, BOOT, "1.0")),
    )
    gone = codec.encode(CollectorStatus("main", "offline", OLD_RUN))
    return [
        (topics.sample(victim), sample_),
        (topics.backlog(victim), sample_),
        (topics.status(victim), offline),
        (topics.sample(SILENT), forged(SILENT)),
        (topics.ack(victim), ack),
        (topics.ack(THIEF), ack),
        (topics.collector("main"), gone),
        (topics.now("router", victim), MARK),
        (topics.now("site", SITE), MARK),
        (topics.now("city", "kupang"), MARK),
        (topics.device(SITE), MARK),
        (topics.rollup("1m", "city", "kupang"), MARK),
        (topics.rollup("1h", "router", victim), MARK),
        (f"titik/v1/alert/site/{SITE}/offline", MARK),
        (f"titik/v1/router/{THIEF}/sample/more", sample_),
        (f"titik/v1/router/{THIEF}", sample_),
        ("titik/v1/router//sample", sample_),
        (f"titik/v1/router/{THIEF}/../{victim}/sample", sample_),
        (f"/titik/v1/router/{victim}/sample", sample_),
        ("titik", MARK),
        ("$SYS/broker/uptime", MARK),
        ("$CONTROL/dynamic-security/v1", MARK),
        (f"$share/x/{topics.sample(victim)}", sample_),
    ]


@contextlib.contextmanager
def nothing_forged(besieged: Besieged) -> Iterator[None]:
    """Neither at once, nor retained for who comes later, does anybody get what is forged."""
    with besieged.holds():
        with besieged.witness() as early:
            yield
            heard = early.hear(0.15)
        with besieged.witness() as late:
            heard += late.hear(0.15)
        assert heard
        assert [] == [topic for topic, payload in heard if MARK in payload]


@VERSIONS
def test_a_router_forges_nothing_outside_its_three_topics(besieged: Besieged, version: int) -> None:
    """Others' samples, status and acks, its own acks, the collector's topics, the broker's own."""
    node = besieged.nodes[0]
    with nothing_forged(besieged), besieged.thief(version) as thief:
        assert 0 == thief.connect("titik:x")
        for topic, payload in forgeries(node.name, node.run):
            output = thief.publish(topic, payload)
            assert output == (0x87 if version == 5 else 0), topic


@VERSIONS
def test_an_engineer_forges_nothing(besieged: Besieged, version: int) -> None:
    """Engineers read; a router of an engineer's name would be no way in either."""
    node = besieged.nodes[0]
    password = besieged.directory.password("ina")
    with nothing_forged(besieged), besieged.engineer(version) as tool:
        assert 0 == tool.connect("", "ina", password)
        own = [(f"titik/v1/router/ina/{leaf}", MARK) for leaf in ("status", "sample", "backlog")]
        for topic, payload in [*forgeries(node.name, node.run), *own]:
            output = tool.publish(topic, payload)
            assert output == (0x87 if version == 5 else 0), topic


@VERSIONS
@pytest.mark.parametrize("who", [THIEF, "ina"])
def test_a_last_will_forges_nothing(besieged: Besieged, version: int, who: str) -> None:
    """What the broker would publish for a client that is gone is checked like all else."""
    node = besieged.nodes[0]
    with nothing_forged(besieged):
        for topic, payload in forgeries(node.name, node.run)[:8]:
            with besieged.thief(version) if who == THIEF else besieged.engineer(version) as client:
                password = None if who == THIEF else besieged.directory.password(who)
                client.connect("", who, password, will=(topic, payload))


@VERSIONS
def test_who_says_anothers_name_under_its_own_is_found_out(
    besieged: Besieged, version: int
) -> None:
    """The topic decides whose a sample is; what says otherwise is put aside, and nobody's."""
    victim = besieged.nodes[0].name
    leaves = (topics.sample, topics.backlog)
    besieged.quarantined += len(leaves)
    with besieged.holds(), besieged.thief(version) as thief:
        assert 0 == thief.connect("titik:x", victim)
        for leaf in leaves:
            assert 0 == thief.publish(leaf(THIEF), forged(victim, RUN), retain=False)


@VERSIONS
@pytest.mark.parametrize("user", ["collector", "victim", "ina", "engineer"])
def test_a_certificate_says_who_a_router_is(besieged: Besieged, version: int, user: str) -> None:
    """Not the user name that it gives, with or without that user's password."""
    node = besieged.nodes[0]
    name = node.name if user == "victim" else user
    password = None if user == "victim" else besieged.directory.password(user)
    with nothing_forged(besieged), besieged.thief(version) as thief:
        assert 0 == thief.connect(f"titik:{name}", name, password)
        for topic, payload in forgeries(node.name, node.run):
            thief.publish(topic, payload)
        thief.subscribe("titik/v1/#")
        assert {topic for topic, _ in thief.hear(0.3)} <= OWN


def stolen_ids(besieged: Besieged) -> list[str]:
    """Client ids that the broker may know the collector and another router by."""
    victim, collector = besieged.names[0], besieged.directory.settings.collector
    names = (victim, collector, "main", SILENT)
    return ["", *names, *(f"titik:{name}" for name in names), f"titik:titik:{victim}"]


@VERSIONS
def test_a_router_takes_over_nobodys_session(besieged: Besieged, version: int) -> None:
    """Its certificate's name is its client id, whatever it asks for; nobody is cut off."""
    with besieged.holds():
        for client_id in stolen_ids(besieged):
            with besieged.thief(version) as thief:
                thief.connect(client_id)
                time.sleep(0.05)


@VERSIONS
def test_an_engineer_takes_over_nobodys_session(besieged: Besieged, version: int) -> None:
    """Their ids begin with `titik:`, as no id of a router or of the collector does there."""
    password = besieged.directory.password("ina")
    with besieged.holds():
        for client_id in stolen_ids(besieged):
            with besieged.engineer(version) as tool:
                allowed = client_id.startswith("titik:") or client_id == ""
                output = tool.connect(client_id, "ina", password)
                assert output == (0 if allowed else raw.NOT_AUTHORIZED[version]), client_id
                time.sleep(0.05)


@VERSIONS
def test_a_router_subscribes_to_nothing_of_others(besieged: Besieged, version: int) -> None:
    """Each filter is refused, and nothing comes; its own three are granted."""
    victim = besieged.names[0]
    refused = raw.REFUSED[version]
    patterns = [
        "#", "+/#", "titik/#", "titik/v1/router/#", "titik/v1/router/+/+", "titik/v1/now/#",
        "titik/v1/rollup/#", "$SYS/#", "$share/x/#", "$share/x/titik/v1/router/+/sample",
        f"titik/v1/router/{victim}/#", topics.sample(victim), topics.ack(victim),
        topics.status(victim), topics.backlog(victim), topics.now("city", "kupang"),
        topics.sample(THIEF), f"titik/v1/router/{THIEF}/#", f"$share/x/{topics.ack(THIEF)}",
        "$CONTROL/#", "$CONTROL/dynamic-security/v1/response",
    ]  # fmt: skip
    with besieged.holds(), besieged.thief(version) as thief:
        assert 0 == thief.connect("titik:x")
        for pattern in patterns:
            assert refused == thief.subscribe(pattern), pattern
        assert [] == thief.hear(0.3)
        for pattern in (topics.ack(THIEF), topics.ALL_COLLECTORS, topics.settings(THIEF)):
            assert 1 == thief.subscribe(pattern), pattern


CRAFTED = {
    "plus": b"titik/v1/router/+/sample",
    "hash": b"titik/v1/#",
    "only a hash": b"#",
    "NUL at the end": b"titik/v1/router/%b/sample\0",
    "NUL inside": b"titik/v1/router/%b\0/sample",
    "NUL before": b"\0titik/v1/router/%b/sample",
    "bad UTF-8": b"titik/v1/router/\xff\xfe/sample",
    "overlong UTF-8": b"titik/v1/router\xc0\xaf%b/sample",
    "surrogate": b"titik/v1/router/\xed\xa0\x80/sample",
    "control characters": b"titik/v1/router/\x01\x7f/sample",
    "empty": b"",
    "slashes": b"/" * 10_000,
    "percent u": b"titik/v1/router/%u/sample",
    "own name with a wildcard": b"titik/v1/router/tirosa-9/#",
}


@VERSIONS
@pytest.mark.parametrize("case", CRAFTED)
def test_a_crafted_topic_reaches_nobody(besieged: Besieged, version: int, case: str) -> None:
    """In PUBLISH, as a pattern to subscribe, as a will and as a client id."""
    victim = besieged.names[0]
    topic = CRAFTED[case].replace(b"%b", victim.encode())
    with nothing_forged(besieged):
        with besieged.thief(version) as thief:
            assert 0 == thief.connect("titik:x")
            assert thief.publish(topic, forged(victim)) in (
                (None, 0x87, 0x90) if version == 5 else (None, 0)
            )
        with besieged.thief(version) as thief:
            assert 0 == thief.connect("titik:x")
            if thief.subscribe(topic) is not None:
                assert {one for one, _ in thief.hear(0.15)} <= OWN
        with besieged.engineer(version) as tool:
            tool.connect(b"titik:" + topic, "ina", besieged.directory.password("ina"))


def big(size: int) -> bytes:
    """A PUBLISH that is so long after its length, to a topic of the thief's."""
    head = text(topics.backlog(THIEF)) + b"\0\1\0"
    return packet(PUBLISH | 0x02, head + b"x" * (size - len(head)))


def test_a_packet_above_the_limit_cuts_its_sender_off(besieged: Besieged) -> None:
    """And nobody else; the last that is allowed is put aside by the collector."""
    besieged.quarantined += 1
    with besieged.holds():
        with besieged.thief() as thief:
            assert 0 == thief.connect("titik:x")
            thief.send(big(LIMIT - 4))
            assert thief.answer(raw.PUBACK) is not None
        for size in (LIMIT + 1, 1_000_000):
            with besieged.thief() as thief:
                assert 0 == thief.connect("titik:x")
                thief.send(big(size))
                assert thief.is_cut()


@pytest.mark.parametrize("first", [CONNECT, PUBLISH | 0x02, 0x82, 0xA2, 0x62, 0xC0, 0xE0, 0xF0])
def test_a_lie_about_a_length_costs_the_broker_nothing(besieged: Besieged, first: int) -> None:
    """256 MB are announced and no memory is set aside; before and after the login."""
    lie = packet(first, b"", raw.MOST)
    with besieged.holds(), contextlib.ExitStack() as open_ones:
        pid = besieged.directory.pid()
        before = resident_bytes(pid)
        for n in range(12):
            wire = open_ones.enter_context(besieged.engineer() if n % 2 else besieged.thief())
            if n >= 6 and not n % 2:
                assert 0 == wire.connect("titik:x")
            wire.send(lie + b"x" * 1000)
            if n < 2 or n >= 10:
                assert wire.is_cut()
        assert resident_bytes(pid) - before < 4 << 20


LIES = {
    "five bytes of length": b"\x32\xff\xff\xff\xff\x01",
    "topic longer than the packet": packet(0x32, b"\xff\xfftitik"),
    "nothing in it": packet(0x32, b""),
    "properties longer than the packet": packet(0x32, text("t") + b"\0\1\xff\x7f"),
    "QoS 3": packet(0x36, text(topics.sample(THIEF)) + b"\0\1\0x"),
    "packet id 0": packet(0x32, text(topics.sample(THIEF)) + b"\0\0\0x"),
    "a second CONNECT": packet(CONNECT, hello("titik:main")),
    "SUBSCRIBE without a pattern": packet(0x82, b"\0\1\0"),
    "the broker's own CONNACK": packet(0x20, b"\0\0\0"),
    "a reserved kind": packet(0x00, b"x"),
}


@pytest.mark.parametrize("case", LIES)
def test_a_malformed_packet_cuts_its_sender_off(besieged: Besieged, case: str) -> None:
    """With the connection of nobody else."""
    with besieged.holds(), besieged.thief() as thief:
        assert 0 == thief.connect("titik:x")
        thief.send(LIES[case])
        assert thief.is_cut()


def test_three_tools_of_one_engineer_live_side_by_side(besieged: Besieged) -> None:
    """Three times the script that the engineer was given, all of them alive to the end."""
    script = str(besieged.directory.path / "secrets" / "ina.sh")
    topic = topics.sample(besieged.names[0])
    with besieged.holds():
        tools = [
            subprocess.Popen(
                # A topic for each message, as a packed one is no text.
                [*("sh", script, "-C", "20", "-W", "120", "-F", "%t"), "-t", topic],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for _ in range(3)
        ]
        output = [one.communicate(timeout=150) for one in tools]
    assert [(0, 20, b"")] * 3 == [
        (one.returncode, out.count(b"\n"), err)
        for one, (out, err) in zip(tools, output, strict=True)
    ]


def test_the_collectors_password_ends_no_session_from_outside(besieged: Besieged) -> None:
    """Its listener is on loopback; elsewhere its id begins with `titik:`, and is another."""
    user = besieged.directory.settings.collector
    password = besieged.directory.password(user)
    with besieged.holds():
        for client_id in stolen_ids(besieged):
            with besieged.engineer() as tool:
                tool.connect(client_id, user, password)
                time.sleep(0.05)


def test_the_commanding_password_opens_nothing_from_outside(besieged: Besieged) -> None:
    """Its user is bound to the id that it has on the collector's listener."""
    password = besieged.directory.password(CONTROL)
    with besieged.holds():
        for version in (4, 5):
            for client_id in ("", CONTROL, "titik:ctl", f"titik:{CONTROL}"):
                with besieged.engineer(version) as tool:
                    output = tool.connect(client_id, CONTROL, password)
                    assert output == raw.NOT_AUTHORIZED[version]
        with besieged.local() as tool:
            assert 0 == tool.connect("titik:ctl", CONTROL, password)


def test_the_witness_sees_what_is_published(besieged: Besieged) -> None:
    """So what it does not see in these tests was not passed on."""
    besieged.quarantined += 1
    with besieged.witness() as engineer, besieged.thief() as thief:
        assert 0 == thief.connect("titik:x")
        assert 0 == thief.publish(topics.backlog(THIEF), MARK, retain=False)
        assert (topics.backlog(THIEF), MARK) in engineer.hear(0.3)
    with besieged.holds():
        pass
