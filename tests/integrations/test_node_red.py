"""The flow of deploy/node-red in a real Node-RED, at a city's own broker with TLS.

Rule: the flow is loaded as it is shipped. A test changes what a technician does: the broker, the
authority, the login and three variables. It wires what it looks at behind the flow's last node.
"""

import http.server
import json
import os
import queue
import re
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.broker import enrolled
from tests.broker.enrolled import City
from tests.broker.running import Client, RunningBroker
from tests.collector.build import T0, sample
from tests.ports import free_port
from tests.project.sources import ROOT
from tests.until import until
from titik_collector.broker_setup.broker_folder import BrokerFolder
from titik_wire import codec, packed, topics
from titik_wire.city_messages import AlertNow, Now

pytestmark = pytest.mark.system
FLOW = ROOT / "deploy" / "node-red" / "flow.json"
SETTINGS = """\
module.exports = {
    uiHost: "127.0.0.1",
    uiPort: %d,
    flowFile: "flows.json",
    credentialSecret: "of a test",
    telemetry: { enabled: false, updateNotification: false },
    editorTheme: { tours: false, codeEditor: { lib: "ace" } },
    logging: { console: { level: "info" } },
};
"""
PATIENCE_S = 60.0
QUIET_S = 1.0  # long enough for a message on loopback, were there one
BEGAN_MS = T0
TAKEN = {"Success", "No matching subscribers"}  # by the broker
OFFLINE = AlertNow(
    scope="site",
    name="taman-tirosa",
    kind="site-offline",
    severity="critical",
    state="firing",
    since=BEGAN_MS + 300_000,
    began=BEGAN_MS,
    known=True,
    acked=False,
    silenced=False,
    title_id="Taman Tirosa: mati",
    title_en="Taman Tirosa: offline",
    incident=7,
)


class Phone:
    """A server in the place of ntfy: what is posted to it, as JSON, by path."""

    def __init__(self) -> None:
        self.posted: queue.Queue[tuple[str, Any]] = queue.Queue()
        posted = self.posted

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posted.put((self.path, json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: the tests read what was posted."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def next(self) -> Any:
        """The next body, whichever path."""
        return self.posted.get(timeout=PATIENCE_S)[1]

    def rings(self) -> bool:
        """Whether anything is posted within a while."""
        try:
            self.posted.get(timeout=QUIET_S)
        except queue.Empty:
            return False
        return True

    def __enter__(self) -> "Phone":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass(frozen=True)
class Flowing:
    """A Node-RED that runs the flow, and the others that it talks to."""

    city: City
    phone: Phone
    collector: Client
    address: str

    def report(self, alert: AlertNow) -> None:
        """As the collector does."""
        topic = topics.alert(alert.scope, alert.name, alert.kind)
        assert TAKEN >= {self.collector.publish(topic, codec.encode(alert), retain=True)}

    def end(self, alert: AlertNow) -> None:
        """It is over."""
        topic = topics.alert(alert.scope, alert.name, alert.kind)
        assert TAKEN >= {self.collector.publish(topic, b"", retain=True)}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """A city's broker with TLS and the engineer `node-red`."""
    city = enrolled.made(tmp_path_factory.mktemp("city"))
    city.says("engineer", "add", "node-red")
    with RunningBroker(city.broker):
        yield city


@pytest.fixture(scope="module")
def flowing(running: City, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flowing]:
    """With the flow, which is connected."""
    folder = tmp_path_factory.mktemp("node-red")
    port = free_port()
    (folder / "settings.js").write_text(SETTINGS % port)
    with Phone() as phone, collector(running.broker) as client:
        (folder / "flows.json").write_text("[]")
        with node_red(folder, port) as address:
            deploy(address, as_filled_in(running.broker, phone))
            found = Flowing(running, phone, client, address)
            # The first is retained, so it comes whenever the flow is connected.
            found.report(replace(OFFLINE, name="lerik", title_id="Lerik: mati"))
            assert "Lerik: mati" == phone.next()["title"]
            yield found


@contextmanager
def node_red(folder: Path, port: int) -> Iterator[str]:
    """It runs with this folder; its address."""
    where = subprocess.check_output(["sh", ROOT / "tools" / "node_red.sh"], text=True).strip()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["node", f"{where}/node_modules/node-red/red.js", "-u", folder],
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(folder)},
        )
    address = f"http://127.0.0.1:{port}"
    try:
        assert until(lambda: answers(address), True), (folder / "log").read_text()
        yield address
    finally:
        process.terminate()
        process.wait()


def answers(address: str) -> bool:
    """Whether its API does."""
    try:
        with urllib.request.urlopen(f"{address}/flows"):
            return True
    except OSError:
        return False


def deploy(address: str, flow: list[dict[str, Any]]) -> None:
    """As the button does."""
    asked = urllib.request.Request(
        f"{address}/flows",
        json.dumps(flow).encode(),
        {"Content-Type": "application/json", "Node-RED-Deployment-Type": "full"},
    )
    with urllib.request.urlopen(asked) as answer:
        assert 204 == answer.status


def collector(broker: BrokerFolder) -> Client:
    """Who writes what the flow hears."""
    user = broker.settings.collector
    client = Client(broker.ports.collector, user, broker.password(user))
    assert "Success" == client.answer()
    return client


