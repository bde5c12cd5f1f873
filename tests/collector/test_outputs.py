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
from titik_collector.outputs.all_outputs import Outputs
from titik_collector.outputs.carrier import HANG_S, STEADY_S, Carrier
from titik_collector.outputs.output import Event, Output, PresenceChange

CHANGE = PresenceChange("park-1", "park", "online", 1)


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


class Silent(Output):
    """Reports none of the four things."""

    name = "silent"


class Remembering(Output):
    """Keeps what it was given."""

    name = "remembering"

    def __init__(self) -> None:
        self.got: list[PresenceChange | str] = []

    def presence_changed(self, changes: Sequence[PresenceChange]) -> None:
        self.got += changes

    def close(self) -> None:
        self.got.append("closed")


class Failing(Output):
    """Raises what it has."""

    name = "failing"

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def presence_changed(self, _changes: Sequence[PresenceChange]) -> None:
        if self.error is not None:
            raise self.error


class Hanging(Output):
    """Never comes back before it is released."""

    name = "hanging"

    def __init__(self) -> None:
        self.released = threading.Event()
        self.entered = threading.Event()
        self.calls = 0

    def presence_changed(self, _changes: Sequence[PresenceChange]) -> None:
        self.entered.set()
        self.released.wait()
        self.calls += 1


class Wordless(Exception):
    """Raises again when somebody asks for its text."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def report(output: Output) -> None:
    """One change."""
    output.presence_changed([CHANGE])


def until(condition: Callable[[], bool]) -> None:
    """Within some seconds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@contextmanager
def hanging(clock: Clock, most: int = 10) -> Iterator[tuple[Hanging, Carrier]]:
    """An output that hangs in its first call; released at the end."""
    output = Hanging()
    carrier = Carrier(output, clock, most)
    carrier.carry(report, 1)
    assert output.entered.wait(20)
    try:
        yield output, carrier
    finally:
        output.released.set()
        carrier.end()
        carrier.join(20)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The lines that were logged."""
    caplog.set_level(logging.INFO)
    return lambda: [one.getMessage() for one in caplog.records]


def test_a_failure_is_logged_once_and_so_is_its_end(log: Callable[[], list[str]]) -> None:
    """An output is back when it has worked for a while; one that flutters fills no log."""
    clock, output = Clock(), Failing()
    carrier, error = Carrier(output, clock), OSError("no route")
    for after_s, raised in (
        (0, error), (1, error), (2, None), (3, error), (4, None), (4 + STEADY_S, None),
        (5 + STEADY_S, None),
    ):  # fmt: skip
        clock.at = 100 + after_s
        output.error = raised
        carrier.call(report, 2)
        carrier.watch()
    assert [
        "output fails output=failing lost=2 waiting=0 reason=OSError: no route",
        "output works again output=failing lost=6",
    ] == log()


def test_another_reason_is_logged_too(log: Callable[[], list[str]]) -> None:
    """But not each of many."""
    clock, output = Clock(), Failing()
    carrier = Carrier(output, clock)
    for after_s, reason in ((0, "one"), (1, "two"), (STEADY_S, "three"), (STEADY_S + 1, "four")):
        clock.at = 100 + after_s
        output.error = OSError(reason)
        carrier.call(report, 1)
        carrier.watch()
    assert ["one", "three"] == [line.rpartition(" ")[2] for line in log()]


@pytest.mark.parametrize("raised", [KeyError("x"), Wordless(), KeyboardInterrupt(), SystemExit(1)])
def test_nothing_that_an_output_raises_goes_on(
    raised: BaseException, log: Callable[[], list[str]]
) -> None:
    """Its thread lives, and so does the collector; the next thing is given to it."""
    seen = Remembering()
    outputs = Outputs(Failing(raised), [seen, failing := Failing(raised)])
    report(outputs)
    until(lambda: seen.got == [CHANGE] and outputs._others[1]._error is not None)
    failing.error = None
    report(outputs)
    outputs.close()
    assert [CHANGE, CHANGE, "closed"] == seen.got
    assert [type(raised).__name__] * 2 == [
        line.partition("reason=")[2].partition(":")[0].rpartition(".")[2] for line in log()
    ]


def test_nobody_waits_for_an_output_that_hangs(log: Callable[[], list[str]]) -> None:
    """What waits is bounded by things, the newest stay, and the loss is logged."""
    clock = Clock()
    with hanging(clock, most=10) as (output, carrier):
        for _ in range(1000):
            carrier.carry(report, 5)
        carrier.watch()
        output.released.set()
        until(lambda: output.calls == 3 and carrier._busy_since is None)
        clock.at += STEADY_S
        carrier.watch()
    assert [
        "output fails output=hanging lost=4990 waiting=10 reason=too slow, the oldest are dropped",
        "output works again output=hanging lost=4990",
    ] == log()


def test_one_call_that_is_larger_than_all_that_may_wait_is_carried() -> None:
    """As `now` of a city after a new connection."""
    seen = Remembering()
    carrier = Carrier(seen, Clock(), most=10)
    carrier.carry(report, 11)
    carrier.end()
    carrier.join(20)
    assert [CHANGE, "closed"] == seen.got


def test_a_hang_is_logged_though_nothing_was_dropped(log: Callable[[], list[str]]) -> None:
    """And logged again when it is over."""
    clock = Clock()
    with hanging(clock) as (output, carrier):
        carrier.watch()
        clock.at += HANG_S + 1
        carrier.watch()
        carrier.watch()
        output.released.set()
        until(lambda: carrier._busy_since is None)
        clock.at += STEADY_S
        carrier.watch()
    assert [
        "output fails output=hanging lost=0 waiting=0 reason=it does not return within 30 s",
        "output works again output=hanging lost=0",
    ] == log()


def test_the_end_waits_for_no_output_that_hangs(log: Callable[[], list[str]]) -> None:
    """Its thread ends with the process, and what it did not report is logged."""
    with hanging(Clock()) as (output, carrier):
        carrier.carry(report, 7)
        carrier.end()
        carrier.join(0.01)
        carrier.watch()
        assert (False, 0) == (output.released.is_set(), output.calls)
    assert 1 == len([line for line in log() if "lost=7" in line])


def test_what_waits_is_reported_before_the_end() -> None:
    """If that is soon; then the output is closed, once."""
    seen = Remembering()
    outputs = Outputs(topics := Remembering(), [seen])
    for _ in range(100):
        report(outputs)
    outputs.close()
    assert [CHANGE] * 100 + ["closed"] == seen.got == topics.got


def test_an_output_is_closed_though_nothing_was_reported() -> None:
    """It may have opened something when it was made."""
    seen = Remembering()
    Outputs(Silent(), [seen]).close()
    assert ["closed"] == seen.got


def test_an_output_overrides_only_what_it_reports(log: Callable[[], list[str]]) -> None:
    """The other things are given to it all the same."""
    outputs = Outputs(Silent(), [Silent()])
    outputs.events_happened([Event(1, "server", "server", "3 min, no broker")])
    outputs.close()
    assert [] == log()


def test_the_example_of_the_contributing_page(tmp_path: Path) -> None:
    """It is this file, and it works."""
    source = (ROOT / "tests/collector/example_output.py").read_text()
    assert f"```python\n{source}```" in (ROOT / "CONTRIBUTING.md").read_text()
    with (tmp_path / "lines").open("w") as file:
        outputs = Outputs(Silent(), [Lines(file)])
        report(outputs)
        outputs.close()
        assert (True, "park-1 is online\n") == (file.closed, (tmp_path / "lines").read_text())
