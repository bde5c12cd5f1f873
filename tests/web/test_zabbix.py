"""The template for Zabbix: what each of its items takes out of the answers of a city's page.

Rule: Zabbix is not run. Its steps are done here, for the few kinds of paths that the template has.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from starlette.testclient import TestClient

from tests.project.sources import ROOT
from tests.web import cities, people
from tests.web.alerts import TIROSA, happened
from tests.web.cities import now_ms
from tests.web.conftest import client
from titik_collector.web.city_view import watching

FILE = ROOT / "deploy" / "zabbix" / "titik.yaml"
TEXT = FILE.read_text()
(TEMPLATE,) = yaml.safe_load(TEXT)["zabbix_export"]["templates"]
(SITES,) = TEMPLATE["discovery_rules"]
MASTERS = {one["key"]: one for one in TEMPLATE["items"] if one["type"] == "HTTP_AGENT"}
CITY = [one for one in TEMPLATE["items"] if one["type"] == "DEPENDENT"]
OF_SITE: list[dict[str, Any]] = SITES["item_prototypes"]
WHERE = re.compile(r"@\.(\w+) == '([^']*)'")
PATH = re.compile(
    r"\$\.(?P<list>\w+)\[\?\((?P<where>.*?)\)\]"
    r"(?:\.(?P<field>\w+)\.first\(\)|(?P<length>\.length\(\)))"
)


def taken(answer: Any, path: str) -> Any:
    """What Zabbix finds at a path; None: nothing, which is an error there."""
    found = PATH.fullmatch(path)
    if found is None:
        for name in path.removeprefix("$.").split("."):
            answer = answer.get(name) if answer is not None else None
        return answer
    rows = [
        row
        for row in answer[found["list"]]
        if all(row[name] == value for name, value in WHERE.findall(found["where"]))
    ]
    if found["length"]:
        return len(rows) or None
    return next((row[found["field"]] for row in rows if found["field"] in row), None)


def value(answers: dict[str, Any], item: dict[str, Any], site: str = "") -> Any:
    """What an item has; None: no value, and no error."""
    first, *more = item["preprocessing"]
    (path,) = first["parameters"]
    found = taken(answers[item["master_item"]["key"]], path.replace("{#SITE}", site))
    if found is None and first.get("error_handler") == "CUSTOM_VALUE":
        return float(first["error_handler_params"])
    assert found is not None or first.get("error_handler") == "DISCARD_VALUE", item["key"]
    if [one["type"] for one in more] == ["BOOL_TO_DECIMAL"]:
        return float(found is True)
    assert not more
    assert found is None or isinstance(found, str) == (item.get("value_type") == "CHAR")
    return found


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A city where a place is away, and another has an alert."""
    with cities.city(tmp_path_factory.mktemp("city")) as filled:
        filled.live(clients=17)
        filled.report("perumnas-1", "offline")
        filled.roll()
        happened(filled.db, 1, TIROSA, "site-offline", now_ms() - 720_000)
        with watching(filled.config) as view:
            page = client(view)
            page.headers["Authorization"] = f"Bearer {people.add_token(view.config)}"
            yield page


@pytest.fixture
def answers(api: TestClient) -> dict[str, Any]:
    """What the two addresses answer."""
    found = {}
    for key, one in MASTERS.items():
        assert [("Authorization", "Bearer {$TITIK.TOKEN}")] == [
            (head["name"], head["value"]) for head in one["headers"]
        ]
        found[key] = api.get(one["url"].removeprefix("{$TITIK.URL}")).json()
    return found


def test_the_city_has_each_figure(answers: dict[str, Any]) -> None:
    """As the API has it; one critical alert goes on."""
    found = {one["key"]: value(answers, one) for one in CITY}
    assert None not in found.values()
    city = answers["titik.now"]["city"]
    assert (city["clients"], city["routers_known"], 1.0, 1) == (
        found["titik.city.clients"],
        found["titik.city.routers_known"],
        found["titik.true_now"],
        found["titik.alerts.critical"],
    )


def test_each_site_is_found_with_its_figures(answers: dict[str, Any]) -> None:
    """One that is away has a state and no zero."""
    (step,) = SITES["preprocessing"]
    assert ["$.sites"] == step["parameters"]
    macros = {one["lld_macro"]: one["path"] for one in SITES["lld_macro_paths"]}
    assert {"{#SITE}": "$.name", "{#TITLE}": "$.title"} == macros
    sites = answers["titik.now"]["sites"]
    assert 10 == len(sites)
    for site in sites:
        found = {
            one["key"].partition("[")[0].removeprefix("titik.site."): value(
                answers, one, site["name"]
            )
            for one in OF_SITE
        }
        alerts = found.pop("alerts")
        assert {name: site.get(name) for name in found} == found
        assert float(site["name"] == TIROSA.name) == alerts
        assert (site["state"] == "online") == (found["clients"] is not None)


def test_without_an_alert_there_are_none(answers: dict[str, Any]) -> None:
    """Zero is a value, so that the trigger ends."""
    quiet = {**answers, "titik.alerts": {"incidents": []}}
    counted = [one for one in (*CITY, *OF_SITE) if "alerts" in one["key"]]
    assert [0.0, 0.0] == [value(quiet, one, TIROSA.name) for one in counted]


def test_the_file_is_whole() -> None:
    """Each uuid is of version 4 and there once; macros and the items of triggers are known."""
    uuids = re.findall(r"uuid: (\w+)", TEXT)
    assert len(uuids) == len(set(uuids))
    assert all(re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", one) for one in uuids)
    keys = [one["key"] for one in (*TEMPLATE["items"], *OF_SITE)]
    assert len(keys) == len(set(keys))
    asked = re.findall(rf"\(/{TEMPLATE['template']}/(\S+?)(?:,5m)?\)[=>]", TEXT)
    assert (4, set()) == (len(asked), set(asked) - set(keys))
    assert {one["macro"] for one in TEMPLATE["macros"]} == set(re.findall(r"{\$[A-Z.]+}", TEXT))
