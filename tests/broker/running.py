"""A real mosquitto on a directory that `titik broker init` wrote, and real clients for it."""

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.ports import free_ports
from titik_collector.broker_setup import broker_init
from titik_collector.broker_setup.broker_folder import BrokerFolder
from titik_collector.broker_setup.broker_init import Request

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
NOBODY = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"  # CONNECT without a user: refused
START_S = 60.0  # Python and two mosquittos, on a machine that has other work
# The soft limit of open files that a login gives.
LOGIN_LIMIT = (
    "from resource import *; hard = getrlimit(RLIMIT_NOFILE)[1];"
    " setrlimit(RLIMIT_NOFILE, (min(1024, hard), hard))"
)
CRASHED = (-signal.SIGSEGV, -signal.SIGABRT)  # exit statuses
QUIET_S = 0.4  # long enough for a message on loopback, were there one


def made(path: Path, *routers: str) -> BrokerFolder:
    """A broker's directory with ports of its own."""
    router, engineer, collector = free_ports(3)
    return broker_init.init(
        path,
        Request(
            router_port=router, engineer_port=engineer, collector_port=collector, routers=routers
        ),
    )[0]


def serves(port: int, patience_s: float = PATIENCE_S) -> bool:
    """Whether a broker reads what is sent there, if only to hang up.

    A port that takes connections is not enough: mosquitto forgets a SIGTERM that comes after it
    has opened its ports and before it first looks at them.
    """
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            return False
        probe.settimeout(patience_s)
        try:
            probe.sendall(NOBODY)
            probe.recv(1)
        except TimeoutError:
            return False
        except OSError:
            return True  # it hung up
        return True


class RunningBroker:
    """`titik broker run` as a process; `output` is what it wrote."""

    def __init__(
        self, directory: BrokerFolder, source: Path = ROOT, *, restarts: bool = False
    ) -> None:
        """`source`: a checkout, of another version perhaps.

        `restarts`: it is started again where it crashed, as by its unit. mosquitto 2.0.11 does,
        after it read its certificates again while a router's session waited (docs/operating.md).
        """
        self.directory = directory
        self.source = source
        self._restarts = restarts
        self.output: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._turn = threading.Lock()  # to start it again, or to end it
        self._is_ending = False

    def start(self) -> None:
        """Returns when mosquitto serves; from then on no SIGTERM is lost."""
        self._is_ending = False
        self._process = self._begun()
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def _begun(self) -> subprocess.Popen[str]:
        code = f"{LOGIN_LIMIT}; from titik_collector.commands.broker import broker; broker()"
        path = os.pathsep.join([str(self.source / "agent"), str(self.source / "broker")])
        return subprocess.Popen(
            [sys.executable, "-c", code, "run", str(self.directory.path)],
            env={**os.environ, "PYTHONPATH": path},
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",  # else one byte ends the reader, and mosquitto waits for it for ever
        )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it, by default so that it saves its database; the exit status."""
        with self._turn:
            self._is_ending = True
        assert self._process is not None
        assert self._reader is not None
        self._process.send_signal(how)
        status = self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._process = None
        return status

    def _read(self, process: subprocess.Popen[str]) -> None:
        while True:
            assert process.stderr is not None
            for line in process.stderr:
                self.output.append(line.rstrip())
            with self._turn:
                if not self._restarts or self._is_ending or process.wait() not in CRASHED:
                    return
                process.stderr.close()
                process = self._process = self._begun()

    def _answers(self) -> bool:
        return serves(self.directory.ports.router)

    def __enter__(self) -> "RunningBroker":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.stop(signal.SIGKILL)


class Client:
    """An MQTT 5 client that records what the broker answered."""

    def __init__(
        self,
        port: int,
        username: str | None = None,
        password: str | None = None,
        client_id: str = "",
        session_s: int = 0,
    ) -> None:
        self.connected: queue.Queue[ReasonCode] = queue.Queue()
        self.lost: queue.Queue[ReasonCode] = queue.Queue()
        self.received: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._published: queue.Queue[ReasonCode] = queue.Queue()
        self._subscribed: queue.Queue[list[ReasonCode]] = queue.Queue()
        self._paho = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        if username is not None:
            self._paho.username_pw_set(username, password)
        self._paho.on_connect = lambda c, u, f, reason, p: self.connected.put(reason)  # noqa: ARG005
        self._paho.on_disconnect = lambda c, u, f, reason, p: self.lost.put(reason)  # noqa: ARG005
        self._paho.on_publish = lambda c, u, m, reason, p: self._published.put(reason)  # noqa: ARG005
        self._paho.on_subscribe = lambda c, u, m, codes, p: self._subscribed.put(codes)  # noqa: ARG005
        self._paho.on_message = self._on_message
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = session_s
        self._paho.connect(
            "127.0.0.1", port, keepalive=30, clean_start=session_s == 0, properties=properties
        )
        self._paho.loop_start()

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:  # noqa: ARG002
        self.received.put((message.topic, bytes(message.payload)))

    def answer(self) -> str:
        """What the broker answered to CONNECT."""
        return str(self.connected.get(timeout=PATIENCE_S))

    def publish(self, topic: str, payload: bytes = b"x", retain: bool = False) -> str:
        """What the broker answered to a QoS 1 PUBLISH."""
        self._paho.publish(topic, payload, qos=1, retain=retain)
        return str(self._published.get(timeout=PATIENCE_S))

    def send(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """PUBLISH without waiting for an answer."""
        self._paho.publish(topic, payload, qos=1, retain=retain)

    @property
    def is_answered(self) -> bool:
        """Whether `published` has an answer."""
        return not self._published.empty()

    def has_end(self) -> bool:
        """Whether an answer is there, or none can come any more."""
        return self.is_answered or not self.lost.empty()

    def published(self) -> str:
        """What the broker answered to an earlier `send`."""
        return str(self._published.get(timeout=PATIENCE_S))

    def subscribe(self, topic: str) -> str:
        """What the broker answered to a SUBSCRIBE."""
        self._paho.subscribe(topic, qos=1)
        (reason,) = self._subscribed.get(timeout=PATIENCE_S)
        return str(reason)

    def next(self) -> tuple[str, bytes]:
        """The next message."""
        return self.received.get(timeout=PATIENCE_S)

    def hears_nothing(self) -> bool:
        """Nothing arrives for a while."""
        try:
            self.received.get(timeout=QUIET_S)
        except queue.Empty:
            return True
        return False

    def stays(self) -> bool:
        """The connection is not lost for a while."""
        try:
            self.lost.get(timeout=QUIET_S)
        except queue.Empty:
            return True
        return False

    def close(self) -> None:
        """Say goodbye, and leave no socket to the garbage collector."""
        self._paho.disconnect()
        self._paho.loop_stop()
        self._paho._reset_sockets()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()
