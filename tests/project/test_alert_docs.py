"""docs/alerts.md says of each rule what the program does, and its examples are read."""

import re
import tomllib

import pytest

from tests.project.sources import ROOT
from titik_collector.alerts.rules import DEFAULTS
from titik_collector.config import alert_tables, schema
from titik_collector.config.alert_tables import AlertRoute, AlertRule, Alerts

PAGE = ROOT / "docs" / "alerts.md"
ROW = re.compile(r"^\| `([a-z-]+)` \|.*\| (\d+) min \| (\d+) min \| (\w+) \|$", re.M)
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
    tables = tomllib.loads(example)
    routes = tables.pop("route", ())
    assert len(routes) == len([schema.read(AlertRoute, one, PAGE) for one in routes])
    settings = schema.read(Alerts, tables.get("alerts", {}), PAGE)
    rules = [schema.read(AlertRule, one, PAGE) for one in tables.get("alert", ())]
    alert_tables.check_alerts(PAGE, rules, (), (), ())
    assert tables.keys() <= {"alerts", "alert"}
    assert settings.on
