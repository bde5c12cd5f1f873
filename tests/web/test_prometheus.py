"""A real Prometheus scrapes the page of a city: figures, rules, and each panel of the dashboards.

Rule: Grafana is not run. What its panels ask is asked here, and each answer has data.
"""

import contextlib
import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.notify.alertmanagers import Alertmanager, alertmanager
from tests.ports import free_port
from tests.project.sources import ROOT
from tests.until import until
from tests.web import cities, people
from tests.web.alerts import TIROSA, happened
from tests.web.cities import now_ms
from tests.web.conftest import Served, serving_at
from titik_collector.own_state.collector_state import CollectorState, StateFile
from titik_collector.store import beat_rows, incident_rows
from titik_collector.store.beat_rows import Beat
from titik_collector.web.city_view import watching

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("nobody_is_doubted")]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "titik.rules.yml"
CONFIG = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
DASHBOARDS = sorted((DEPLOY / "grafana").glob("*.json"))
RATES = ("wifi_down", "wifi_up", "uplink_down", "uplink_up")
OF_GRAFANA = {"$__rate_interval": "1m", "$__range": "1h", "$site": "taman-tirosa"}


@dataclass(frozen=True)
class Panel:
    """One question of a panel of a dashboard."""

    name: str
    expr: str
    is_instant: bool


def panels() -> Iterator[Panel]:
    """All of them."""
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for one in panel["targets"]:
                name = f"{file.stem} {panel['title']} {one['refId']}"
                yield Panel(name, one["expr"], one["instant"])


