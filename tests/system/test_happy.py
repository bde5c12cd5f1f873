"""From a client that joins to the topics that an engineer reads, every part being real."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.agent.fake_ubusd import FakeUbusd, answer
from tests.broker.running import Client
from tests.collector.build import sample
from tests.system.city import City, Remembering, bytes_of, bytes_taken, wall_ms
from tests.system.test_order import deliver
from titik_agent.commands import titik_agent
from titik_wire import topics
from titik_wire.codec import decode
from titik_wire.packed import is_packed

pytestmark = pytest.mark.system

AP = "hostapd.phy0-ap0"
STATUS = {"ssid": "Kupang Smart City", "freq": 2437, "channel": 6, "phy": "phy0"}


def clients(number: int) -> dict[str, Any]:
    """What `get_clients` answers when so many are there."""
    one = {"auth": True, "assoc": True, "authorized": True, "signal": -50}
    return {"freq": 2437, "clients": {f"02:00:5e:00:53:{n:02x}": one for n in range(number)}}


def test_a_client_that_joins_shows_on_the_now_topic(tmp_path: Path) -> None:
    """hostapd's event, a sample, the broker, the store, `now`: within seconds."""
    with City(tmp_path) as city, FakeUbusd(str(tmp_path / "ubus.sock")) as ubusd:
        here = [2]
        methods = {
            "get_clients": lambda: answer(clients(here[0]))(),
            "get_status": answer(STATUS),
        }
        ubusd.add(AP, methods)
        city.collect()
        agent = city.agent(hostapd="ubus", ubus_socket=ubusd.path)
        with city.engineer(topics.now("router", "tirosa-1")) as engineer:
            until_clients(city, engineer, 2)
            here[0] = 3
            ubusd.notify(AP, "sta-authorized", {"address": "02:00:5e:00:53:02"})
            until_clients(city, engineer, 3)
            until_clients(city, engineer, 3, "uplink_down_bps")
        city.until(lambda: settled(city) > 0, "all is stored")
        assert agent.stop() == 0
        (taken, stored, refused, lost, _) = next(iter(city.close_books().values()))
        assert (stored, refused, lost) == (taken, 0, 0)


def test_a_check_before_the_first_start_is_no_outage(tmp_path: Path) -> None:
    """What an installer does: check, all is well, run."""
    with City(tmp_path) as city:
        city.collect()
        arguments = ["check", "--config", str(city.agent_file())]
        checked = CliRunner().invoke(titik_agent, arguments)
        assert "ok    publish and ack" in checked.output
        assert 0 == checked.exit_code
        agent = city.agent()
        online = "SELECT count(*) FROM presence WHERE said = 'online' AND state = 'online'"
        city.until(lambda: city.number(online) == 1, "the agent is online")
        assert [] == city.ask("SELECT * FROM outage")
        agent.stop()


def test_a_packed_sample_is_stored_and_an_engineer_can_read_it(tmp_path: Path) -> None:
    """As soon as the agent knows that the collector takes it: a third of the bytes on the topic."""
    with City(tmp_path) as city:
        city.collect()
        agent = city.agent()
        with city.engineer(topics.sample("tirosa-1")) as engineer:
            topic, payload = engineer.received.get(timeout=60)
            while not is_packed(payload):  # the first is sent before it knows
                topic, payload = engineer.received.get(timeout=60)
            shown = subprocess.run(
                [sys.executable, "-m", "titik_wire.packed"],
                input=payload.hex(),
                capture_output=True,
                text=True,
                check=True,
            )
            assert decode(topic, payload) == decode(topic, shown.stdout.encode())
        city.until(lambda: settled(city) > 0, "all is stored")
        assert agent.stop() == 0
        (taken, stored, refused, lost, _) = next(iter(city.close_books().values()))
        assert (stored, refused, lost) == (taken, 0, 0)


def test_a_city_that_wants_no_packed_samples_gets_none(tmp_path: Path) -> None:
    """One key of the collector's; every router goes on in JSON."""
    with City(tmp_path) as city:
        text = city.file.read_text()
        city.file.write_text(text.replace("[collector]\n", "[collector]\npacked = false\n"))
        city.collect()
        agent = city.agent()
        with city.engineer(topics.sample("tirosa-1")) as engineer:
            city.until(lambda: settled(city) > 2, "samples are stored")
            found = [engineer.received.get(timeout=60)[1] for _ in range(2)]
        assert [False, False] == list(map(is_packed, found))
        assert agent.stop() == 0


def until_clients(city: City, engineer: Client, expected: int, has: str = "state") -> None:
    """Until `now` says so."""

    def says(_: str, payload: bytes) -> bool:
        now = json.loads(payload)
        return now.get("clients") == expected and now["state"] == "online" and has in now

    city.until_heard(engineer, says, f"{expected} clients")


def settled(city: City) -> int:
    """Samples stored, if none is missing."""
    ((taken, stored, _, _, _),) = city.books().values() or [(0, -1, 0, 0, 0)]
    return stored if taken == stored else 0


def test_every_byte_of_a_router_is_in_its_minutes_once(tmp_path: Path) -> None:
    """The sum over the minutes is the last counter minus the first; a site is its routers."""
    with City(tmp_path, "tirosa-1", "tirosa-2") as city:
        city.collect()
        nodes = [city.node(name, seed=seed) for seed, name in enumerate(city.routers)]
        city.until_taken(nodes[0], 20)
        city.until_acked()
        books = city.close_books()
        assert {node.run: (node.sampler.seq, node.sampler.seq, 0, 0, 0) for node in nodes} == books
        with city.reader() as db:
            for node in nodes:
                assert isinstance(node.spool, Remembering)
                assert bytes_taken(node.spool.taken) == bytes_of(db, node.name)
            sums = {
                scope: total
                for scope, total in db.execute(
                    "SELECT scope, sum(wifi_down_bytes) FROM rollup WHERE length = '1d'"
                    " GROUP BY scope"
                )
            }
        assert sums["router"] > 0
        assert {"router": sums["router"], "site": sums["router"], "city": sums["router"]} == sums


def test_a_finished_minute_is_reported_to_engineers(tmp_path: Path) -> None:
    """Router, site and city, once the minute is over: here the last of what a router spooled."""
    start_ms = wall_ms() - 540_000
    spooled = [replace(sample(n, lowest=1), taken_at=start_ms + n * 30_000) for n in range(1, 12)]
    with City(tmp_path) as city, city.impostor("tirosa-1") as router:
        city.collect()
        names = [("router", "tirosa-1"), ("site", "taman-tirosa"), ("city", "kupang")]
        wanted = {topics.rollup("1m", scope, name) for scope, name in names}
        with city.engineer("titik/v1/rollup/1m/#") as engineer:
            means: dict[str, float] = {}

            def are_all(topic: str, payload: bytes) -> bool:
                """A minute that only one sample of what is spooled has reached has no mean yet."""
                rollup = json.loads(payload)
                if "clients_mean" in rollup:
                    means[topic] = rollup["clients_mean"]
                return wanted <= means.keys()

            deliver(router, spooled)
            city.until_heard(engineer, are_all, "rollups of all three")
        assert dict.fromkeys(wanted, 3.0) == means
