"""Settings from a distance at a real broker: of earlier rights, with the new ones, and lost."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.broker.running import PATIENCE_S, Client, RunningBroker, made
from titik_collector import assemble
from titik_collector.assemble import Parts
from titik_collector.broker_setup.broker_folder import BrokerFolder
from titik_collector.broker_setup.login import login
from titik_collector.cli import titik
from titik_collector.collect import Collector
from titik_collector.config import model
from titik_collector.store import settings, wishes
from titik_collector.store.sqlite import SqliteDatabase, open_writer
from titik_wire import codec, topics
from titik_wire.fleet_messages import InForce, Outcome, RouterSettings, Running

pytestmark = pytest.mark.system

NAME, RUN = "tirosa-1", "0123456789abcdef"
TEXT = """
[city]
name = "kupang"
title = "Kota Kupang"
timezone = "Asia/Makassar"
[store]
path = "titik.db"
[broker]
directory = "broker"
[[site]]
name = "taman"
title = "Taman"
[[router]]
name = "tirosa-1"
site = "taman"
"""
# What a router and a collector had no right to before there were wishes; a router always had
# that to hear its settings.
NEW = ("/running", "/answer", "/certificate", "/upgrade", "/request", "+/settings")


class City:
    """A broker, a store and a collector that is driven turn by turn."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "titik.toml"
        self.file.write_text(TEXT)
        self.folder: BrokerFolder = made(folder / "broker", NAME)
        self.broker = RunningBroker(self.folder)
        self.db: SqliteDatabase = open_writer(folder / "titik.db")
        config = model.load(self.file)
        self.collector = Collector(Parts(config, self.db, login(config)))

    def says(self, *words: str) -> str:
        """A command, with its configuration."""
        result = CliRunner().invoke(titik, [*words, "--config", str(self.file)])
        assert 0 == result.exit_code, result.output
        return result.output

    def turn_until(self, look: Callable[[], bool]) -> bool:
        """Let the collector work until it is so; False if it never is."""
        deadline = time.monotonic() + PATIENCE_S
        while not look() and time.monotonic() < deadline:
            self.collector.turn()
        return look()

    def offered(self) -> int | None:
        return settings.number(self.db, "wishes_offered")

    def router(self) -> Client:
        """As the agent logs in."""
        password = self.folder.password(NAME)
        client = Client(self.folder.ports.router, NAME, password, topics.CLIENT_ID + NAME)
        assert "Success" == client.answer()
        return client


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    """Nothing runs yet."""
    monkeypatch.setattr(assemble, "RIGHTS_S", 0.5)
    one = City(tmp_path)
    with closing(one.db):
        yield one
        one.collector.close()
        one.broker.stop()


def forget_rights(folder: BrokerFolder) -> None:
    """Leave those that the version before there were wishes gave."""
    known = json.loads(folder.access_file.read_text())
    for role in known["roles"]:
        role["acls"] = [one for one in role["acls"] if not (one.get("topic") or "").endswith(NEW)]
    folder.access_file.write_text(json.dumps(known))


def heard(client: Client) -> tuple[int, int | None]:
    """The revision of the settings that come next, and their interval."""
    topic, payload = client.next()
    message = codec.decode(topic, payload)
    assert isinstance(message, RouterSettings)
    return message.revision, message.interval_s


def test_an_upgraded_city_sets_its_routers_once_its_broker_has_the_rights(
    city: City, caplog: pytest.LogCaptureFixture
) -> None:
    """Before that no link is lost and nothing is sent; a broker that lost all gets it again."""
    forget_rights(city.folder)
    city.broker.start()
    city.says("router", "set", NAME, "interval_s=60")
    with city.router() as router:
        router.subscribe(topics.settings(NAME))
        assert city.turn_until(lambda: len(wishes.all_of(city.db, "settings")) == 1)
        assert city.turn_until(lambda: city.offered() == 0)
        assert router.hears_nothing()
        assert "does not offer wishes" in caplog.text
        assert "not offered: the broker's rights" in city.says("router", "set", NAME)
        assert "broker unreachable" not in caplog.text

    city.says("broker", "init", str(city.folder.path))  # mosquitto then ends all sessions
    assert city.turn_until(lambda: city.offered() == 1)
    with city.router() as router:
        router.subscribe(topics.settings(NAME))
        assert city.turn_until(lambda: not router.received.empty())
        assert (1, 60) == heard(router)

        outcome = Outcome(1, "applied")
        running = Running(NAME, RUN, "0.2.0", settings=outcome, in_force=InForce(60))
        topic = topics.running(NAME)
        assert "Success" == router.publish(topic, codec.encode(running), retain=True)
        assert city.turn_until(lambda: wishes.running(city.db, 1) is not None)
        assert "applied" in city.says("router", "set", NAME)
    assert 1 == caplog.text.count("does not offer")

    city.broker.stop()
    city.folder.database.unlink()
    city.broker.start()
    with city.router() as router:
        router.subscribe(topics.settings(NAME))
        assert city.turn_until(lambda: not router.received.empty())
        assert (1, 60) == heard(router)
        city.says("router", "set", NAME, "interval_s=")
        assert city.turn_until(lambda: not router.received.empty())
        assert (2, None) == heard(router)
        own = Running(NAME, RUN, "0.2.0", settings=Outcome(2, "applied"), in_force=InForce(30))
        router.publish(topics.running(NAME), codec.encode(own), retain=True)
        assert city.turn_until(lambda: not router.received.empty())
        assert (topics.settings(NAME), b"") == router.next()
    caplog.clear()
