"""What the agent's figures are measured in: a real broker with TLS, the collector, OpenWrt's ubus
with 20 clients on two BSSes, the agent as a router runs it, and collectd beside it.

Rule: the agent is an installed copy with its bytecode, under the system's Python: compiling at
start would cost 4 MB, and Debian's interpreter is nearer to OpenWrt's than one built at home.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.counting import Relay
from tests.agent.fake_ubusd import FakeUbusd, answer, capture
from tests.ports import free_port
from titik_collector.store.sqlite import open_reader

ROOT = Path(__file__).parents[1]
LIBRARIES = ("paho", "psutil", "click")
SYSTEM_PYTHON = "/usr/bin/python3"
BROKER = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
COLLECTD = shutil.which("collectd") or "/usr/sbin/collectd"
ROUTER = "bench-1"
PLAIN = "bench-2"  # the same with `broker.compress = false`
CLIENTS = (12, 8)  # of the access point's two BSSes
PATIENCE_S = 30.0

_CONFIG = """router = "{router}"
interval_s = {interval_s}
state_file = "{folder}/{router}.json"
[broker]
host = "localhost"
port = {port}
tls = true
ca_file = "{ca}"
{more}
[spool]
directory = "{folder}/{router}"
[sources]
hostapd = "ubus"
ubus_socket = "{folder}/ubus.sock"
"""

_SERVER = """[city]
name = "bench"
title = "Bench"
timezone = "Asia/Makassar"
[broker]
host = "127.0.0.1"
port = {port}
[store]
path = "{folder}/titik.db"
max_samples_per_hour = 1000000
[[site]]
name = "bench"
title = "Bench"
[[router]]
name = "{router}"
site = "bench"
[[router]]
name = "{plain_router}"
site = "bench"
"""

_COLLECTD = """Hostname "{router}"
BaseDir "{folder}/collectd"
PIDFile "{folder}/collectd.pid"
TypesDB "/usr/share/collectd/types.db"
Interval {interval_s}
LoadPlugin network
LoadPlugin load
LoadPlugin memory
LoadPlugin interface
LoadPlugin mqtt
<Plugin mqtt>
  <Publish "bench">
    Host "localhost"
    Port {port}
    ClientId "collectd"
    Prefix "collectd"
    QoS 1
    CACert "{ca}"
  </Publish>
</Plugin>
"""


# What no agent that uses these libraries can be below.
_FLOOR = """
import titik_agent.lazy_imports.later as later
import sys, ssl, paho.mqtt.client as mqtt, psutil
later.finish()
versions = getattr(mqtt, "CallbackAPIVersion", None)
first = () if versions is None else (versions.VERSION2,)
client = mqtt.Client(*first, client_id="floor", protocol=mqtt.MQTTv5)
client.tls_set_context(ssl.create_default_context(cafile=sys.argv[2]))
client.on_connect = lambda *_: print("connected", flush=True)
client.connect("localhost", int(sys.argv[1]))
psutil.Process().memory_info()
client.loop_forever()
"""


class Ports(NamedTuple):
    """Of the broker: with TLS, and without for the collector."""

    tls: int
    plain: int


def agent_python() -> str:
    """The system's interpreter if it is new enough, else ours."""
    if os.path.exists(SYSTEM_PYTHON):
        probe = "import sys; raise SystemExit(sys.version_info < (3, 11))"
        if subprocess.run([SYSTEM_PYTHON, "-c", probe], check=False).returncode == 0:
            return SYSTEM_PYTHON
    return sys.executable


def install(folder: Path, libraries: Path | None = None) -> Path:
    """The agent and its libraries with bytecode, as a package manager leaves them."""
    site = folder / "site"
    source = libraries or Path(sysconfig.get_path("purelib"))
    ignore = shutil.ignore_patterns("__pycache__", "tests")
    for name in ("titik_wire", "titik_mqtt", "titik_agent"):
        shutil.copytree(ROOT / "agent" / name, site / name, ignore=ignore)
    for name in LIBRARIES:
        shutil.copytree(source / name, site / name, ignore=ignore)
    subprocess.run([agent_python(), "-m", "compileall", "-q", str(site)], check=True)
    return site


def environment(site: Path) -> dict[str, str]:
    """What the agent's process inherits: nothing of the developer's.

    One arena, as its unit on Debian sets it, and as OpenWrt's C library has it.
    """
    one_arena = {"MALLOC_ARENA_MAX": "1"}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "LANG": "C.UTF-8", **one_arena}


