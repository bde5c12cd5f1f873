"""The API of alerts: who may enter what, and that answers are as the document has them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from starlette.testclient import TestClient

from tests.project.sources import ROOT
from tests.web import cities, people
from tests.web.alerts import LERIK, MINUTE_MS, TIROSA, happened
from tests.web.conftest import client
from titik_collector.store import desk_audit, desk_opening
from titik_collector.web.api import openapi
from titik_collector.web.api.api_route import BASE
from titik_collector.web.city_view import CityView, watching

DOCUMENT = openapi.document()
PROBLEM = "application/problem+json"


@pytest.fixture
def view(tmp_path: Path) -> Iterator[CityView]:
    """A city where a hospital is down, and a park was crowded."""
    with cities.city(tmp_path) as filled:
        filled.live()
        now_ms = cities.now_ms()
        happened(
            filled.db,
            1,
            TIROSA,
            "crowded",
            now_ms - 90 * MINUTE_MS,
            severity="info",
            resolved_ms=now_ms - 30 * MINUTE_MS,
        )
        happened(filled.db, 2, LERIK, "site-offline", now_ms - 12 * MINUTE_MS)
        with watching(filled.config) as opened:
            yield opened


@pytest.fixture
def api(view: CityView) -> TestClient:
    """A program with an operator's token."""
    page = client(view)
    page.headers["Authorization"] = f"Bearer {people.add_token(view.config, 'operator')}"
    return page


def fits(answer: httpx.Response, name: str) -> Any:
    """The answer, which has no field that the document does not know."""
    components = DOCUMENT["components"]
    for one in components["schemas"].values():
        one["additionalProperties"] = False
    schema = {"$ref": f"#/components/schemas/{name}", "components": components}
    jsonschema.Draft202012Validator(schema).validate(answer.json())
    return answer.json()


def test_alerts_are_read(api: TestClient) -> None:
    """Those that go on; of one all that is known."""
    (now,) = fits(api.get(f"{BASE}/alerts"), "AlertsAnswer")["incidents"]
    assert (2, "site-offline", "rsud-sk-lerik", "critical") == (
        now["number"], now["kind"], now["name"], now["severity"],
    )  # fmt: skip
    assert "resolved" not in now
    over = fits(api.get(f"{BASE}/alerts?state=recent"), "AlertsAnswer")["incidents"]
    assert [1] == [one["number"] for one in over]
    both = api.get(f"{BASE}/alerts?state=all").json()["incidents"]
    assert [2, 1] == [one["number"] for one in both]
    whole = fits(api.get(f"{BASE}/incidents/1"), "IncidentWhole")
    assert ["firing", "inactive"] == [one["became"] for one in whole["changes"]]
    missing = api.get(f"{BASE}/incidents/9")
    assert (404, PROBLEM) == (missing.status_code, missing.headers["content-type"])


def test_an_operator_s_program_enters_everything(api: TestClient, view: CityView) -> None:
    """Each answer is what was entered, and the audit names the token."""
    made = api.post(f"{BASE}/acks", json={"incident": 2, "note": "on my way"})
    assert 201 == made.status_code, made.text
    assert "wall" == fits(made, "AckAnswer")["actor"]
    made = api.post(f"{BASE}/remarks", json={"incident": 2, "text": "cable"})
    assert (201, "cable") == (made.status_code, fits(made, "RemarkAnswer")["text"])
    silence = {"alerts": "site/taman-tirosa/crowded", "until": "3d", "reason": "festival"}
    made = api.post(f"{BASE}/silences", json=silence)
    assert (201, silence["alerts"]) == (made.status_code, fits(made, "SilenceAnswer")["alerts"])
    made = api.post(f"{BASE}/maintenance", json={"place": "rsud-sk-lerik", "length": "2h"})
    once = fits(made, "MaintenanceAnswer")
    assert (201, "site", False) == (made.status_code, once["scope"], once["retroactive"])
    week = {"place": "city", "length": "1h", "days": ["thu", "mon"], "at": "2:00"}
    weekly = fits(api.post(f"{BASE}/maintenance", json=week), "MaintenanceAnswer")
    assert (["mon", "thu"], "02:00", 3_600_000) == (
        weekly["days"], weekly["at"], weekly["length_ms"],
    )  # fmt: skip
    assert "end" not in weekly
    seen = fits(api.get(f"{BASE}/alerts"), "AlertsAnswer")
    assert (1, 2) == (len(seen["silences"]), len(seen["maintenance"]))
    assert ("wall", True) == (
        seen["incidents"][0]["acked_by"], seen["incidents"][0]["maintenance"],
    )  # fmt: skip
    whole = fits(api.get(f"{BASE}/incidents/2"), "IncidentWhole")
    assert (["on my way"], ["cable"]) == (
        [one["note"] for one in whole["acks"]], [one["text"] for one in whole["remarks"]],
    )  # fmt: skip
    for what in ("silences/1", "maintenance/1", "maintenance/2"):
        assert 200 == api.post(f"{BASE}/{what}/end").status_code
        assert 400 == api.post(f"{BASE}/{what}/end").status_code
    assert ([], []) == tuple(
        api.get(f"{BASE}/alerts").json()[one] for one in ("silences", "maintenance")
    )
    with desk_opening.opened(view.config.page_store) as db:
        entered = [one for one in desk_audit.newest(db, 99) if one.actor == "wall"]
    assert 8 == len(entered)