def as_filled_in(broker: BrokerFolder, phone: Phone) -> list[dict[str, Any]]:
    """By a technician; two nodes more send to the phone what is only shown."""
    flow: list[dict[str, Any]] = json.loads(FLOW.read_text())
    of = {node["id"]: node for node in flow}
    variables = {"NTFY_SERVER": phone.address, "NTFY_TOPIC": "kupang", "LANGUAGE": "id"}
    for one in of["titik-flow"]["env"]:
        one["value"] = variables[one["name"]]
    of["titik-authority"]["ca"] = str(broker.path / "tls" / "ca.crt")
    of["titik-broker"] |= {
        "broker": "localhost",
        "port": str(broker.ports.engineer),
        "credentials": {"user": "node-red", "password": broker.password("node-red")},
    }
    for behind in ("figures", "unpack"):
        shown = of["titik-send"] | {"id": behind, "url": f"{phone.address}/{behind}", "wires": [[]]}
        of[f"titik-{behind}"]["wires"][0].append(behind)
        flow.append(shown)
    return flow


def test_nothing_is_sent_before_a_topic_is_given() -> None:
    """Else all cities that forgot it would share one that is printed here."""
    of = {node["id"]: node for node in json.loads(FLOW.read_text())}
    given = {one["name"]: one["value"] for one in of["titik-flow"]["env"]}
    script = f"""
        const given = {json.dumps(given)};
        const [env, shown] = [{{ get: (name) => given[name] }}, []];
        const node = {{ status: (one) => shown.push(one.text) }};
        const text = new Function("msg", "env", "node", {json.dumps(of["titik-text"]["func"])});
        const before = text({{ alert: {{}} }}, env, node);
        given.NTFY_TOPIC = "kupang";
        const after = text({{ alert: {{}} }}, env, node);
        console.log(JSON.stringify([before, shown, after.payload.topic]));
    """
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    assert [None, ["give NTFY_TOPIC", None], "kupang"] == json.loads(done.stdout)


def test_what_is_critical_rings_once_and_again_when_it_is_over(flowing: Flowing) -> None:
    """In Indonesian, with the title that Titik gives it; a copy of it rings nobody."""
    flowing.report(OFFLINE)
    rung = flowing.phone.next()
    assert ("kupang", "Taman Tirosa: mati", 5) == (rung["topic"], rung["title"], rung["priority"])
    assert rung["message"].startswith("Sejak ")
    flowing.report(replace(OFFLINE, known=False))
    flowing.report(replace(OFFLINE, state="recovering"))
    assert not flowing.phone.rings()
    flowing.end(OFFLINE)
    rung = flowing.phone.next()
    assert "Taman Tirosa: mati" == rung["title"]
    assert rung["message"].startswith("Selesai. ")
    flowing.end(OFFLINE)
    assert not flowing.phone.rings()


def test_a_warning_rings_less_and_once_more_as_it_becomes_critical(flowing: Flowing) -> None:
    """And the same trouble of the next day is another one."""
    warning = replace(OFFLINE, name="solor", severity="warning")
    flowing.report(warning)
    assert 3 == flowing.phone.next()["priority"]
    flowing.report(replace(warning, severity="critical"))
    assert 5 == flowing.phone.next()["priority"]
    flowing.report(replace(warning, severity="critical", began=BEGAN_MS + 86_400_000))
    assert 5 == flowing.phone.next()["priority"]


@pytest.mark.parametrize(
    "alert",
    [
        replace(OFFLINE, name="a", severity="info"),
        replace(OFFLINE, name="b", silenced=True),
        replace(OFFLINE, name="c", acked=True),
    ],
    ids=["info", "silenced", "acknowledged"],
)
def test_what_rings_nobody(flowing: Flowing, alert: AlertNow) -> None:
    """Neither when it begins nor when it is over."""
    flowing.report(alert)
    flowing.end(alert)
    assert not flowing.phone.rings()


def test_a_figure_that_is_not_known_is_null_and_never_zero(flowing: Flowing) -> None:
    """A place that is away, beside one with nobody in it."""
    broker, shown = flowing.collector, []
    for one in (
        Now("site", "lerik", "online", T0, 0, 1, 2, clients=0, wifi_down_bps=1_500_000),
        Now("site", "lerik", "offline", T0, 0, 0, 2),
    ):
        broker.publish(topics.now("site", "lerik"), codec.encode(one))
        shown.append(flowing.phone.next())  # each comes on a connection of its own
    online, offline = shown
    assert ("lerik", "online", "1 of 2", 0, 1.5, None) == (
        *(online["site"], online["state"], online["routers"], online["clients"]),
        *(online["wifi_down_mbit"], online["uplink_down_mbit"]),
    )
    assert ("offline", None, None) == (
        *(offline["state"], offline["clients"], offline["wifi_down_mbit"]),
    )


@pytest.mark.parametrize("pack", [True, False], ids=["packed", "plain"])
def test_a_sample_comes_out_as_the_router_wrote_it(flowing: Flowing, pack: bool) -> None:
    """Whether it was packed or not."""
    plain = codec.encode(sample(1, router="tirosa-1"))
    payload = packed.pack(plain) if pack else plain
    flowing.collector.publish(topics.sample("tirosa-1"), payload)
    assert json.loads(plain) == flowing.phone.next()


def test_the_flow_decodes_as_the_contract_shows_it() -> None:
    """The function node has the text of docs/wire.md."""
    document = (ROOT / "docs" / "wire.md").read_text()
    (shown,) = re.findall(r"```js\nconst zlib[^\n]*\n\n(.*?)```", document, re.DOTALL)
    (unpack,) = [one for one in json.loads(FLOW.read_text()) if one["id"] == "titik-unpack"]
    assert shown.strip() in unpack["func"]
    assert [{"var": "zlib", "module": "zlib"}] == unpack["libs"]


def test_the_flow_holds_no_login() -> None:
    """Node-RED keeps it apart, and a technician enters it."""
    assert [] == [one["id"] for one in json.loads(FLOW.read_text()) if "credentials" in one]
