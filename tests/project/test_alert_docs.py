"""docs/alerts.md says of each rule what the program does, and its examples are read."""

import re
import tomllib
from typing import Any

import pytest

from tests.project.sources import ROOT
from titik_collector.alerts.rules import DEFAULTS
from titik_collector.config import alert_tables, schema
from titik_collector.config.alert_tables import AlertRoute, AlertRule, Alerts
from titik_collector.config.receiver_tables import Heartbeat, Receiver, Smtp, WeeklyRota

PAGE = ROOT / "docs" / "alerts.md"
ROW = re.compile(r"^\| `([a-z-]+)` \|.*\| (\d+) min \| (\d+) min \| (\w+) \|$", re.M)
TABLES: dict[str, type[Any]] = {"alerts": Alerts, "smtp": Smtp, "heartbeat": Heartbeat}
LISTS: dict[str, type[Any]] = {
    "alert": AlertRule,
    "route": AlertRoute,
    "receiver": Receiver,
    "rota": WeeklyRota,
}
EXAMPLE = re.compile(r"^```toml\n(.+?)^```", re.M | re.S)


def test_the_table_has_each_rule_as_it_is_shipped() -> None:
    """Its times and its severity; two are looked at by the process that sends."""
    shipped = [
        (one.kind, str(one.for_ms // 60_000), str(one.keep_ms // 60_000), one.severity)
        for one in DEFAULTS.values()
    ]
    assert sorted(shipped) == sorted(ROW.findall(PAGE.read_text()))
    assert set(alert_tables.KINDS) - {row[0] for row in shipped} == {
        "collector-down",
        "delivery-failing",
    }


@pytest.mark.parametrize("example", EXAMPLE.findall(PAGE.read_text()))
def test_an_example_is_read(example: str) -> None:
    """As its operator would paste it; its receivers and places are the operator's."""
    given = tomllib.loads(example)
    assert given.keys() <= TABLES.keys() | LISTS.keys()
    for name, cls in TABLES.items():
        assert isinstance(schema.read(cls, given.get(name, {}), PAGE), cls)
    read: dict[str, list[object]] = {
        name: [schema.read(cls, one, PAGE) for one in given.get(name, ())]
        for name, cls in LISTS.items()
    }
    rules = [one for one in read["alert"] if isinstance(one, AlertRule)]
    alert_tables.check_alerts(PAGE, rules, (), (), ())
