"""A collector at a broker, and a flood of samples for it.

Messages are real samples of 1.5 kB, sent by plain sockets as fast as mosquitto takes them.
"""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.city import Router
from bench.results import ROOT
from tests.mosquitto import Mosquitto
from tests.ports import free_port

PATIENCE_S = 120.0
PUBLISHERS = 8
OPENSSL = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3"
    " -keyout key.pem -out cert.pem -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
)


class Server:
    """A broker with a plain and a TLS listener, and a folder with a collector's configuration."""

    def __init__(self, folder: Path) -> None:
        subprocess.run(OPENSSL.split(), cwd=folder, check=True, capture_output=True)
        self.folder = folder
        self.tls = free_port()
        files = "certfile {folder}/cert.pem\nkeyfile {folder}/key.pem\n"
        self.broker = Mosquitto(
            folder,
            f"allow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n"
            "max_inflight_messages 1000\n"
            f"listener {self.tls} 127.0.0.1\n{files}",
        )

    def __enter__(self) -> Self:
        self.broker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.broker.stop()

    @contextlib.contextmanager
    def collector(self, tls: bool, port: int | None = None) -> Iterator[Path]:
        """`titik collect` on a new store, connected; gives the store's path."""
        place = self.configured(port or (self.tls if tls else self.broker.port), tls)
        log = (place / "log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-c", "from titik_collector.cli import main; main()", "collect",
             "--config", str(place / "titik.toml")],
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'agent'}:{ROOT / 'broker'}"},
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            until(lambda: b"broker connected" in (place / "log").read_bytes(), "a collector")
            yield place / "db"
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
            log.close()
            self.forget()

    def configured(self, port: int, tls: bool = False) -> Path:
        """A folder of its own with the configuration of a collector that has no store yet."""
        place = Path(tempfile.mkdtemp(dir=self.folder))
        ca = f'ca_file = "{self.folder / "cert.pem"}"\n' if tls else ""
        text = '[city]\nname = "k"\ntitle = "K"\ntimezone = "Asia/Makassar"\n[store]\npath = "db"\n'
        text += "max_samples_per_hour = 1000000\nmax_runs_per_hour = 10000\n"
        text += f'[broker]\nport = {port}\n{ca}[[site]]\nname = "s"\ntitle = "S"\n'
        text += "".join(
            f'[[router]]\nname = "bench-{n}"\nsite = "s"\n' for n in range(1, PUBLISHERS + 1)
        )
        (place / "titik.toml").write_text(text)
        return place

    def forget(self) -> None:
        """End the collector's session, or the broker would keep what the next run sends for it."""
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="titik:main", clean_session=True
        )
        client.connect("127.0.0.1", self.broker.port)
        deadline = time.monotonic() + PATIENCE_S
        while not client.is_connected():
            client.loop(0.1)
            assert time.monotonic() < deadline
        client.disconnect()


class Flood:
    """Samples of PUBLISHERS routers as packets, sent once by as many connections."""

    def __init__(self, each: int, base_ms: int) -> None:
        self.count = each * PUBLISHERS
        self._packets = []
        streams = []
        for number in range(1, PUBLISHERS + 1):
            router = Router(number)
            topic = f"titik/v1/router/bench-{number}/backlog"
            start_ms = base_ms - each * 30_000
            payloads = [router.take(start_ms + n * 30_000).payload for n in range(each)]
            streams.append([(topic, one) for one in payloads])
            self._packets.append(
                b"".join(_publish(topic, n % 65_535 + 1, one) for n, one in enumerate(payloads))
            )
        self.messages = [one for each_router in zip(*streams, strict=True) for one in each_router]

    def send(self, port: int) -> list[threading.Thread]:
        """In threads of their own; each ends when all its messages are acknowledged."""
        threads = [
            threading.Thread(target=self._send, args=(port, n, one), daemon=True)
            for n, one in enumerate(self._packets)
        ]
        for one in threads:
            one.start()
        return threads

    def send_all(self, port: int) -> None:
        """All of them, until the broker has acknowledged the last."""
        for one in self.send(port):
            one.join(PATIENCE_S)

    def _send(self, port: int, number: int, packets: bytes) -> None:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            name = f"flood-{number}".encode()
            body = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(name).to_bytes(2, "big") + name
            sock.sendall(bytes((0x10, len(body))) + body)
            sock.recv(4)
            reader = threading.Thread(target=self._drain, args=(sock,), daemon=True)
            reader.start()
            sock.sendall(packets)
            reader.join(PATIENCE_S)

    def _drain(self, sock: socket.socket) -> None:
        left = self.count // PUBLISHERS * 4
        while left > 0:
            left -= len(sock.recv(65_536)) or left


def _publish(topic: str, mid: int, payload: bytes) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic.encode() + mid.to_bytes(2, "big") + payload
    left, size = len(body), bytearray()
    while True:
        size.append(left & 127 | (128 if left > 127 else 0))
        left >>= 7
        if not left:
            return b"\x32" + bytes(size) + body


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for it, for PATIENCE_S at most."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not in {PATIENCE_S} s"
        time.sleep(0.005)
