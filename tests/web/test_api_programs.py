"""Programs of others against the API of a city that is really served."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.sources import ROOT
from tests.web import people
from tests.web.alerts import LERIK, happened
from tests.web.cities import City, now_ms

pytestmark = pytest.mark.system
DOCUMENT = ROOT / "docs" / "openapi.json"
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    "response_schema_conformance",
)
SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from city.client import Client
from city.api.default import history, now, site, strip
from city.models import CityNow, HistoryAnswer, HistoryScope, ProblemAnswer, StripScope
from city.models.history_w import HistoryW

client = Client(base_url=sys.argv[2])
seen = now.sync(client=client)
assert isinstance(seen, CityNow), seen
print(len(seen.sites), seen.city.state.value)
past = history.sync(
    HistoryScope.SITE, "taman-tirosa", client=client, w=HistoryW.VALUE_1, from_="2h",
    fields="clients_mean",
)
assert isinstance(past, HistoryAnswer), past
print(past.window.value, len(past.start_ms) == len(past.figures["clients_mean"]))
days = strip.sync(StripScope.CITY, "kupang", client=client)
print(len(days.days))
wrong = site.sync("nowhere", client=client)
assert isinstance(wrong, ProblemAnswer), wrong
print(wrong.status, wrong.field)
"""


def program(name: str) -> str:
    """Beside this Python."""
    return str(Path(sys.executable).with_name(name))


@pytest.fixture
def address(city: City, served: str) -> str:
    """A city with a past, really served."""
    city.roll()
    return served


def test_a_ticket_system_acknowledges_as_the_document_has_it(city: City, served: str) -> None:
    """By curl; the page names its token."""
    happened(city.db, 12, LERIK, "site-offline", now_ms())
    text = (ROOT / "docs" / "alerts.md").read_text()
    command = "curl " + text.partition("\ncurl ")[2].partition("\n```")[0]
    with_ours = command.replace("https://titik.example", served)
    environment = {**os.environ, "TOKEN": people.add_token(city.config, "operator")}
    done = subprocess.run(["sh", "-ec", with_ours], env=environment, capture_output=True)
    assert (0, b"") == (done.returncode, done.stderr)
    assert 12 == json.loads(done.stdout)["incident"]
    assert "ticket 4711: Rina" == json.loads(done.stdout)["note"]


def test_no_request_makes_the_server_fail(city: City, address: str, tmp_path: Path) -> None:
    """Schemathesis asks what the document allows and what it forbids; each answer is as it says.

    It has an operator's token, and one incident to write about.
    """
    happened(city.db, 1, LERIK, "site-offline", now_ms())
    bearer = f"Authorization: Bearer {people.add_token(city.config, 'operator')}"
    done = subprocess.run(
        [
            program("schemathesis"), "run", f"{address}/api/v1/openapi.json",
            "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing",
            "--max-examples", "20", "--seed", "1", "--workers", "1", "--header", bearer,
            "--warnings", "off",  # few texts are names of the city
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stdout[-6000:]
    assert "No issues found" in done.stdout, done.stdout[-6000:]


def test_a_client_that_a_generator_writes_from_the_document_works(
    address: str, tmp_path: Path
) -> None:
    """It knows answers, parameters and errors by their types."""
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    generated = subprocess.run(
        [
            program("openapi-python-client"), "generate", "--path", str(DOCUMENT),
            "--output-path", str(tmp_path / "city"), "--meta", "none", "--fail-on-warning",
        ],
        capture_output=True, text=True, check=False, env={**os.environ, **path},
    )  # fmt: skip
    assert 0 == generated.returncode, generated.stdout
    used = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), address],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "10 online\n1h True\n90\n404 name\n" == used.stdout, used.stderr
    assert json.loads(DOCUMENT.read_text())["openapi"].startswith("3.1")
