"""Which events are reported to outputs, and when one is reported again."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.collector.build import RUN
from tests.collector.test_rollup import START, City, at, city
from titik_collector.live.event_reporting import LOOK_BACK_MS, MARGIN_MS, EventReporting
from titik_collector.outputs.output import Event, Output
from titik_collector.queries import events
from titik_wire.messages import Held

MINUTE_MS = 60_000


class Remembering(Output):
    """Keeps events, in words."""

    name = "remembering"

    def __init__(self) -> None:
        self.got: list[tuple[str, str]] = []

    def events_happened(self, events: Sequence[Event]) -> None:
        self.got += [(one.kind, one.text) for one in events]


class Reporting:
    """The job over a store, at a time that is moved by hand."""

    def __init__(self, here: City, now_ms: int = START, heard_ms: int = START) -> None:
        self.now_ms = now_ms
        self._seen = Remembering()
        gather = partial(events.gather, here.db, late=True)
        self._job = EventReporting(gather, self._seen, lambda: self.now_ms, heard_ms)

    def look(self, after_ms: int = 0) -> list[tuple[str, str]]:
        """What is reported so long after the last time."""
        self.now_ms += after_ms
        self._seen.got.clear()
        if self._job.due(0):
            self._job.step(0)
        return self._seen.got.copy()


def away(here: City, from_ms: int) -> None:
    """Router 1 has an outage that goes on."""
    here.db.execute("INSERT INTO outage (router_id, from_ms) VALUES (1, ?)", (from_ms,))


def back(here: City, to_ms: int) -> None:
    """It is over."""
    here.db.execute("UPDATE outage SET to_ms = ?, cause = 'power cut'", (to_ms,))


def test_an_outage_is_reported_as_it_begins_and_as_it_ends(tmp_path: Path) -> None:
    """Not while it grows."""
    with city(tmp_path / "db") as here:
        reporting = Reporting(here)
        away(here, START)
        first = reporting.look(MINUTE_MS)
        assert [] == reporting.look(MINUTE_MS)
        back(here, START + 3 * MINUTE_MS)
        last = reporting.look(MINUTE_MS)
        assert [] == reporting.look(MINUTE_MS)

    assert [
        ("outage", "not over after 1 min, cause unknown"),
        ("outage", "3 min, power cut"),
    ] == first + last


def test_a_new_start_reports_nothing_of_before_again(tmp_path: Path) -> None:
    """Unless it says something else now; what happened meanwhile is new."""
    with city(tmp_path / "db") as here:
        away(here, START)
        heard_ms = START + MARGIN_MS + 1
        reporting = Reporting(here, heard_ms + MINUTE_MS, heard_ms)
        assert [] == reporting.look()
        here.db.execute(
            "INSERT INTO server_outage VALUES (?, ?, 'collector', 'gone')",
            (heard_ms, heard_ms + MINUTE_MS),
        )
        assert [("server", "1 min, no collector")] == reporting.look(MINUTE_MS)
        back(here, heard_ms)
        assert ["outage"] == [kind for kind, _ in reporting.look()]


def test_a_loss_of_long_ago_is_reported_as_it_is_declared(tmp_path: Path) -> None:
    """A router that was away for a day lost samples of the day before."""
    with city(tmp_path / "db") as here:
        now_ms = at(9).taken_at + 2 * LOOK_BACK_MS
        reporting = Reporting(here, now_ms, now_ms)
        here.save(at(1), at(9, spool=(Held(RUN, (9, 9)),)), at(9 + 480))
        assert [("lost", f"7 samples of run {RUN} declared lost")] == reporting.look()
        assert [] == reporting.look()


def test_a_loss_of_a_router_whose_clock_is_ahead_is_reported_once(tmp_path: Path) -> None:
    """Its samples are of later than now, and no event is."""
    with city(tmp_path / "db") as here:
        reporting = Reporting(here, at(1).taken_at)
        here.save(at(1), at(9, spool=(Held(RUN, (9, 9)),)))
        looks = [len(reporting.look(1000)) for _ in range(3)]
    assert [1, 0, 0] == looks


def test_a_bug_in_what_was_before_does_not_end_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Samples are stored without the events that an output wants."""
    problems = [KeyError("park-1")]

    def gather(_since_ms: int, now_ms: int) -> list[Event]:
        if problems:
            raise problems.pop()
        return [Event(now_ms, "server", "server", "1 min", "")]

    seen = Remembering()
    EventReporting(gather, seen, lambda: START, START).step(0)
    assert [("server", "1 min")] == seen.got
    assert ["a bug stops the events of before the start, they are reported again"] == [
        one.getMessage() for one in caplog.records
    ]
