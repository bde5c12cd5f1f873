"""`titik fleet upgrade` to a router's flash and back: agent, helper, broker and collector are real.

Only opkg and procd are models. procd's starts what the init script asked for, and starts again
what ends by itself.
"""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.broker.enrolled import City
from tests.broker.running import RunningBroker
from tests.openwrt import field
from tests.openwrt.conftest import later_feed
from tests.openwrt.field import asked, hostapd, instance, running, until
from tests.openwrt.router import Router, environment
from tests.openwrt.test_upgrade import BOOT, HELPER, KEPT, NEW, PACES, RUN
from tests.system.test_rollout import QUICK
from titik_collector.feed.feed_folder import write_feeds
from titik_collector.feed.signing_keys import keys_in
from titik_wire import __version__
from tools import openwrt_ipk
from tools.matrix import ROOT

pytestmark = [pytest.mark.system, pytest.mark.long]

NAME = "tirosa-1"
GOOD, BAD = NEW.removesuffix("-r1"), f"99{__version__}"
RESPAWN_S = 1.0  # procd waits for five seconds
UPGRADE_S = 240.0  # an installation, its ack or none, and the way back


class Procd:
    """Keeps the two instances of the service running, from the code that is installed."""

    def __init__(self, router: Router, log: Path) -> None:
        self.ack_s = 60  # what the helper is given, once it is started again
        self._router = router
        self._log = log
        log.touch()  # it is read before a process has been started
        self._starts = 0
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._rests_until = 0.0
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def output(self) -> str:
        return self._log.read_text()

    def restart_helper(self) -> None:
        """With the time for an ack that is set now."""
        with self._lock:
            self._end("upgrade")

    def _run(self) -> None:
        while not self._is_over.wait(0.05):
            with self._lock:
                self._look()

    def _look(self) -> None:
        starts = self._router.starts("titik-agent")
        if self._router.running("titik-agent") is None or starts != self._starts:
            for name in [*self._processes]:
                self._end(name)
        if self._router.running("titik-agent") is None:
            return
        self._starts = starts
        for name, process in [*self._processes.items()]:
            if process.poll() is not None:
                del self._processes[name]
                self._rests_until = time.monotonic() + RESPAWN_S
        if time.monotonic() >= self._rests_until:
            for name in {"agent", "upgrade"} - {*self._processes}:
                self._start(name)

    def _start(self, name: str) -> None:
        if name == "agent":
            command, env = instance(self._router)
        else:
            command = self._router.bare().command(HELPER, "listen")
            env = {"PATH": "/sbin:/bin:/usr/bin", **PACES, "ACK_S": str(self.ack_s)}
            assert [HELPER, "listen"] == asked(self._router, name)["command"]
        with self._log.open("ab") as output:
            self._processes[name] = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def _end(self, name: str) -> None:
        process = self._processes.pop(name)  # and nothing that it has started
        process.terminate()
        process.wait(60)

    def __enter__(self) -> "Procd":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        for name in [*self._processes]:
            self._end(name)
        for one in psutil.process_iter():  # what the helper has started
            with suppress(psutil.Error, OSError):
                if os.readlink(f"/proc/{one.pid}/root") == str(self._router.root):
                    one.send_signal(signal.SIGKILL)


@pytest.fixture(scope="session")
def bad(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A version whose agent reaches nobody."""
    feed = later_feed(tmp_path_factory.mktemp("bad"), "99")
    main = feed.parents[2] / "agent/titik_agent/__main__.py"
    main.write_text(main.read_text() + "\nimport no_such_module\n")
    return openwrt_ipk.build(tmp_path_factory.mktemp("bad-ipk"), feed)


@contextmanager
def reporting(
    city: City, router: Router, python: str, versions: list[list[Path]], folder: Path
) -> Iterator[Procd]:
    """A router that is enrolled and reports, with a feed of all versions."""
    field.equip(router, python, versions[0][0])
    for tool in ("signify-openbsd", "flock"):
        router.tool(tool)
    keys = keys_in(folder / "keys")
    write_feeds([one for each in versions for one in each], router.root / "feed", keys, None)
    shutil.copy(folder / "keys/titik-opkg.pub", router.root / "tmp")
    router.says("opkg-key", "add", "/tmp/titik-opkg.pub")
    line = router.root / "etc/opkg/customfeeds.conf"
    line.write_text("src/gz titik file:///feed/24.10\n")
    router.install(versions[0][0])
    city.says("router", "add", NAME, "--site", "taman-tirosa")
    shutil.copy(city.folder / f"broker/secrets/{NAME}.sh", router.root / "tmp/bundle.sh")
    paths = environment() | {"PYTHONPATH": f"{ROOT / 'broker'}:{ROOT / 'agent'}:{ROOT}"}
    collect = (*QUICK, "collect", "--config", str(city.folder / "titik.toml"))
    log = folder / "collector.log"
    with (
        hostapd(router),
        RunningBroker(city.broker),
        running(field.SERVER[0], *collect, log=log, env=paths) as output,
    ):
        until(lambda: "broker connected" in output(), output)
        assert "is set up" in router.shell("sh", "/tmp/bundle.sh").stdout
        router.says("uci", "set", "titik-agent.main.interval_s=1")
        router.says("uci", "commit", "titik-agent")
        (router.root / "var/run/titik-agent/clock_ok").touch()
        router.says("/etc/init.d/titik-agent", "restart")
        with Procd(router, folder / "router.log") as procd:
            yield procd


def test_a_good_version_stays_and_a_bad_one_goes_back(
    city: City, python: str, ipks: list[list[Path]], bad: list[Path], tmp_path: Path
) -> None:
    """Its first ack decides, and the city sees what became of each."""
    router = Router(tmp_path / "router")
    with reporting(city, router, python, [*ipks, bad], tmp_path) as procd:

        def shows(line: str) -> bool:
            return line in city.says("fleet", status=None)

        def became() -> list[str]:
            return (router.root / RUN / "status").read_text().split()[1:3]

        def listens() -> bool:
            try:
                os.close(os.open(router.root / RUN / "wish", os.O_WRONLY | os.O_NONBLOCK))
            except OSError:  # nobody reads it yet
                return False
            return True

        def what() -> str:
            return f"{city.says('fleet', status=None)}\n{procd.output}\n{router.log()}"

        until(lambda: NAME in city.says("status", NAME, status=None), what)
        until(lambda: procd.output.count("broker connected") >= 1, what)
        until(listens, what)
        old = router.code()
        city.says("fleet", "upgrade", GOOD, "--canary", "1")
        until(lambda: shows(f"upgrade to {GOOD} is over\n"), what, UPGRADE_S)
        until(lambda: ["applied", NEW] == became(), what, UPGRADE_S)
        until(lambda: not (router.root / KEPT).exists(), what)
        good = router.code()
        assert (True, good) == (good != old, router.running("titik-agent"))
        assert f"version={GOOD}" in procd.output

        procd.ack_s = 5
        procd.restart_helper()
        until(listens, what)
        city.says("fleet", "upgrade", BAD, "--canary", "1")
        until(lambda: shows(f"upgrade to {BAD} halted by itself"), what, UPGRADE_S)
        assert shows(f"rolled back (no ack within 5 s), runs {GOOD}")
        assert (good, good) == (router.code(), router.running("titik-agent"))
        assert "no_such_module" in procd.output
        connected = procd.output.count("broker connected")
        assert {"result"} == {one.name for one in (router.root / KEPT).iterdir()}
        assert not os.path.lexists(router.root / BOOT)
    assert connected >= 3
