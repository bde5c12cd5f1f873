"""What a router with a broken agent or a stolen credential can do, and what it cannot."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.collector.build import OLD_RUN, sample
from tests.system.city import City, wall_ms
from titik_wire import codec, topics
from titik_wire.messages import Sample

pytestmark = pytest.mark.system


def now_sample(seq: int, router: str = "tirosa-1") -> Sample:
    """One that was taken just now."""
    return replace(sample(seq, router=router), taken_at=wall_ms() - 600_000 + seq * 30_000)


def spoilt(seq: int, **members: object) -> bytes:
    """A sample whose identity can be read, and that breaks the contract."""
    return json.dumps(json.loads(codec.encode(now_sample(seq))) | members).encode()


def test_what_is_malformed_is_kept_and_all_else_flows(tmp_path: Path) -> None:
    """Acknowledged, counted, shown; with a readable identity it is accounted as refused."""
    malformed = [
        b"\xff\xfe",
        b"{",
        b"[" * 5000,
        b'{"v":1}',
        b'{"v":' + b"9" * 5000 + b"}",
        codec.encode(now_sample(1, "tirosa-2")),  # another router's name
        b'{"v":1,"router":"tirosa-1","pad":"' + b"x" * 13_000 + b'"}',
        spoilt(2, clients=-1),
        spoilt(3, uptime_ms="NaN"),
    ]
    with City(tmp_path, "tirosa-1", "tirosa-2") as city, city.impostor("tirosa-1") as router:
        city.collect()
        node = city.node("tirosa-2")
        backlog = topics.backlog("tirosa-1")
        for payload in malformed:
            assert "Success" == router.publish(backlog, payload)
        router.publish(topics.status("tirosa-1"), b"offline")
        for seq in (1, 4, 5):
            router.send(backlog, codec.encode(now_sample(seq)))
        city.until_taken(node, 5)
        city.until(lambda: stored(city, "tirosa-1") == 3, "the sound ones are stored")
        city.until_acked()
        tally = len(malformed) + 1
        assert tally == city.number("SELECT count(*) FROM quarantine")
        status, screen = city.titik("status", "--config", str(city.file))
        assert status == 0
        assert f"messages that broke the contract (the newest are kept): {tally}" in screen
        books = city.close_books()
        own = books.pop(node.run)
        assert (node.sampler.seq, node.sampler.seq, 0, 0, 0) == own
        assert [(5, 3, 2, 0, 0)] == list(books.values())
        status, output = city.titik("db", "check", "--config", str(city.file))
        assert (status, True) == (0, "refused 2" in output)


def stored(city: City, router: str) -> int:
    """Samples of one router."""
    return city.number("SELECT count(*) FROM v_sample WHERE router = ?", router)


def test_a_later_contract_is_neither_refused_nor_acked(tmp_path: Path) -> None:
    """The router keeps such samples until the collector is upgraded; the rest is stored."""
    with City(tmp_path) as city, city.impostor("tirosa-1") as router:
        city.collect()
        backlog = topics.backlog("tirosa-1")
        later = [now_sample(seq) for seq in (1, 3)]
        for one in later:
            router.send(backlog, codec.encode(one).replace(b'"v":1', b'"v":2', 1))
        router.send(backlog, codec.encode(now_sample(2)))
        router.send(backlog, codec.encode(now_sample(4)))
        city.until(lambda: stored(city, "tirosa-1") == 2, "what is understood is stored")
        with city.engineer(topics.ack("tirosa-1")) as engineer:
            wanted = {"upto": 0, "also": [[2, 2], [4, 4]]}
            city.until_heard(
                engineer,
                lambda _, ack: [wanted] == [*json.loads(ack)["runs"].values()],
                "the ack of both",
            )
        _, screen = city.titik("status", "--config", str(city.file))
        assert "messages of a later contract (upgrade this collector): 2" in screen
        for one in later:  # an upgraded collector understands them
            router.send(backlog, codec.encode(one))
        city.until(lambda: stored(city, "tirosa-1") == 4, "all is stored")
        assert [(4, 4, 0, 0, 0)] == list(city.close_books().values())
        assert city.number("SELECT count(*) FROM quarantine") == 0


def test_a_router_can_write_only_its_own_topics(tmp_path: Path) -> None:
    """Forged samples, status, acks and `now` are refused by the broker; nothing of it is stored."""
    forged = replace(now_sample(1, "tirosa-2"), run=OLD_RUN)
    with City(tmp_path, "tirosa-1", "tirosa-2") as city, city.impostor("tirosa-1") as thief:
        city.collect()
        node = city.node("tirosa-2")
        city.until_taken(node, 3)
        ack = b'{"v":1,"runs":{"%s":{"upto":9007199254740991}}}' % node.run.encode()
        for topic, payload in (
            (topics.sample("tirosa-2"), codec.encode(forged)),
            (topics.backlog("tirosa-2"), codec.encode(forged)),
            (topics.status("tirosa-2"), b'{"v":1}'),
            (topics.ack("tirosa-2"), ack),
            (topics.ack("tirosa-1"), ack),
            (topics.now("city", "kupang"), b'{"v":1}'),
            (topics.collector("main"), b'{"v":1}'),
        ):
            assert "Not authorized" == thief.publish(topic, payload)
        city.until_taken(node, 3)
        city.until_acked()
        assert city.number("SELECT count(*) FROM quarantine") == 0
        assert {node.run: (node.sampler.seq, node.sampler.seq, 0, 0, 0)} == city.close_books()


def test_a_wrong_password_is_logged_once_and_costs_no_sample(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The samples wait, and the line says how to try at once."""
    with City(tmp_path) as city:
        city.collect()
        node = city.node(password="wrong")
        city.until(lambda: bool(caplog.records), "it is reported")
        city.until_taken(node, 20)
        assert node.sampler.seq == node.spool.spooled
        assert city.books() == {}
        (output,) = [one.getMessage() for one in caplog.records]
    found = re.search(r"broker unreachable reason=(.*) next_try_s=(\d+)", output)
    assert found is not None
    assert "not authorized" in found[1].lower() or "password" in found[1].lower()
    assert 0 <= int(found[2]) <= 40
    assert output.endswith(", a restart of the agent tries at once")
