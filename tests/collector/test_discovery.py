"""Each site as a device of Home Assistant: what is published, cleared, and shown of a message."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest

from tests.collector.build import T0, opened
from tests.collector.test_registry import city
from tests.project.sources import ROOT
from titik_collector.config import model
from titik_collector.config.model import Config, ConfigError, HomeAssistant
from titik_collector.live import discovery
from titik_collector.live.discovery import Discovery, device
from titik_collector.registry.sync import sync
from titik_collector.store.database import Database
from titik_wire import codec, topics
from titik_wire.city_messages import Now
from titik_wire.limits import MAX_PAYLOAD
from titik_wire.messages import CollectorStatus

RULES = ROOT / "tests" / "integrations" / "home-assistant-2024.12.5.json"


class Published:
    """An outbox: what was handed over since it was looked at, by topic."""

    def __init__(self) -> None:
        self._payloads: dict[str, bytes] = {}

    def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        assert retain
        self._payloads[topic] = payload

    def flush(self) -> None:
        """Nothing waits."""

    def taken(self) -> dict[str, bool]:
        """Whether there is a device, by site."""
        found, self._payloads = self._payloads, {}
        sites = {re.fullmatch(r"homeassistant/device/titik_site_(.*)/config", one) for one in found}
        assert None not in sites
        return {one[1]: bool(found[one[0]]) for one in sites if one is not None}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """An empty store."""
    with opened(tmp_path / "titik.db", ()) as empty:
        yield empty


def found_by(sites: str, discovery: bool = True) -> Config:
    """A city with these sites."""
    return dataclasses.replace(city(sites), homeassistant=HomeAssistant(discovery=discovery))


def step(job: Discovery, db: Database, config: Config | None = None) -> None:
    """A new connection, or an edit of the configuration; all that is due."""
    if config is None:
        job.begin()
    else:
        sync(db, config, T0)
        job.change(config)
    while job.due(0):
        job.step(0)


def test_a_city_that_never_switched_it_on_publishes_nothing(db: Database) -> None:
    """Not even what would clear."""
    outbox = Published()
    config = found_by("x y", discovery=False)
    job = Discovery(db, outbox, config)
    step(job, db, config)
    assert {} == outbox.taken()


def test_each_site_is_a_device_until_it_is_gone(db: Database) -> None:
    """A site with another name is another one; a new connection gets all of them again."""
    outbox = Published()
    config = found_by("x y")
    job = Discovery(db, outbox, config)
    step(job, db, config)
    assert {"x": True, "y": True} == outbox.taken()
    step(job, db, found_by("x z"))
    assert {"x": True, "y": False, "z": True} == outbox.taken()
    step(job, db)
    assert {"x": True, "y": False, "z": True} == outbox.taken()


def test_where_it_is_switched_off_all_devices_go(db: Database) -> None:
    """Also those that a collector before this one published, and while it was not connected."""
    step(Discovery(db, Published(), found_by("x y")), db, found_by("x y"))
    outbox = Published()
    off = found_by("x", discovery=False)
    sync(db, off, T0)
    step(Discovery(db, outbox, off), db)
    assert {"x": False, "y": False} == outbox.taken()


def test_a_thousand_devices_take_their_time(db: Database) -> None:
    """What goes comes first, so an entity is gone before the figures of its site are."""
    many = " ".join(f"s{number}" for number in range(25))
    step(Discovery(db, Published(), found_by("x")), db, found_by("x"))
    outbox = Published()
    config = found_by(many)
    job = Discovery(db, outbox, config)
    sync(db, config, T0)
    job.begin()
    job.step(0)
    first = outbox.taken()
    assert (discovery.AT_ONCE, False) == (len(first), first["x"])
    assert job.due(0)


@pytest.mark.parametrize("value", ['"yes"', "1"])
def test_a_value_that_is_none_is_named(value: str) -> None:
    """With what is allowed."""
    text = (ROOT / "examples" / "kupang.toml").read_text()
    broken = f"{text}\n[homeassistant]\ndiscovery = {value}\n"
    with pytest.raises(ConfigError, match=r"homeassistant\.discovery: .*true.*false"):
        model.parse(broken.encode(), Path("titik.toml"))


def whole() -> dict[str, Any]:
    """The payload of a site with long names and a page."""
    config = found_by("x")
    web = dataclasses.replace(config.web, url="https://titik.example.org")
    site = dataclasses.replace(config.site[0], name="x" * 64, title="é" * 200)
    payload = device(site, dataclasses.replace(config, web=web))
    assert len(payload) <= MAX_PAYLOAD
    found: dict[str, Any] = json.loads(payload)
    return found


def test_it_keeps_the_rules_of_home_assistant() -> None:
    """Recorded from its own schemas: no key, unit or class that it does not know, none missing."""
    rules, payload = json.loads(RULES.read_text()), whole()
    short, device_short, origin_short = (
        rules["abbreviations"][one] for one in ("config", "device", "origin")
    )
    assert {device_short.get(one, one) for one in payload["dev"]} <= set(rules["device"])
    assert {origin_short.get(one, one) for one in payload["o"]} <= set(rules["origin"])
    own = {short.get(one, one) for one in payload}
    assert own - {"availability"} <= set(rules["shared"])
    for one in payload["avty"]:
        assert {short.get(key, key) for key in one} <= set(rules["availability"])
    assert payload["avty_mode"] in rules["availability_modes"]
    for name, part in payload["cmps"].items():
        full = {short.get(key, key): value for key, value in part.items()}
        kind = full.pop("platform")
        assert {"unique_id", "name", "value_template"} <= full.keys(), name
        assert full.keys() <= set(rules[kind]), name
        assert full.get("device_class") in [None, *rules[f"{kind}_classes"]], name
        assert full.get("state_class") in [None, *rules["state_classes"]], name
        if full.get("device_class") == "data_rate":
            assert full["unit_of_measurement"] in rules["data_rate_units"], name
    assert re.fullmatch(rules["object_id"], topics.device("x" * 64).split("/")[2])


def shown(now: Now) -> dict[str, str]:
    """What Home Assistant makes of it, by entity; `None` is its unknown."""
    value_json = json.loads(codec.encode(now))
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    return {
        name: environment.from_string(part["val_tpl"]).render(value_json=value_json)
        for name, part in whole()["cmps"].items()
    }


def test_figures_are_those_of_the_message() -> None:
    """Of a site that is online: nobody there is 0, and what is not known stays so."""
    online = Now("site", "x", "online", T0, 0, 1, 1, clients=0, active=0, wifi_down_bps=8_120_331)
    assert {
        "online": "ON",
        "state": "online",
        "clients": "0",
        "active": "0",
        "wifi_down_bps": "8.12",
        "wifi_up_bps": "None",
        "uplink_down_bps": "None",
        "uplink_up_bps": "None",
    } == shown(online)


@pytest.mark.parametrize(
    ("state", "online"), [("silent", "OFF"), ("offline", "OFF"), ("unknown", "None")]
)
def test_a_site_that_is_away_has_no_figure(state: Any, online: str) -> None:
    """Not zero; and where nothing is known it is neither there nor away."""
    found = shown(Now("site", "x", state, T0, 0, 0, 1))
    assert (online, state) == (found.pop("online"), found.pop("state"))
    assert {"None"} == set(found.values())


def test_each_figure_is_a_field_of_now() -> None:
    """A field that is renamed would be unknown for ever, and nobody would notice."""
    assert {one.name for one in discovery.FIGURES} <= {one.name for one in dataclasses.fields(Now)}


def test_it_is_available_while_a_collector_is() -> None:
    """By the collector's own status."""
    own, _ = whole()["avty"]
    for state in ("online", "offline"):
        status = json.loads(codec.encode(CollectorStatus("main", state, "0a2c41d07be35a60")))
        rendered = jinja2.Template(own["val_tpl"]).render(value_json=status)
        assert {"online": own["pl_avail"], "offline": own["pl_not_avail"]}[state] == rendered
