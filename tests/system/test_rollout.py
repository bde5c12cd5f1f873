"""Real agents on a real broker are upgraded in waves; only their package manager is a stand-in."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.system.city import City, Remembering
from tests.system.upgrade_helper import UpgradeHelper
from titik_collector.simulation.fleet import Node

pytestmark = pytest.mark.system

OLD, BAD, NEW = "0.1.0", "0.2.0", "0.2.1"
ROUTERS = [f"r{number}" for number in range(8)]
# As the collector is, but it waits for no five minutes.
QUICK = (
    "-c",
    "from titik_collector.wishes import rollout_job, waves;"
    " rollout_job.PATIENT = waves.Bounds(settle_ms=300); rollout_job.EVERY_S = 0.2;"
    " from titik_collector.cli import main; main()",
)
PATIENCE_S = 60.0


def tried_s(version: str) -> float:
    """For an ack; the real helper waits for minutes. BAD never gets one, so nobody waits for it."""
    return 0.5 if version == BAD else PATIENCE_S


class Upgraded:
    """Routers with helpers; one that runs BAD reaches nobody, and goes back."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._helpers = {name: UpgradeHelper(self._folder(name), tried_s) for name in ROUTERS}
        self._nodes = {name: self._node(name, OLD, Remembering()) for name in ROUTERS}

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the routers work until it holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, self._city.titik(*self._fleet())
            for name, helper in self._helpers.items():
                version = helper.look(self._nodes[name])
                if version is not None:
                    self._restart(name, version)
            self._city.run(0.05)

    def running(self, version: str) -> int:
        """How many routers run it."""
        return sum(one.version == version for one in self._nodes.values())

    def fleet(self, *arguments: str) -> str:
        """`titik fleet`."""
        status, output = self._city.titik(*self._fleet(*arguments))
        assert 0 == status, output
        return output

    def close(self) -> None:
        """They are switched off."""
        for one in self._helpers.values():
            one.close()

    def _fleet(self, *arguments: str) -> tuple[str, ...]:
        return ("fleet", *arguments, "--config", str(self._city.file))

    def _folder(self, name: str) -> Path:
        return self._city.folder / f"{name}.packages"

    def _restart(self, name: str, version: str) -> None:
        before = self._nodes[name]
        self._city.power_cut(before)
        assert isinstance(before.spool, Remembering)
        new = self._nodes[name] = self._node(name, version, before.spool)
        if version == BAD:
            new.cut_until = float("inf")

    def _node(self, name: str, version: str, spool: Remembering) -> Node:
        seed = ROUTERS.index(name)
        return self._city.node(
            name, spool=spool, version=version, helper=self._folder(name), seed=seed
        )


def test_a_bad_version_stops_at_the_canaries_and_a_good_one_goes_through(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The collector is killed in between, and no sample of any run is lost."""
    with City(tmp_path, *ROUTERS) as city, closing(Upgraded(city)) as routers:
        city.collect(program=QUICK)
        routers.until(lambda: city.number(ONLINE) == len(ROUTERS))

        routers.fleet("upgrade", BAD, "--canary", "2", "--wave", "50%")
        routers.until(lambda: state(city) == "halted")
        shown = routers.fleet()
        assert "upgrade to 0.2.0 halted by itself" in shown
        assert "rolled back (no ack in time), runs 0.1.0" in shown
        assert 0 == city.number("SELECT count(asked_ms) FROM rollout_router WHERE wave > 0")
        routers.until(lambda: routers.running(OLD) == len(ROUTERS))

        routers.fleet("upgrade", NEW, "--canary", "2", "--wave", "50%")
        routers.until(lambda: routers.running(NEW) >= 3)
        assert city.collector is not None
        city.collector.kill()
        city.collect(program=QUICK)
        routers.until(lambda: state(city) == "over")
        assert len(ROUTERS) == routers.running(NEW)
        assert "upgrade to 0.2.1 is over\n" in routers.fleet()

        city.until_acked()
        books = city.close_books()
        assert "no route to the broker" in caplog.text
        assert {0} == {lost for _, _, _, lost, _ in books.values()}
        assert 2 * len(ROUTERS) < len(books)


ONLINE = "SELECT count(*) FROM presence WHERE state = 'online'"


def state(city: City) -> object:
    """Of the upgrade."""
    rows = city.ask("SELECT state FROM rollout")
    return rows[0][0] if rows else None
