"""A place that falls, with a real broker, the collector as a process, and a real router's agent."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.broker.running import Client
from tests.system.city import City
from titik_wire import codec, topics
from titik_wire.city_messages import AlertNow

pytestmark = pytest.mark.system

AT_ONCE = """
[smtp]
host = "127.0.0.1"
sender = "titik@kupang.example"
[[receiver]]
name = "dinas"
type = "email"
to = "dinas@kupang.example"
[[alert]]
kind = "site-offline"
for_minutes = 0
keep_minutes = 0
"""
TOPIC = topics.alert("site", "taman-tirosa", "site-offline")
EVENTS = "SELECT was, became FROM alert_event WHERE kind = 'site-offline' ORDER BY id"


def edit(city: City, more: str) -> None:
    """The operator adds to the configuration."""
    city.file.write_text(city.file.read_text() + more)


def heard(engineer: Client) -> AlertNow | None:
    """The next message on the topic; None: it was cleared."""
    while True:
        topic, payload = engineer.received.get(timeout=60)
        if topic == TOPIC:
            if not payload:
                return None
            message = codec.decode(topic, payload)
            assert isinstance(message, AlertNow)
            return message


def test_a_router_that_stops_is_an_alert_until_it_is_back(tmp_path: Path) -> None:
    """Its topic, its incident, its message; all of it is over when it reports again."""
    with City(tmp_path) as city:
        edit(city, AT_ONCE)
        collector = city.collect()
        agent = city.agent()
        online = "SELECT count(*) FROM presence WHERE state = 'online'"
        city.until(lambda: city.number(online) == 1, "the agent is online")
        with city.engineer(topics.ALL_ALERTS) as engineer:
            agent.stop()
            first = heard(engineer)
            assert first is not None
            assert ("firing", True, 1) == (first.state, first.known, first.incident)
            rows = city.ask("SELECT kind, scope, subject, severity, resolved_ms FROM incident")
            assert [("site-offline", "site", "taman-tirosa", "warning", None)] == rows
            ((message,),) = city.ask("SELECT message FROM notification WHERE incident_id = 1")
            assert "firing" == json.loads(str(message))["what"]

            # A collector that was killed publishes again what fires. Whether it goes on is not
            # known before routers had the time to come back.
            collector.kill()
            city.collect()
            assert replace(first, known=False) == heard(engineer)
            assert 1 == city.number("SELECT count(*) FROM incident")
            assert 1 == city.number("SELECT count(*) FROM notification WHERE incident_id = 1")

            city.agent()
            while heard(engineer) is not None:
                pass
        assert ("inactive", "firing") == city.ask(EVENTS)[0]
        assert "inactive" == city.ask(EVENTS)[-1][1]


def test_each_five_seconds_there_is_a_beat(tmp_path: Path) -> None:
    """Also without any router."""
    with City(tmp_path) as city:
        city.collect()
        beat = "SELECT coalesce(max(at_ms), 0) FROM beat WHERE name = 'collector'"
        city.until(lambda: city.number(beat) > 0, "the first one")
        before = city.number(beat)
        city.until(lambda: city.number(beat) > before, "the next one")
        assert 4000 < city.number(beat) - before < 60_000
