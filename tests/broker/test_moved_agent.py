"""A real agent's process moves to another authority: its own wiring, mosquitto and the commands."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.broker.enrolled import City
from tests.broker.running import ROOT
from tests.broker.test_moved_fleet import collecting, enrol
from tests.until import until
from titik_collector.store import conservation
from titik_collector.store.sqlite import open_reader

pytestmark = pytest.mark.system

NAME = "tirosa-1"
# As procd starts it, but that a first wait takes a second where it has 40.
PROGRAM = (
    "from titik_agent.broker_link.backoff import Backoff;"
    " Backoff.__init__.__kwdefaults__['first_s'] = 1.0;"
    " from titik_agent.__main__ import main; main()"
)


class Agent:
    """One router's agent, which can be killed and started again; nothing of it is on flash."""

    def __init__(self, folder: Path, keys: Path, port: int) -> None:
        self.folder = folder
        self.log = folder / "agent.log"
        self.file = folder / "agent.toml"
        self.file.write_text(f"""
router = "{NAME}"
interval_s = 1
clock = "trusted"
[broker]
host = "localhost"
port = {port}
tls = true
ca_file = "{keys / "ca.crt"}"
cert_file = "{keys / "router.crt"}"
key_file = "{keys / "router.key"}"
[spool]
directory = "{folder / "spool"}"
[interfaces]
uplink = "lo"
[sources]
hostapd = "off"
""")

    def keep_on_flash(self) -> None:
        """As the remedy reads."""
        flash = f'[spool]\npersist_dir = "{self.folder / "flash"}"'
        self.file.write_text(self.file.read_text().replace("[spool]", flash))

    @contextmanager
    def running(self, how_it_ends: signal.Signals) -> Iterator[None]:
        """For as long as it is looked at."""
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, "run", "--config", str(self.file)],
                stdout=output, stderr=output,
                env={**os.environ, "PYTHONPATH": str(ROOT / "agent")},
            )  # fmt: skip
        try:
            yield
        finally:
            process.send_signal(how_it_ends)
            process.wait(60)

    def says(self, line: str) -> int:
        """How often its log has it."""
        return self.log.read_text().count(line)


def test_an_agent_moves_to_another_authority_by_its_own_wiring(city: City, tmp_path: Path) -> None:
    """The next one is trusted, comes in force and is alone; a kill forgets nothing of it.

    Where it kept the first of it in memory only, it takes that again once it can keep it.
    """
    (keys,) = enrol(city, 1).values()
    agent = Agent(tmp_path, keys, city.broker.ports.router)

    def applied(line: str = "every router has all of it") -> tuple[int, bool]:
        """How many certificates, and whether it has all that the city gives."""
        shown = city.says("broker", "authority", status=None)  # the store may not be made yet
        return agent.says("certificate applied"), line in shown

    with collecting(city):
        with agent.running(signal.SIGKILL):
            city.says("broker", "authority", "next")
            in_memory = "1 router keeps in memory only what it was sent"
            assert (1, True) == until(lambda: applied(in_memory), (1, True))
        agent.keep_on_flash()
        with agent.running(signal.SIGKILL):
            assert (2, True) == until(applied, (2, True))
            (city.broker.path / "ca/ca.key").unlink()  # lost
            city.says("broker", "authority", "switch")
            assert (3, True) == until(applied, (3, True))
            city.says("broker", "authority", "forget")
            assert (4, True) == until(applied, (4, True))
        before = agent.says("broker connected")
        with agent.running(signal.SIGTERM):
            assert before + 1 == until(lambda: agent.says("broker connected"), before + 1)
    assert (0, 4) == (agent.says("WARNING"), agent.says("connecting again"))
    with closing(open_reader(city.folder / "titik.db")) as db:
        (lost,) = db.execute("SELECT SUM(lost) FROM v_conservation").fetchone()
        assert (0, []) == (lost, conservation.findings(db))
