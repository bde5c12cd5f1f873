"""procd hears that the agent lives, as often as it must and no more."""

import logging
from pathlib import Path

import pytest

from tests.agent.fake_ubusd import FakeUbusd, answer
from titik_agent.sampling.watchdog import EVERY_S, Watchdog


class Clock:
    """Stands until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_is_kicked_twice_a_minute(tmp_path: Path) -> None:
    """With the names that the init script gave, over one connection."""
    clock = Clock()
    with FakeUbusd(str(tmp_path / "ubus.sock")) as ubusd:
        ubusd.add("service", {"watchdog": answer({})})
        watchdog = Watchdog(ubusd.path, "titik-agent", clock)
        for _ in range(10):
            watchdog.kick()
            clock.now += EVERY_S / 2
        watchdog.close()
        assert [{"name": "titik-agent", "instance": "agent"}] * 5 == ubusd.given


def test_without_procd_it_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And the agent goes on; when ubusd is back it is kicked again."""
    clock = Clock()
    watchdog = Watchdog(str(tmp_path / "ubus.sock"), "titik-agent", clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            watchdog.kick()
            clock.now += EVERY_S
    assert ["watchdog not kicked"] == [one.message.split(" reason=")[0] for one in caplog.records]
