"""An output that raises, hangs or is slow: what is logged, and that nobody waits for it."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.collector.example_output import Lines
from tests.project.sources import ROOT
from titik_collector.outputs.apart import HANG_S, Apart
from titik_collector.outputs.family import Outputs
from titik_collector.outputs.guard import STEADY_S, Guard
from titik_collector.outputs.output import Event, Output, PresenceChange
from titik_wire.messages import Now

CHANGE = PresenceChange("park-1", "park", "online", 1)


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


class Remembering(Output):
    """Keeps what it was given."""

    name = "remembering"

    def __init__(self) -> None:
        self.changes: list[PresenceChange] = []

    def presence_changed(self, change: PresenceChange) -> None:
        self.changes.append(change)


class Failing(Output):
    """Raises whatever it is told to."""

    name = "failing"

    def __init__(self, reason: str | None = "no route") -> None:
        self.reason = reason

    def presence_changed(self, _change: PresenceChange) -> None:
        if self.reason is not None:
            raise OSError(self.reason)


class Hanging(Output):
    """Never comes back before it is released."""

    name = "hanging"

    def __init__(self) -> None:
        self.released = threading.Event()
        self.entered = threading.Event()
        self.changes = 0

    def presence_changed(self, _change: PresenceChange) -> None:
        self.entered.set()
        self.released.wait()
        self.changes += 1


def until(condition: Callable[[], bool]) -> None:
    """Within some seconds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@contextmanager
def hanging(apart: Callable[[Output], Apart]) -> Iterator[tuple[Hanging, Apart]]:
    """An output that hangs in its first call; released at the end."""
    output = Hanging()
    carrier = apart(output)
    carrier.carry(lambda one: one.presence_changed(CHANGE))
    assert output.entered.wait(20)
    try:
        yield output, carrier
    finally:
        output.released.set()
        carrier.close(20)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records]


def test_a_failure_is_logged_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """An output is back when it has worked for a while; one that flutters fills no log."""
    caplog.set_level(logging.INFO)
    clock, output = Clock(), Failing()
    guard = Guard(output, clock)
    for after_s, reason in (
        (0, "no route"), (1, "no route"), (2, None), (3, "no route"), (4, None),
        (4 + STEADY_S, None), (5 + STEADY_S, None),
    ):  # fmt: skip
        clock.at = 100 + after_s
        output.reason = reason
        guard.call(lambda one: one.presence_changed(CHANGE))
    assert [
        "output fails output=failing reason=OSError: no route",
        "output works again output=failing lost=3",
    ] == lines(caplog)


def test_another_reason_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    """But not each of many."""
    clock, output = Clock(), Failing()
    guard = Guard(output, clock)
    for after_s, reason in ((0, "one"), (1, "two"), (STEADY_S, "three"), (STEADY_S + 1, "four")):
        clock.at = 100 + after_s
        output.reason = reason
        guard.call(lambda one: one.presence_changed(CHANGE))
    assert ["one", "three"] == [line.rpartition(" ")[2] for line in lines(caplog)]


def test_the_topics_go_on_when_they_fail_once(caplog: pytest.LogCaptureFixture) -> None:
    """They are in the collector's thread, and no exception of theirs reaches it."""
    outputs = Outputs(Failing(), [seen := Remembering()])
    outputs.presence_changed(CHANGE)
    until(lambda: seen.changes == [CHANGE])
    outputs.close()
    assert 1 == len(lines(caplog))


def test_nobody_waits_for_an_output_that_hangs(caplog: pytest.LogCaptureFixture) -> None:
    """What waits for it is bounded: the newest stay."""
    with hanging(lambda output: Apart(output, Clock(), max_waiting=10)) as (output, apart):
        for _ in range(1000):
            apart.carry(lambda one: one.presence_changed(CHANGE))
        apart.watch()
        apart.watch()
        output.released.set()
        until(lambda: output.changes == 11)
        apart.watch()
        assert 1 == len([line for line in lines(caplog) if "hangs or is too slow" in line])
        assert 11 == output.changes


def test_a_hang_is_logged_though_nothing_was_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """And logged again when it is over."""
    caplog.set_level(logging.INFO)
    clock = Clock()
    with hanging(lambda output: Apart(output, clock)) as (output, apart):
        apart.watch()
        clock.at += HANG_S + 1
        apart.watch()
        apart.watch()
        output.released.set()
        until(lambda: apart._busy_since is None)
        apart.watch()
    assert [
        "output hangs or is too slow, the oldest of what waits is dropped"
        " output=hanging busy_s=31 waiting=0",
        "output keeps up again output=hanging dropped=0",
    ] == lines(caplog)


def test_the_end_waits_for_no_output_that_hangs() -> None:
    """Its thread ends with the process."""
    with hanging(Apart) as (output, apart):
        apart.close(0.01)
        assert (False, 0) == (output.released.is_set(), output.changes)


def test_what_waits_is_reported_at_the_end() -> None:
    """If that is soon."""
    seen = Remembering()
    outputs = Outputs(Silent(), [seen])
    for _ in range(100):
        outputs.presence_changed(CHANGE)
    outputs.close()
    assert 100 == len(seen.changes)


class Silent(Output):
    """Reports none of the four things."""

    name = "nothing"


def test_an_output_overrides_only_what_it_reports() -> None:
    """The other things are given to it all the same."""
    outputs = Outputs(Silent())
    nows: Sequence[Now] = ()
    outputs.now_changed(nows)
    outputs.event_happened(Event(1, "server", "server", "3 min, no broker"))


def test_the_example_of_the_contributing_page(tmp_path: Path) -> None:
    """It is this file, and it works."""
    source = (ROOT / "tests/collector/example_output.py").read_text()
    assert f"```python\n{source}```" in (ROOT / "CONTRIBUTING.md").read_text()
    with (tmp_path / "lines").open("w+") as file:
        outputs = Outputs(Silent(), [Lines(file)])
        outputs.presence_changed(CHANGE)
        outputs.close()
        assert "park-1 is online\n" == (tmp_path / "lines").read_text()
