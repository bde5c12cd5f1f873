"""The sign of life outside: it lives with every router off, and any part that dies ends it."""

import contextlib
import time
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from tests.notify.programs import Program, serving
from tests.system import netns
from tests.system.city import COLLECTOR, City, Process

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


SECOND = """
[city]
name = "kupang"
title = "Kota Kupang"
timezone = "Asia/Makassar"
[store]
path = "titik.db"
"""


def _folder(mails: Path) -> str:
    """A receiver that needs no line."""
    return f'[[receiver]]\nname = "it"\ntype = "folder"\nfolder = "{mails}"\n'


def _subjects(mails: Path) -> list[str]:
    """Of all mails, the oldest first."""
    files = sorted(mails.glob("*.eml"), key=lambda one: one.stat().st_mtime_ns)
    found = [message_from_bytes(one.read_bytes(), policy=policy.default) for one in files]
    return [str(one["Subject"]) for one in found]


def _signs(mails: Path) -> str:
    """How their subjects begin."""
    return "".join(one[0] for one in _subjects(mails))


def test_a_line_that_is_cut_is_missed_on_a_second_machine(tmp_path: Path) -> None:
    """All of the server goes on, and only somebody outside can say that it is not heard."""
    outside = tmp_path / "outside"
    outside.mkdir()
    heartbeat = f'[heartbeat]\nurl = "http://{netns.GATEWAY}:8099/w8-tirosa-31"\n'
    file, mails = outside / "watch.toml", outside / "mails"
    file.write_text(SECOND + heartbeat + _folder(mails))
    with (
        netns.hotspot(0) as line,
        netns.entered(line.router),
        City(tmp_path) as city,
        notifying() as started,
    ):
        text = city.file.read_text()
        city.file.write_text(f"{text}\n{heartbeat}{_folder(tmp_path / 'mails')}")
        city.collect()
        with netns.entered(line.gateway):
            watch = (*COLLECTOR, "notify", "watch", "--after", "5", "--config", str(file))
            started.append(Process(outside / "log", *watch))
        city.until(lambda: _signs(mails) == "🔴", "nobody gives a sign yet")
        started.append(start(city))
        city.until(lambda: _signs(mails).endswith("🟢"), "the first sign")
        netns.ip("-n", line.gateway, "link", "set", "eth0", "down")
        city.until(lambda: _signs(mails).endswith("🔴"), "the line is cut")
        netns.ip("-n", line.gateway, "link", "set", "eth0", "up")
        city.until(lambda: _signs(mails).endswith("🟢"), "the line is back")
        assert [False, False] == [one.is_over for one in started]
        found = _subjects(tmp_path / "mails")
        assert [] == [one for one in found if not one.startswith("🔵")]  # eight o'clock's digest
