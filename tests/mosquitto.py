"""A real mosquitto for tests, on a free loopback port, with a folder of its own."""

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.ports import free_port

BINARY = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
START_S = 60.0

# Loud enough to be read after a failure, quick enough to be killed in a test. By default it drops
# what waits for a client beyond 1000 messages, QoS 1 too: a slow test would miss some.
BASE = """
log_dest file {folder}/log
log_type all
connection_messages true
persistence true
persistence_location {folder}/
max_queued_messages 0
"""
OPEN = "allow_anonymous true\n"


class Mosquitto:
    """`conf` is added to a plain listener on `port`; `{folder}` in it becomes the folder's path.

    mosquitto drops root only when it is root; it then keeps it, so that it can read the folder.
    """

    def __init__(self, folder: Path, conf: str = OPEN, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self._conf = conf
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Mosquitto":
        """Start it, or start it again, and wait until it answers."""
        conf = self.folder / "mosquitto.conf"
        lines = f"{BASE}user root\nlistener {self.port} 127.0.0.1\n{self._conf}"
        conf.write_text(lines.replace("{folder}", str(self.folder)))
        self._process = subprocess.Popen(
            [BINARY, "-c", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait_until_it_answers()
        return self

    def stop(self) -> None:
        """End it as a service manager does: it saves its database."""
        self.signal(signal.SIGTERM)
        self._reap()

    def kill(self) -> None:
        """End it as a power cut does."""
        self.signal(signal.SIGKILL)
        self._reap()

    def restart(self, forget: bool = False) -> None:
        """Kill it and start it on the same port; `forget` deletes its database in between."""
        self.kill()
        if forget:
            (self.folder / "mosquitto.db").unlink(missing_ok=True)
        self.start()

    def signal(self, number: int) -> None:
        """SIGSTOP makes it silent, SIGCONT lets it go on, SIGHUP makes it read its files again."""
        if self._process is not None:
            self._process.send_signal(number)

    def log(self) -> str:
        """All that it wrote so far."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def __enter__(self) -> "Mosquitto":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(START_S)
            self._process = None

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self._process is not None
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise AssertionError(f"mosquitto did not start: {self.log()}") from None
                time.sleep(0.02)
