"""The sign of life outside: it lives with every router off, and any part that dies ends it."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notify.programs import Program, serving
from tests.system.city import City, Process

pytestmark = [pytest.mark.system, pytest.mark.thorough]

EVERY_S, HEARD_S = 0.5, 13.0  # in place of a minute and half of one; a beat comes every 10 s
QUICK = f"""
import functools
from titik_collector.notify import assembling, heartbeat
heartbeat.HEARD_S = {HEARD_S}
assembling.Heart = functools.partial(heartbeat.Heart, every_s={EVERY_S})
from titik_collector.cli import main
main()
"""


@contextlib.contextmanager
def notifying() -> Iterator[list[Process]]:
    """The notifier; whoever starts it again puts it into the list."""
    started: list[Process] = []
    try:
        yield started
    finally:
        for one in started:
            if not one.is_over:
                one.kill()


def start(city: City) -> Process:
    """With short times."""
    return Process(city.folder / "notify.log", "-c", QUICK, "notify", "--config", str(city.file))


def grows(city: City, program: Program, why: str) -> None:
    """Signs come."""
    before = len(program.paths)
    city.until(lambda: len(program.paths) > before + 1, why)


def ends(city: City, program: Program, why: str) -> None:
    """No sign comes for longer than any wait."""

    def is_silent() -> bool:
        before = len(program.paths)
        time.sleep(4 * EVERY_S)
        return len(program.paths) == before

    city.until(is_silent, why)


def test_any_part_that_dies_ends_the_sign(tmp_path: Path) -> None:
    """No router is on, and it goes on; without collector, broker or notifier it does not."""
    with serving(Program()) as watcher, City(tmp_path) as city, notifying() as started:
        url = f"http://127.0.0.1:{watcher.port}/beat"
        text = f'\n[heartbeat]\nurl = "{url}"\n{_desk(watcher)}'
        city.file.write_text(city.file.read_text() + text)
        city.collect()
        started.append(start(city))
        grows(city, watcher, "a sign without any router")
        collector = city.collector
        assert collector is not None
        collector.kill()
        ends(city, watcher, "silence without a collector")
        city.collect()
        grows(city, watcher, "a sign again")
        city.broker.stop()
        ends(city, watcher, "silence without a broker")
        city.broker.start()
        grows(city, watcher, "a sign with the broker again")
        started[0].kill()
        ends(city, watcher, "silence without a notifier")
        started.append(start(city))
        grows(city, watcher, "a sign with the notifier again")
    log = (tmp_path / "notify.log").read_text()
    assert "no beat of the collector came through the broker" in log
    assert "Traceback" not in log


def _desk(program: Program) -> str:
    """A receiver of critical messages."""
    return (
        '[[receiver]]\nname = "desk"\ntype = "webhook"\n'
        f'url = "http://127.0.0.1:{program.port}/hook"\n'
    )