@dataclass(frozen=True)
class Prometheus:
    """One that scrapes a served city."""

    address: str
    city: Served
    token: str
    alertmanager: Alertmanager

    def ask(self, path: str, **query: str) -> Any:
        """What its API answers."""
        url = f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url) as answer:
            return json.load(answer)["data"]

    def values(self, expr: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Now, by some labels."""
        return {
            tuple(one["metric"].get(name, "") for name in labels): float(one["value"][1])
            for one in self.ask("query", query=expr)["result"]
        }

    def page(self, path: str) -> bytes:
        """What the page answers to a program."""
        asked = urllib.request.Request(
            self.city.address + path, headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(asked) as answer:
            return bytes(answer.read())


@pytest.fixture(scope="module")
def served_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Kupang behind a real server; two places are away."""
    with cities.city(tmp_path_factory.mktemp("city")) as filled:
        filled.live(clients=17)
        filled.report("perumnas-1", "offline")
        filled.report("lerik-1", "offline")
        filled.roll()
        with watching(filled.config) as view, serving_at(view) as address:
            yield Served(filled, address)


@pytest.fixture(scope="module")
def prometheus(
    served_city: Served, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Debian's, with the example of a configuration, but each second and without TLS."""
    folder = tmp_path_factory.mktemp("prometheus")
    token = people.add_token(served_city.city.config)
    people.add_user(served_city.city.config)
    state = busy(served_city)
    (folder / "titik.token").write_text(token)
    (folder / RULES.name).write_text(RULES.read_text())
    text = CONFIG.replace("30s", "1s").replace("scheme: https", "scheme: http")
    text = text.replace("titik.example.org", served_city.address.partition("://")[2])
    (folder / "prometheus.yml").write_text(
        text.replace("/etc/prometheus/titik.token", str(folder / "titik.token"))
    )
    try:
        with alertmanager(folder) as beside:
            yield from scraping(folder, served_city, token, beside)
    finally:
        state.remove()


def scraping(folder: Path, city: Served, token: str, beside: Alertmanager) -> Iterator[Prometheus]:
    """The process; its alerts go to the Alertmanager, as the example says below its comment."""
    file = folder / "prometheus.yml"
    text = re.sub("(?m)^# ( *(?:alerting|alertmanagers|- ).*)$", r"\1", file.read_text())
    file.write_text(text.replace("127.0.0.1:9093", beside.url.partition("://")[2]))
    port = free_port()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={file}",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stderr=log,
        )
    try:
        started = Prometheus(f"http://127.0.0.1:{port}", city, token, beside)
        # The second look of a counter is what a rate begins with.
        assert until(lambda: has_rates(started), True), (folder / "log").read_text()
        yield started
    finally:
        process.terminate()
        process.wait()


def busy(served: Served) -> StateFile:
    """An alert fires, and a collector seems to work until the file is removed."""
    city = served.city
    fell = happened(city.db, 1, TIROSA, "site-offline", now_ms())
    with city.db.transaction():
        incident_rows.write(city.db, [replace(fell, message_ms=now_ms())])
        later_ms = now_ms() + 600_000
        beat_rows.write(city.db, beat_rows.COLLECTOR, Beat(later_ms))
    state = StateFile(city.config.state_files)
    state.write(CollectorState("main", 1, later_ms, later_ms, connected=True, storing=True))
    return state


def has_rates(prometheus: Prometheus) -> bool:
    """Whether it scraped twice, and looked at its rules."""
    with contextlib.suppress(OSError):
        rules = prometheus.values("city:titik_site_clients:sum")
        return bool(rules and prometheus.values("rate(titik_router_wifi_down_bytes_total[1m])"))
    return False


def test_what_it_has_is_what_the_api_answers(prometheus: Prometheus) -> None:
    """Of each router and site; what is not known is in neither."""
    now = json.loads(prometheus.page("/api/v1/now?scope=router"))

    def column(name: str, divisor: int = 1) -> dict[tuple[str, ...], float]:
        found = zip(now["name"], now["site"], now[name], strict=True)
        return {(one, site): value / divisor for one, site, value in found if value is not None}

    labels = ("router", "site")
    assert 8 == len(column("clients"))
    assert column("clients") == prometheus.values("titik_router_clients", *labels)
    assert column("active") == prometheus.values("titik_router_clients_active", *labels)
    for one in RATES:
        metric = f"titik_router_{one}_bytes_per_second"
        assert column(f"{one}_bps", 8) == prometheus.values(metric, *labels)
    up = {(one, site): float(state == "online") for one, site, state in zip(
        now["name"], now["site"], now["state"], strict=True)}  # fmt: skip
    assert up == prometheus.values("titik_router_up", *labels)
    sites = json.loads(prometheus.page("/api/v1/now"))["sites"]
    clients = {(one["name"],): one["clients"] for one in sites if "clients" in one}
    assert clients == prometheus.values("titik_site_clients", "site")
    assert {(): sum(clients.values())} == prometheus.values("city:titik_site_clients:sum")


def test_a_router_that_leaves_has_a_gap_at_once(prometheus: Prometheus) -> None:
    """Its clients do not stand still for five minutes, and are never zero."""
    solor = 'titik_router_clients{router="solor-1"}'
    assert 1 == len(prometheus.values(solor))
    prometheus.city.city.report("solor-1", "offline")
    assert 0 == until(lambda: len(prometheus.values(solor)), 0)
    assert {(): 0.0} == prometheus.values('titik_router_up{router="solor-1"}')
    past = prometheus.values(f"min_over_time({solor}[1h])")
    assert list(past.values()) > [0.0]


def test_its_rules_work_and_hand_the_alerts_on(prometheus: Prometheus) -> None:
    """Those of Titik with their severity; the page and the collector are well."""
    groups = prometheus.ask("rules")["groups"]
    assert {"ok"} == {rule["health"] for group in groups for rule in group["rules"]}
    firing = [
        one["labels"] for one in prometheus.ask("alerts")["alerts"] if one["state"] == "firing"
    ]
    assert [("TitikAlert", "critical", "taman-tirosa")] == [
        (one["alertname"], one["severity"], one["subject"]) for one in firing
    ]


def test_its_alertmanager_has_the_alerts(prometheus: Prometheus) -> None:
    """Each with the labels that its routes and silences go by."""
    assert ["taman-tirosa"] == until(prometheus.alertmanager.subjects, ["taman-tirosa"])
    (alert,) = prometheus.alertmanager.alerts()
    expected = ("TitikAlert", "site-offline", "site", "critical", "titik")
    names = ("alertname", "kind", "scope", "severity", "job")
    assert expected == tuple(alert["labels"][name] for name in names)
    assert "site-offline: site taman-tirosa" == alert["annotations"]["summary"]


@pytest.mark.parametrize("panel", list(panels()), ids=lambda panel: panel.name)
def test_each_panel_has_data(prometheus: Prometheus, panel: Panel) -> None:
    """As Grafana would ask for it, for a site with a router."""
    expr = panel.expr
    for name, value in OF_GRAFANA.items():
        expr = expr.replace(name, value)
    if panel.is_instant:
        assert prometheus.ask("query", query=expr)["result"]
    else:
        end_s = time.time()
        found = prometheus.ask(
            "query_range", query=expr, start=f"{end_s - 60:.3f}", end=f"{end_s:.3f}", step="5"
        )
        assert found["result"]


def test_promtool_finds_nothing_wrong(prometheus: Prometheus, tmp_path: Path) -> None:
    """With the names, the rules and the example of a configuration."""
    text = prometheus.page("/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    assert (0, b"", b"") == (done.returncode, done.stdout, done.stderr)
    (tmp_path / "titik.token").write_text("secret")
    (tmp_path / RULES.name).write_text(RULES.read_text())
    file = tmp_path / "prometheus.yml"
    file.write_text(CONFIG.replace("/etc/prometheus/titik.token", "titik.token"))
    subprocess.run(["promtool", "check", "config", "--lint-fatal", file], check=True)


def test_what_fires_when_titik_is_down(tmp_path: Path) -> None:
    """The rules on a played hour, by promtool."""
    (tmp_path / RULES.name).write_text(RULES.read_text())
    (tmp_path / "played.yml").write_text((Path(__file__).parent / "played.rules.yml").read_text())
    subprocess.run(["promtool", "test", "rules", tmp_path / "played.yml"], check=True)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_fits_any_grafana(file: Path) -> None:
    """Its data source is asked for, nulls are never connected, and times are the city's."""
    text = file.read_text()
    whole = json.loads(text)
    assert (39, "Asia/Makassar", None) == (whole["schemaVersion"], whole["timezone"], whole["id"])
    assert ["DS_PROMETHEUS"] == [one["name"] for one in whole["__inputs"]]
    assert {'"${DS_PROMETHEUS}"'} == set(re.findall(r'"datasource": \{[^"]*"type": "prometheus",'
        r'\s*"uid": ("[^"]*")', text))  # fmt: skip
    assert text.count('"uid"') == text.count('"uid": "${DS_PROMETHEUS}"') + 1  # its own
    lines = [one for one in whole["panels"] if one["type"] == "timeseries"]
    nulls = {one["fieldConfig"]["defaults"]["custom"]["spanNulls"] for one in lines}
    assert {False} == nulls
    assert '"spanNulls": true' not in text
    numbers = [one["id"] for one in whole["panels"]]
    assert sorted(set(numbers)) == numbers


def test_there_are_three_dashboards() -> None:
    """So the tests above look at something."""
    assert ["titik-city", "titik-operator", "titik-site"] == [one.stem for one in DASHBOARDS]
    assert 40 < len(list(panels()))