class Lab:
    """Use as a context manager; everything it started ends with it."""

    def __init__(self, folder: Path, libraries: Path | None = None) -> None:
        self.folder = folder
        self.site = install(folder, libraries)
        self.ports = Ports(free_port(), free_port())
        self._stack = ExitStack()

    def __enter__(self) -> "Lab":
        make_certificates(self.folder)
        self._start_broker()
        self._start_collector()
        ubusd = self._stack.enter_context(FakeUbusd(str(self.folder / "ubus.sock")))
        for radio, clients in enumerate(CLIENTS):
            methods = {"get_clients": answer(_clients(radio, clients)), "get_status": _STATUS}
            ubusd.add(f"hostapd.phy{radio}-ap0", methods)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def relay(self) -> Relay:
        """A counted way to the broker's TLS port."""
        return self._stack.enter_context(Relay(self.ports.tls))

    def agent(self, relay: Relay, interval_s: int, router: str = ROUTER) -> int:
        """Start `titik-agent run`; the process id, once it is connected."""
        code = "from titik_agent.__main__ import main; main()"
        config = self.write_config(relay, interval_s, router)
        return self.spawn_agent("-c", code, "run", "--config", str(config))

    def floor(self) -> int:
        """Start a process of the agent's libraries, without us; its id, once it is connected."""
        log = self.folder / "floor.log"
        given = ("-c", _FLOOR, str(self.ports.tls), str(self.folder / "ca.crt"))
        process = self._spawn(log, [agent_python(), *given], environment(self.site))
        until(lambda: "connected" in _text(log), f"the floor connects: {log}")
        return process.pid

    def write_config(self, relay: Relay, interval_s: int, router: str = ROUTER) -> Path:
        """The agent's file."""
        config = self.folder / f"{router}.toml"
        config.write_text(
            _CONFIG.format(
                router=router, interval_s=interval_s, port=relay.port, ca=self.folder / "ca.crt",
                folder=self.folder, more="compress = false" if router == PLAIN else "",
            )
        )  # fmt: skip
        return config

    def stored(self) -> int:
        """How many samples of the agent the collector has."""
        with closing(open_reader(self.folder / "titik.db")) as db:
            (last,) = db.execute("SELECT max(seq) FROM sample").fetchone()
        return int(last or 0)

    def spawn_agent(self, *arguments: str) -> int:
        """Python with the agent's modules; the process id, once the uplink is up."""
        log = self.folder / f"agent-{len(list(self.folder.glob('agent-*.log')))}.log"
        command = [agent_python(), *arguments]
        process = self._spawn(log, command, environment(self.site))
        until(lambda: "broker connected" in _text(log), f"the agent connects: {log}", 90)
        return process.pid

    def collectd(self, relay: Relay, interval_s: int) -> int:
        """Start Debian's collectd; the process id, once it publishes."""
        config = self.folder / "collectd.conf"
        config.write_text(
            _COLLECTD.format(
                router=ROUTER, interval_s=interval_s, port=relay.port,
                ca=self.folder / "ca.crt", folder=self.folder,
            )
        )  # fmt: skip
        command = [COLLECTD, "-f", "-C", str(config)]
        process = self._spawn(self.folder / "collectd.log", command)
        until(lambda: relay.traffic().payload > 5000, "collectd publishes", 2 * interval_s + 20)
        return process.pid

    def _start_broker(self) -> None:
        config = self.folder / "mosquitto.conf"
        config.write_text(
            "user root\nallow_anonymous true\nper_listener_settings false\n"
            f"log_dest file {self.folder}/mosquitto.log\n"
            f"listener {self.ports.plain} 127.0.0.1\n"
            f"listener {self.ports.tls} 127.0.0.1\n"
            f"certfile {self.folder}/broker.crt\nkeyfile {self.folder}/broker.key\n"
        )
        self._spawn(self.folder / "mosquitto.out", [BROKER, "-c", str(config)])
        until(lambda: _answers(self.ports.tls), "the broker answers")

    def _start_collector(self) -> None:
        config = self.folder / "titik.toml"
        config.write_text(
            _SERVER.format(
                port=self.ports.plain, folder=self.folder, router=ROUTER, plain_router=PLAIN
            )
        )
        code = "from titik_collector.cli import main; main()"
        log = self.folder / "collector.log"
        path = os.pathsep.join((str(ROOT / "agent"), str(ROOT / "broker")))
        command = [sys.executable, "-c", code, "collect", "--config", str(config)]
        self._spawn(log, command, {**os.environ, "PYTHONPATH": path})
        until(lambda: "broker connected" in _text(log), f"the collector connects: {log}")

    def _spawn(
        self, log: Path, command: list[str], env: dict[str, str] | None = None
    ) -> "subprocess.Popen[bytes]":
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env
            )
        self._stack.callback(_end, process)
        return process


@contextmanager
def lab(folder: Path, libraries: Path | None = None) -> Iterator[Lab]:
    """A lab in a new folder, removed afterwards."""
    folder.mkdir(parents=True)
    try:
        with Lab(folder, libraries) as made:
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_certificates(folder: Path) -> None:
    """A certificate authority of our own, and the broker's certificate for `localhost`."""
    curve = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    _openssl(folder, f"req -x509 {curve} -subj /CN=bench -keyout ca.key -out ca.crt")
    _openssl(folder, f"req {curve} -subj /CN=localhost -keyout broker.key -out broker.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    _openssl(
        folder,
        "x509 -req -in broker.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2"
        " -extfile names -out broker.crt",
    )


def until(is_so: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait for a condition, not for ever."""
    deadline = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience_s:.0f} s until {what}")
        time.sleep(0.05)


def _openssl(folder: Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


_STATUS = answer({"ssid": "Kota", "freq": 5180, "channel": 36, "phy": "phy0"})


def _clients(radio: int, number: int) -> dict[str, Any]:
    """As many as that, each built as another phone: hostapd lists what each phone can do."""
    output = capture("s-get_clients-vht-2102.txt")
    (one, *_) = output["clients"].values()
    output["clients"] = {f"02:00:5e:00:{radio:02x}:{n:02x}": _phone(one, n) for n in range(number)}
    return output


def _phone(one: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Every third knows no 802.11ac, every second has a signature, of its own length."""
    members: dict[str, Any] = {}
    for name, value in one.items():
        if name == "bytes":
            members["extended_capabilities"] = [4, 0, 8, 0, 0, 0, 0, 64, 0, 0, 32][: 8 + number % 4]
            if number % 2:
                members["signature"] = "wifi4|probe:0,1,50,45,3,221" + ",191" * number
        if name != "capabilities" or number % 3:
            members[name] = value
    return members | {"vht": bool(number % 3), "rrm": one["rrm"] if number % 4 else []}
