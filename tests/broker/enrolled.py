"""A city with its own certificate authority, and clients with what its routers were given."""

import os
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
from click.testing import CliRunner
from paho.mqtt.enums import CallbackAPIVersion

from tests.ports import free_ports
from titik_collector.broker_setup.broker_folder import BrokerFolder
from titik_collector.cli import titik
from titik_collector.enrolment.authority import Authority
from titik_collector.files.replace import Owner
from titik_wire.topics import CLIENT_ID

CONFIG = """\
[city]
name = "kupang"
title = "Kupang"
timezone = "Asia/Makassar"
[broker]
directory = "broker"
[store]
path = "titik.db"
max_samples_per_hour = 1000000
max_runs_per_hour = 10000
[[site]]
name = "taman-tirosa"
title = "Taman Tirosa"
"""
SAMPLE = "titik/v1/router/tirosa-1/sample"


@dataclass
class City:
    """A city's folder with a broker that has its own authority."""

    folder: Path

    def says(self, *words: str, status: int | None = 0) -> str:
        """What `titik` prints; its exit status must be the one given, None: any."""
        done = CliRunner().invoke(titik, [*words, "--config", str(self.folder / "titik.toml")])
        assert status in (done.exit_code, None), done.output
        return done.output

    @property
    def broker(self) -> BrokerFolder:
        return BrokerFolder.open(self.folder / "broker")

    def enrol(self, router: str, root: Path) -> Path:
        """Run a router's bundle in another root directory; the folder of its keys."""
        root.mkdir(exist_ok=True)
        subprocess.run(
            ["sh", str(self.folder / "broker/secrets" / f"{router}.sh")],
            env={"PATH": os.environ["PATH"], "TITIK_ROOT": str(root)},
            check=True,
            capture_output=True,
        )
        return root / "etc/titik"


def made(folder: Path) -> City:
    """Made as an operator makes it."""
    (folder / "titik.toml").write_text(CONFIG)
    router, engineer, collector = map(str, free_ports(3))
    made = CliRunner().invoke(
        titik,
        ["broker", "init", str(folder / "broker"), "--host", "localhost",
         "--listen", "127.0.0.1", "--engineer-listen", "127.0.0.1", "--port", router,
         "--engineer-port", engineer, "--collector-port", collector],
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    return City(folder)


class Router:
    """A router's MQTT client with the files that its bundle installed."""

    def __init__(self, keys: Path, port: int, name: str = "tirosa-1", **tls: object) -> None:
        self.reasons: list[str] = []
        self.lost: list[str] = []
        self.acks: list[int] = []
        self._paho = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=CLIENT_ID + name,
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
        )
        context = ssl.create_default_context(cafile=str(keys / "ca.crt"))
        if (keys / "router.key").exists():
            context.load_cert_chain(keys / "router.crt", keys / "router.key")
        for option, value in tls.items():
            setattr(context, option, value)
        self._paho.tls_set_context(context)
        self._paho.username_pw_set(name)
        self._paho.on_connect = lambda *got: self.reasons.append(str(got[3]))
        self._paho.on_disconnect = lambda *got: self.lost.append(str(got[3]))
        self._paho.on_publish = lambda *got: self.acks.append(got[2])
        self.error: Exception | None = None
        try:
            self._paho.connect("localhost", port, 30)
        except OSError as error:
            self.error = error
            return
        self._paho.loop_start()

    def is_in(self) -> bool:
        """Connected, and still so a moment later."""
        if self.error is not None:
            return False
        deadline = time.monotonic() + 60
        while not self.reasons and not self.lost and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
        return self.reasons == ["Success"] and not self.lost

    def publish(self, topic: str, payload: bytes = b"x", retain: bool = False) -> bool:
        """Acknowledged without an error."""
        self._paho.publish(topic, payload, 1, retain).wait_for_publish(60)
        return bool(self.acks)

    def is_cut(self, within_s: float) -> bool:
        """The broker ended the session."""
        deadline = time.monotonic() + within_s
        while not self.lost and time.monotonic() < deadline:
            time.sleep(0.02)
        return bool(self.lost)

    def close(self) -> None:
        self._paho.disconnect()
        self._paho.loop_stop()
        self._paho._reset_sockets()


def foreign_authority(folder: Path, name: str = "other") -> Authority:
    """Somebody else's authority."""
    folder.mkdir()
    other = Authority(folder, Owner(-1, -1, 0o600))
    other.make(name)
    return other