@pytest.mark.parametrize(
    ("path", "body", "field", "remedy"),
    [
        ("acks", {"incident": 9}, "number", "/api/v1/alerts has them"),
        ("acks", {"incident": 1}, "body", "write a remark"),
        ("acks", {"incident": "2"}, "body", "see docs/openapi.json"),
        ("acks", {"incidents": 2}, "incidents", "use incident, note"),
        ("acks", [2], "body", "send one object of JSON"),
        ("remarks", {"incident": 2, "text": ""}, "body", "a remark has a text"),
        ("silences", {"alerts": "x", "until": "2h", "reason": "x"}, "body", "titik status"),
        ("silences", {"alerts": "city", "until": "2x", "reason": "x"}, "until", "such as 90m"),
        ("silences", {"alerts": "city", "until": "31d", "reason": "x"}, "body", "an earlier end"),
        ("maintenance", {"place": "city", "length": "two"}, "length", "such as 90m"),
        ("maintenance", {"place": "city", "length": "2h", "begin": "2h"}, "begin", "use now"),
        ("maintenance", {"place": "city", "length": "2h", "begin": "2026-11-01"}, "body", "reason"),
        ("maintenance", {"place": "city", "length": "2h", "days": ["mon"]}, "body", "02:00"),
    ],
)
def test_an_error_names_what_is_wrong(
    api: TestClient, path: str, body: object, field: str, remedy: str
) -> None:
    """And nothing is kept."""
    answer = api.post(f"{BASE}/{path}", json=body)
    problem = fits(answer, "ProblemAnswer")
    assert (PROBLEM, field) == (answer.headers["content-type"], problem["field"])
    assert remedy in problem["detail"]
    seen = api.get(f"{BASE}/alerts").json()
    assert ([], []) == (seen["silences"], seen["maintenance"])


def test_who_only_looks_enters_nothing(view: CityView) -> None:
    """A viewer's token, a demo without a login, a form of another site."""
    for headers in ({"Origin": "http://127.0.0.1:8088"}, {"Origin": "https://evil.example"}, {}):
        answer = client(view).post(f"{BASE}/acks", json={"incident": 2}, headers=headers)
        assert (403, PROBLEM) == (answer.status_code, answer.headers["content-type"])
    bearer = {"Authorization": f"Bearer {people.add_token(view.config)}"}
    answer = client(view).post(f"{BASE}/acks", json={"incident": 2}, headers=bearer)
    assert (403, "Only an operator may change something.") == (
        answer.status_code, answer.json()["detail"],
    )  # fmt: skip
    people.add_user(view.config)  # from now on nobody looks without a login
    answer = client(view).post(f"{BASE}/acks", json={}, headers={"Authorization": "Bearer x"})
    assert (401, PROBLEM) == (answer.status_code, answer.headers["content-type"])


def test_what_is_no_json_or_too_long_is_refused(api: TestClient) -> None:
    """With the status that the document names."""
    form = api.post(f"{BASE}/acks", data={"incident": "2"})
    assert (415, PROBLEM) == (form.status_code, form.headers["content-type"])
    long = api.post(f"{BASE}/remarks", json={"incident": 2, "text": "x" * 20_000})
    assert (413, PROBLEM) == (long.status_code, long.headers["content-type"])


def test_each_line_of_the_guide_is_taken(api: TestClient) -> None:
    """Whoever copies it from docs/api.md enters what it says."""
    guide = (ROOT / "docs" / "api.md").read_text()
    lines = re.findall(r"^\| `POST (/api/v1/[^`]*)` \| `(\{[^`]*\})` \|", guide, re.M)
    assert 5 == len(lines)
    for path, body in lines:
        headers = {"Content-Type": "application/json"}
        answer = api.post(path, content=body, headers=headers)
        assert 201 == answer.status_code, answer.text
