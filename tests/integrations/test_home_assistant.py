"""Two mosquittos: a city's with TLS and access rules, and Home Assistant's with the bridge.

Rule: the bridge is that of deploy/homeassistant with the lines changed that a technician changes.
Home Assistant itself is not here. tests/collector/test_discovery.py has what it makes of a device.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.broker import enrolled
from tests.broker.enrolled import City, Router
from tests.broker.running import Client, RunningBroker
from tests.collector.build import BOOT, RUN, sample
from tests.mosquitto import OPEN, Mosquitto
from tests.project.sources import ROOT
from tests.system.city import Process, wall_ms
from tests.until import until
from titik_collector.access import rights
from titik_collector.live.discovery import LINK
from titik_wire import codec, topics
from titik_wire.messages import Status

pytestmark = pytest.mark.system
BRIDGE = ROOT / "deploy" / "homeassistant" / "bridge.conf"
ON = "\n[homeassistant]\ndiscovery = true\n"
SITE, OTHER = "taman-tirosa", "lerik"
NOTHING = b"{}"  # in the place of a message that did not come
NOW, DEVICE = topics.now("site", SITE), topics.device(SITE)
GIVEN = re.compile(r"^(address|bridge_cafile|remote_password) .*$", re.MULTILINE)


class Home:
    """The broker of Home Assistant, and what somebody there hears: the newest, by topic."""

    def __init__(self, broker: Mosquitto, client: Client) -> None:
        self.broker = broker
        self._client = client
        self._heard: dict[str, bytes] = {}

    def heard(self, topic: str) -> bytes:
        """NOTHING if nothing came on it."""
        while not self._client.received.empty():
            name, payload = self._client.received.get()
            self._heard[name] = payload
        return self._heard.get(topic, NOTHING)

    def topics(self) -> set[str]:
        """On which anything came."""
        self.heard("")
        return set(self._heard)

    def now(self) -> dict[str, Any]:
        """The figures of the site; nothing if there are none."""
        found: dict[str, Any] = json.loads(self.heard(NOW))
        return found

    def has(self, topic: str) -> bool:
        """Whether it came, and was not emptied since."""
        return self.heard(topic) not in (NOTHING, b"")


@dataclass(frozen=True)
class Bridged:
    """Both sides, and a collector that runs."""

    city: City
    running: RunningBroker
    home: Home

    def edit(self, old: str, new: str) -> None:
        """A technician edits the configuration."""
        file = self.city.folder / "titik.toml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))


@pytest.fixture
def bridged(tmp_path: Path) -> Iterator[Bridged]:
    """Step by step, as docs/integrations.md has it."""
    city = enrolled.made(tmp_path)
    file = city.folder / "titik.toml"
    file.write_text(file.read_text() + ON)
    city.says("engineer", "add", "home-assistant")
    city.says("router", "add", "tirosa-1", "--site", SITE)
    with (
        RunningBroker(city.broker) as running,
        home(city, tmp_path) as theirs,
        collecting(city),
    ):
        yield Bridged(city, running, theirs)


@contextmanager
def collecting(city: City) -> Iterator[None]:
    """The collector as a process."""
    process = Process(
        city.folder / "collector.log",
        *("-m", "titik_collector", "collect", "--config", str(city.folder / "titik.toml")),
    )
    try:
        yield
    finally:
        process.kill()


@contextmanager
def home(city: City, folder: Path) -> Iterator[Home]:
    """With the bridge, and somebody who hears all."""
    broker = city.broker
    given = {
        "address": f"localhost:{broker.ports.engineer}",
        "bridge_cafile": str(broker.path / "tls" / "ca.crt"),
        "remote_password": broker.password("home-assistant"),
    }
    bridge = GIVEN.sub(lambda found: f"{found[1]} {given[found[1]]}", BRIDGE.read_text())
    (folder / "theirs").mkdir()
    conf = f"{OPEN}{bridge}restart_timeout 1\n"
    with (
        Mosquitto(folder / "theirs", conf) as theirs,
        Client(theirs.port) as client,
    ):
        client.subscribe("#")
        yield Home(theirs, client)


def test_devices_and_figures_arrive_at_home(bridged: Bridged) -> None:
    """A router reports over TLS; 17 people are 17 there, and other topics stay in the city."""
    home = bridged.home
    assert until(lambda: home.has(DEVICE), True)
    assert NOW == json.loads(home.heard(DEVICE))["stat_t"]
    assert b"1" == until(lambda: home.heard(LINK), b"1")
    keys = bridged.city.enrol("tirosa-1", bridged.city.folder / "router")
    router = Router(keys, bridged.city.broker.ports.router)
    online = Status("tirosa-1", "online", RUN, 1, BOOT, "1.0")
    router.publish(topics.status("tirosa-1"), codec.encode(online), retain=True)
    taken = replace(sample(1, clients=17), taken_at=wall_ms())
    router.publish(topics.sample("tirosa-1"), codec.encode(taken), retain=True)
    try:
        assert 17 == until(lambda: int(home.now().get("clients", -1)), 17)
        assert "online" == home.now()["state"]
        assert "wifi_down_bps" not in home.now()
    finally:
        router.close()
    allowed = {NOW, DEVICE, LINK, topics.collector("main")}
    assert allowed == home.topics()


def test_a_device_goes_with_its_site_and_with_the_key(bridged: Bridged) -> None:
    """A site with another name is another one; off empties all."""
    home = bridged.home
    assert until(lambda: home.has(DEVICE), True)
    site = f'\n[[site]]\nname = "{OTHER}"\ntitle = "Lerik"\n'
    bridged.edit(ON, ON + site)
    assert until(lambda: home.has(topics.device(OTHER)), True)
    bridged.edit(f'name = "{OTHER}"', 'name = "pasar"')
    assert until(lambda: home.has(topics.device("pasar")), True)
    assert b"" == until(lambda: home.heard(topics.device(OTHER)), b"")
    assert home.has(DEVICE)
    bridged.edit("discovery = true", "discovery = false")
    assert b"" == until(lambda: home.heard(DEVICE), b"")
    assert b"" == until(lambda: home.heard(topics.device("pasar")), b"")


def test_home_knows_when_the_city_cannot_be_reached(bridged: Bridged) -> None:
    """So its figures are unavailable, and not those of before; and they come back by themselves."""
    home = bridged.home
    assert b"1" == until(lambda: home.heard(LINK), b"1")
    bridged.running.stop()
    assert b"0" == until(lambda: home.heard(LINK), b"0")
    bridged.running.start()
    assert b"1" == until(lambda: home.heard(LINK), b"1")
    assert until(lambda: home.has(DEVICE), True)


def test_a_city_of_before_gets_the_rights_with_the_engineer(tmp_path: Path) -> None:
    """The broker runs on, and no key, router or password changes."""
    city = enrolled.made(tmp_path)
    city.says("router", "add", "tirosa-1", "--site", SITE)
    access = city.broker.access_file
    new = json.loads(access.read_text())
    old = json.loads(access.read_text())
    for role in old["roles"]:
        role["acls"] = [one for one in role["acls"] if one["topic"] != topics.ALL_DEVICES]
    assert old != new
    access.write_text(json.dumps(old))
    keys = city.enrol("tirosa-1", tmp_path / "router")
    before = {file: file.read_bytes() for file in secrets(city)}
    with RunningBroker(city.broker) as running:
        router = Router(keys, city.broker.ports.router)
        try:
            assert router.is_in()
            city.says("engineer", "add", "home-assistant")
            assert [] == router.lost
        finally:
            router.close()
        assert allowed(city, rights.ENGINEER, "publishClientReceive")
        assert allowed(city, rights.collector_role("main"), "publishClientSend")
        running.stop()
    assert before == {file: file.read_bytes() for file in before}


def secrets(city: City) -> list[Path]:
    """Passwords, bundles, keys and certificates; the revocation list is signed again each time."""
    folders = [city.broker.path / name for name in ("secrets", "ca", "tls")]
    return [one for folder in folders for one in folder.rglob("*.*") if one.name != "crl.pem"]


def allowed(city: City, role: str, kind: str) -> bool:
    """Whether the broker's own file has that line by now."""
    roles = json.loads(city.broker.access_file.read_text())["roles"]
    (found,) = [one for one in roles if one["rolename"] == role]
    line = {"acltype": kind, "topic": topics.ALL_DEVICES, "priority": 0, "allow": True}
    return line in found["acls"]
