"""What engineers ask for at the prompt, as the text that they read."""

import contextlib
import csv
import io
import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from rich.console import Console, RenderableType

from tests.collector.build import OLD_RUN, RUN, opened
from tests.collector.packed import pack
from tests.collector.test_rollup import START, City, at, city, hour_of, reaching
from titik_collector.cli import titik
from titik_collector.figures.windows import Calendar, Span, Window
from titik_collector.queries import events, export, history
from titik_collector.received import Arrived
from titik_collector.rollups.worker import GRACE_MS
from titik_collector.screens import event_screen, history_screen
from titik_collector.store import outages
from titik_collector.store.database import StoreError
from titik_collector.store.sqlite import open_writer
from titik_collector.wording import when
from titik_wire import codec
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS
from titik_wire.messages import Held

ZONE = ZoneInfo("Asia/Makassar")
HOUR = Span(START, START + HOUR_MS)
CONFIG = """
[city]
name = "kupang"
title = "Kota Kupang"
timezone = "Asia/Makassar"
[store]
path = "db"
[[site]]
name = "s1"
title = "Taman Tirosa"
[[router]]
name = "tirosa-1"
site = "s1"
"""


@contextmanager
def two_hours(path: Path) -> Iterator[City]:
    """Two hours of one router, without the minutes from 20 to 40."""
    if not path.exists():
        path.write_bytes(_two_hours())
    with city(path) as here:
        yield here


@cache
def _two_hours() -> bytes:
    """The file, made once: that takes longer than what is asked of it."""
    with city(Path(":memory:")) as here:
        here.save(*(at(n) for n in range(1, 41)))
        for n in range(81, 242):  # after a power cut
            again = replace(
                at(n - 80),
                run=OLD_RUN,
                boot="0" * 8,
                taken_at=START + (n - 1) * 30_000,
                spool=(),
                covers_ms=0 if n == 81 else 30_000,
            )
            here.store.save([Arrived(again, codec.encode(again), True, again.taken_at + 300)])
        here.roll()
        return here.db.raw.serialize()


def text(shown: RenderableType, colour: bool = False) -> str:
    """As on a terminal of 80 columns."""
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=colour, no_color=not colour).print(shown)
    return out.getvalue()


def screen(here: City, window: Window = "1m", utc: bool = False) -> str:
    """The history of the router over its first hour."""
    subject = history.find(here.db, "tirosa-1", "kupang")
    points = history.read(here.db, subject, window, HOUR, Calendar(ZONE))
    return text(history_screen.render(subject, window, points, None if utc else ZONE, HOUR.end_ms))


def test_a_history_says_where_its_traffic_may_be_too_low(tmp_path: Path) -> None:
    """In one line below the table, if any of its windows may be."""
    words = "down and up may be too low: flow offload was on"
    with city(tmp_path / "db") as here:
        here.save(*(at(n) for n in range(1, 41)))
        here.roll()
        before = screen(here)
        here.save(at(41, flow_offload=True))
        here.roll()
        assert [False, True] == [words in one for one in (before, screen(here))]


def test_a_gap_is_drawn_as_a_gap(tmp_path: Path) -> None:
    """Dots in the curves and one row without a number; the rows around it have theirs."""
    with two_hours(tmp_path / "db") as here:
        shown = screen(here).splitlines()
    (curve,) = [line for line in shown if line.startswith("clients ")]
    assert re.fullmatch(r"clients +█{18,20}·{18,20}█{17,19} up to 3", curve)
    rows = [line.split() for line in shown if re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d  ", line)]
    gaps = [row for row in rows if row[2] == "gap"]
    assert [["gap", "·", "·", "·", "·", "·", "·", "0%"]] == [row[2:] for row in gaps]
    assert {"3.0"} == {row[2] for row in rows if row not in gaps}
    assert {"100%"} <= {row[-1] for row in rows}


def test_the_share_that_is_covered_is_a_mean(tmp_path: Path) -> None:
    """The other curves name their highest value."""
    with two_hours(tmp_path / "db") as here:
        shown = screen(here)
    (curve,) = [line for line in shown.splitlines() if line.startswith("covered ")]
    assert re.search(r" mean \d\d%$", curve)


@pytest.mark.parametrize(("now_min", "end_min"), [(25, 25), (60, 60), (90, 60), (-5, 0)])
def test_a_history_ends_now_though_its_last_window_runs_on(
    tmp_path: Path, now_min: int, end_min: int
) -> None:
    """At the end of the last window, if that is over."""
    with city(tmp_path / "db") as here:
        subject = history.find(here.db, "tirosa-1", "kupang")
        points = history.read(here.db, subject, "1h", HOUR, Calendar(ZONE))
        shown = text(
            history_screen.render(subject, "1h", points, ZONE, START + now_min * MINUTE_MS)
        )
    end = when.show(START + end_min * MINUTE_MS, ZONE)
    assert f"{when.show(START, ZONE)} to {end} WITA" == shown.splitlines()[1].strip()


def shown_rows(shown: str) -> list[list[str]]:
    """Of the table: the time of day, then what is reported of it."""
    found = re.findall(r"^20\d\d-\d\d-\d\d (\d\d:\d\d) +(not yet|\S+) .* (\S+) *$", shown, re.M)
    return [list(row) for row in found if row[1] != "to"]


def test_minutes_in_which_a_router_was_only_powered_are_in_the_gap(tmp_path: Path) -> None:
    """That it was up is known afterwards; of what it would have reported nothing is."""
    late_ms = 20 * MINUTE_MS
    with city(tmp_path / "db") as here:
        for n in (1, 2, 3):
            one = at(n)
            here.save(
                replace(one, taken_at=one.taken_at + late_ms, uptime_ms=one.uptime_ms + late_ms)
            )
        here.roll()
        powered = [one.up_ms for _, one in sorted(here.windows("router", 1, "1m").items())]
        shown = shown_rows(screen(here))
    assert [MINUTE_MS] * 10 == powered[-11:-1]
    assert ["gap", "3.0", "gap"] == [row[1] for row in shown]


def test_bytes_that_were_counted_over_a_gap_are_no_figures_of_it(tmp_path: Path) -> None:
    """An agent that was away while its router went on: how fast it was then is not known."""
    with city(tmp_path / "db") as here:
        here.save(*(at(n) for n in range(1, 6)))
        again = [replace(at(n), run=OLD_RUN, seq=n - 30, first_seq=n - 30) for n in range(31, 36)]
        here.save(*(replace(one, spool=(Held(OLD_RUN, (1, one.seq)),)) for one in again))
        here.roll()
        windows = sorted(here.windows("router", 1, "1m").items())
        counted = [one.uplink_known_ms for _, one in windows if not one.covered_ms]
        shown = shown_rows(screen(here))
    assert MINUTE_MS in counted
    assert ["3.0", "gap", "3.0", "gap"] == [one for one, _ in groupby(row[1] for row in shown)]


@pytest.mark.parametrize("name", ["tirosa-1", "s1", "city"])
def test_a_history_begins_when_its_first_router_was_registered(tmp_path: Path, name: str) -> None:
    """Before that nobody was missed; what a router reported of it is shown all the same."""
    with city(tmp_path / "db") as here:
        here.db.execute("UPDATE membership SET from_ms = ?", (START + 30 * MINUTE_MS,))
        subject = history.find(here.db, name, "kupang")
        shown = history.read(here.db, subject, "1m", HOUR, Calendar(ZONE))
        earlier = Span(START - HOUR_MS, START)
        assert [] == history.read(here.db, subject, "1m", earlier, Calendar(ZONE))
        here.save(*(at(n) for n in range(21, 61)))
        here.roll()
        reported = history.read(here.db, subject, "1m", HOUR, Calendar(ZONE))
    assert (START + 30 * MINUTE_MS, 30) == (shown[0].span.start_ms, len(shown))
    if name == "tirosa-1":
        assert START + 9 * MINUTE_MS == reported[0].span.start_ms


def test_a_time_before_the_city_has_no_history(tmp_path: Path) -> None:
    """The answer is what to type."""
    titik_says(tmp_path, "status")  # makes the store
    with contextlib.closing(open_writer(tmp_path / "db")) as db:
        db.execute("UPDATE membership SET from_ms = ?", (START,))
    asked = ["history", "--config", f"{tmp_path}/titik.toml", "city", "--since=3y", "--until=2y"]
    done = CliRunner().invoke(titik, asked)
    printed = " ".join(done.output.split())
    assert (2, True) == (done.exit_code, "city was registered after 2y; use a later" in printed)


def test_a_history_that_is_asked_for_ahead_ends_now(tmp_path: Path) -> None:
    """Half a year of dots would leave no room for what is known."""
    ahead = (datetime.now(ZONE) + timedelta(days=180)).date().isoformat()
    code, output = titik_says(tmp_path, "history", "city", "--since", "3h", "--until", ahead)
    (curve,) = [line for line in output.splitlines() if line.startswith("clients ")]
    assert (0, True) == (code, len(curve) < 40)
    (tmp_path / "db").unlink()
    code, output = titik_says(tmp_path, "export", "city", "--since", ahead, "--until", ahead)
    assert (2, True) == (code, "does not lie before now" in " ".join(output.split()))


def test_the_history_of_the_city_has_its_title(tmp_path: Path) -> None:
    """As the configuration names it, like that of a site."""
    code, output = titik_says(tmp_path, "history", "city")
    assert (0, True) == (code, output.startswith("Kota Kupang (city kupang), windows of 1h"))


def test_a_router_that_is_called_as_its_site_can_be_asked_for(tmp_path: Path) -> None:
    """By what it is, as in topics."""
    with city(tmp_path / "db") as here:
        here.db.execute("UPDATE router SET name = 's1' WHERE id = 1")
        here.db.execute("UPDATE site SET name = 's1' WHERE id = 1")
        assert [("site", "s1"), ("site", "s1"), ("router", "s1"), ("city", "kupang")] == [
            (found.scope, found.name)
            for found in (
                history.find(here.db, name, "kupang")
                for name in ("s1", "site/s1", "router/s1", "city/kupang")
            )
        ]


def test_what_is_not_computed_yet_is_no_gap(tmp_path: Path) -> None:
    """The newest minutes; what nobody spoke of stays a gap."""
    with city(tmp_path / "db") as here:
        here.save(*(at(n) for n in range(1, 42)))  # twenty minutes
        here.now_ms = START + 10 * MINUTE_MS + GRACE_MS
        here.roll()
        subject = history.find(here.db, "tirosa-1", "kupang")
        points = history.read(here.db, subject, "1m", HOUR, Calendar(ZONE))
        now_ms = START + 30 * MINUTE_MS + GRACE_MS
        pending = history.pending(here.db, subject, now_ms)
        shown = text(history_screen.render(subject, "1m", points, ZONE, now_ms, pending))
        later = history_screen.render(subject, "1m", points[12:], ZONE, now_ms, pending)
    assert ["computes a minute" in one for one in (shown, text(later))] == [False, True]
    assert [
        *([f"{when.show(START + n * MINUTE_MS, ZONE)[11:]}", "3.0"] for n in range(10)),
        [when.show(START + 10 * MINUTE_MS, ZONE)[11:], "not yet"],
        [when.show(START + 21 * MINUTE_MS, ZONE)[11:], "gap"],
        [when.show(START + 30 * MINUTE_MS, ZONE)[11:], "not yet"],
    ] == [row[:2] for row in shown_rows(shown)]


def test_a_site_waits_for_its_routers(tmp_path: Path) -> None:
    """And the city for all; a site of other routers does not."""
    with city(tmp_path / "db") as here:
        here.save(at(1), at(2))
        now_ms = START + 30 * DAY_MS
        waiting = {
            one.name: len(history.pending(here.db, one, now_ms)) - 1
            for one in history.subjects(here.db, "kupang")
        }
    assert {"kupang": 1, "s1": 1, "s2": 0, "tirosa-1": 1, "tirosa-2": 0} == waiting


def test_every_line_fits_80_columns(tmp_path: Path) -> None:
    """With local times and with UTC, in colour and without."""
    with two_hours(tmp_path / "db") as here:
        for utc in (False, True):
            for line in screen(here, utc=utc).splitlines():
                assert len(line) <= 80
        subject = history.find(here.db, "city", "kupang")
        points = history.read(here.db, subject, "1h", HOUR, Calendar(ZONE))
        shown = history_screen.render(subject, "1h", points, ZONE, HOUR.end_ms)
    assert "\x1b[" in text(shown, colour=True)
    assert text(shown) == re.sub(r"\x1b\[[0-9;]*m", "", text(shown, colour=True))


def test_a_history_and_an_export_have_the_share_of_rounds_with_an_answer(tmp_path: Path) -> None:
    """Of each window in its last column, which is there where a target is configured."""
    with two_hours(tmp_path / "db") as here:
        assert "internet" not in screen(here)
    with city(tmp_path / "other") as here:
        here.save(*reaching(hour_of(), range(2, 32)))
        here.roll()
        subject = history.find(here.db, "city", "kupang")
        points = history.read(here.db, subject, "1h", HOUR, Calendar(ZONE))
        shown = text(history_screen.render(subject, "1h", points, ZONE, HOUR.end_ms))
        exported = list(csv.DictReader(io.StringIO(_exported(here, "csv"))))
    *_, head, row = (line.split() for line in shown.splitlines())
    assert ("internet", "75%") == (head[-1], row[-1])
    assert [max(map(len, shown.splitlines()))] <= [80]
    assert (["0.0"] * 15 + ["1.0"] * 45) == [one["internet_ratio"] for one in exported]


def test_times_are_those_of_the_city_or_iso(tmp_path: Path) -> None:
    """Makassar is eight hours ahead of UTC."""
    with two_hours(tmp_path / "db") as here:
        local, utc = screen(here), screen(here, utc=True)
    assert when.show(START, ZONE) in local
    assert when.show(START, None) in utc
    assert (True, False) == ("WITA" in local, "WITA" in utc)
    assert re.search(r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ ", utc, re.M)


def test_packed_minutes_are_shown_like_the_others(tmp_path: Path) -> None:
    """Where the store keeps them is its own business."""
    with two_hours(tmp_path / "db") as here:
        before = screen(here)
        assert pack(here.db) > 0
        assert before == screen(here)


def test_a_store_that_knows_nobody_says_who_fills_it(tmp_path: Path) -> None:
    """The configuration lists the name, and the screen that lists them is empty."""
    with opened(tmp_path / "db") as db:
        db.execute("DELETE FROM membership")
        db.execute("DELETE FROM router")
        with pytest.raises(history.UnknownName, match="yet, `titik collect` puts them there"):
            history.find(db, "tirosa-1", "kupang")


def test_an_unknown_name_is_reported_what_is_near(tmp_path: Path) -> None:
    """A slip of the finger is the usual case."""
    with city(tmp_path / "db") as here, pytest.raises(history.UnknownName) as caught:
        history.find(here.db, "tirosa1", "kupang")
    assert "did you mean tirosa-1" in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "back_ms"),
    [("90m", 90 * MINUTE_MS), ("24h", DAY_MS), ("7d", 7 * DAY_MS), ("now", 0)],
)
def test_lengths_count_back_from_now(typed: str, back_ms: int) -> None:
    """As in `--since 7d`."""
    assert START - back_ms == when.parse(typed, ZONE, START)


def test_dates_are_those_of_the_city() -> None:
    """Midnight in Kupang is 16:00 UTC of the day before; an offset is taken as it is."""
    now = 1_795_500_000_000
    expected = when.parse("2026-11-22T16:00:00Z", ZONE, now)
    assert expected == when.parse("2026-11-23", ZONE, now)
    assert expected == when.parse("2026-11-23T00:00+08:00", ZONE, now)


@pytest.mark.parametrize("typed", ["", "yesterday", "7 d", "7x", "999999y", "2026-13-01", "1e9"])
def test_a_time_that_is_none_is_refused_with_examples(typed: str) -> None:
    """Whatever is typed, the answer says what to type."""
    with pytest.raises(when.BadTime, match="such as 90m"):
        when.parse(typed, ZONE, START)


def _exported(here: City, kind: str) -> str:
    out = io.StringIO()
    writer = export.Csv(out) if kind == "csv" else export.Jsonl(out)
    subject = history.find(here.db, "tirosa-1", "kupang")
    for part in export.chunks("1m", HOUR):
        writer.write(list(export.records(here.db, subject, "1m", part, Calendar(ZONE), ZONE)))
    return out.getvalue()


def test_csv_and_jsonl_say_the_same_and_leave_out_what_is_unknown(tmp_path: Path) -> None:
    """Only windows that something is known of; absent is empty or left out, zero is 0."""
    with two_hours(tmp_path / "db") as here:
        table = list(csv.DictReader(io.StringIO(_exported(here, "csv"))))
        lines = [json.loads(line) for line in _exported(here, "jsonl").splitlines()]
    assert [{k: v for k, v in row.items() if v} for row in table] == [
        {name: str(value) for name, value in line.items()} for line in lines
    ]
    assert 40 <= len(lines) <= 42
    assert {"tirosa-1"} == {line["name"] for line in lines}
    assert all(line["window_start"].endswith("+08:00") for line in lines)


def test_an_outage_of_a_whole_site_is_one_event(tmp_path: Path) -> None:
    """And one of a single router is its own; causes and lengths are reported."""
    with city(tmp_path / "db") as here:
        here.db.execute("INSERT INTO router VALUES (3, 'solor-1', 1, 0)")
        here.db.execute("UPDATE site SET name = 'tirosa' WHERE id = 1")
        for router, from_ms, to_ms, cause in (
            (1, START, START + HOUR_MS, "power cut"),
            (2, START + 20_000, START + HOUR_MS + 60_000, "power cut"),
            (2, START + 2 * HOUR_MS, START + 2 * HOUR_MS + 45_000, "unknown"),
            (3, START + 3 * HOUR_MS, None, "unknown"),
        ):
            here.db.execute(
                "INSERT INTO outage (router_id, from_ms, to_ms, cause) VALUES (?, ?, ?, ?)",
                (router, from_ms, to_ms, cause),
            )
        found = events.gather(here.db, START - DAY_MS, START + 4 * HOUR_MS)
        assert [
            (START, "tirosa", "all 2 routers, 1 h 01 min, power cut"),
            (START + 2 * HOUR_MS, "tirosa-2", "45 s, cause unknown"),
            (START + 3 * HOUR_MS, "solor-1", "not over after 1 h 00 min, cause unknown"),
        ] == [(one.at_ms, one.name, one.text) for one in found if one.kind == "outage"]
        assert all(
            len(line) <= 80 for line in text(event_screen.render(found, ZONE, START)).splitlines()
        )


def test_an_outage_of_every_router_is_the_city_s(tmp_path: Path) -> None:
    """Two routers of one site and all there are."""
    with city(tmp_path / "db") as here:
        for router in (1, 2):
            here.db.execute(
                "INSERT INTO outage (router_id, from_ms, to_ms) VALUES (?, ?, NULL)",
                (router, START + router),
            )
        found = events.gather(here.db, START, START + HOUR_MS)
        assert ["city"] == [one.name for one in found if one.kind == "outage"]


def test_an_outage_that_was_over_before_the_others_is_its_own(tmp_path: Path) -> None:
    """Though it began within two minutes of them; the city's begins with the city's first."""
    with city(tmp_path / "db") as here:
        here.db.executemany(
            "INSERT INTO outage (router_id, from_ms, to_ms) VALUES (?, ?, ?)",
            (
                (1, START, START + 36_000),
                (2, START + 60_000, START + HOUR_MS),
                (1, START + 70_000, START + HOUR_MS),
            ),
        )
        found = events.gather(here.db, START, START + 2 * HOUR_MS)
        assert [
            (START, "tirosa-1", "36 s, cause unknown"),
            (START + 60_000, "city", "all 2 routers, 59 min, cause unknown"),
        ] == [(one.at_ms, one.name, one.text) for one in found if one.kind == "outage"]


def test_the_largest_event_keeps_its_routers(tmp_path: Path) -> None:
    """One that stays away longer is of the cut that all had, not of what another has later."""
    with city(tmp_path / "db") as here:
        here.db.executemany(
            "INSERT INTO outage (router_id, from_ms, to_ms) VALUES (?, ?, ?)",
            (
                (1, START, START + 36_000),
                (2, START + 10_000, START + HOUR_MS),
                (1, START + 60_000, START + 90_000),
            ),
        )
        found = events.gather(here.db, START, START + 2 * HOUR_MS)
        assert [(START, "city"), (START + 60_000, "tirosa-1")] == [
            (one.at_ms, one.name) for one in found if one.kind == "outage"
        ]


def test_a_router_that_stopped_cleanly_is_not_a_riddle(tmp_path: Path) -> None:
    """Its agent was stopped; of one that fell silent the cause is known when it is back."""
    with city(tmp_path / "db") as here:
        here.db.executemany(
            "INSERT INTO presence (router_id, state, said, since_ms) VALUES (?, 'offline', ?, 0)",
            ((1, "stopping"), (2, "offline")),
        )
        here.db.executemany(
            "INSERT INTO outage (router_id, from_ms, to_ms) VALUES (?, ?, NULL)",
            ((1, START), (2, START + HOUR_MS)),
        )
        found = events.gather(here.db, START, START + 2 * HOUR_MS)
        assert [
            ("tirosa-1", "not over after 2 h 00 min, agent stopped"),
            ("tirosa-2", "not over after 1 h 00 min, cause unknown"),
        ] == [(one.name, one.text) for one in found if one.kind == "outage"]


def test_a_time_of_the_server_is_an_event_and_in_no_outage(tmp_path: Path) -> None:
    """With its reason, and a router's outage is shorter by it; `--why` shows the evidence."""
    with city(tmp_path / "db") as here:
        here.db.execute(
            "INSERT INTO server_outage VALUES (?, ?, 'store', 'disk full')",
            (START + 60_000, START + HOUR_MS),
        )
        here.db.executemany(
            "INSERT INTO outage (router_id, from_ms, to_ms, cause) VALUES (?, ?, ?, ?)",
            (
                (1, START, START + 2 * HOUR_MS, "uplink lost"),
                (2, START + HOUR_MS, START + 2 * HOUR_MS, "server"),
            ),
        )
        found = events.gather(here.db, START, START + 3 * HOUR_MS)
        assert [
            ("tirosa-1", "1 h 01 min, uplink lost"),
            ("server", "59 min, nothing was stored"),
        ] == [(one.name, one.text) for one in found if one.kind in ("outage", "server")]
        plain, why = (
            text(event_screen.render(found, ZONE, START, evidence)) for evidence in (False, True)
        )
    assert ("because" in plain, "because disk full" in why) == (False, True)
    assert all(len(line) <= 80 for line in why.splitlines())


@pytest.mark.parametrize(
    ("away_ms", "printed", "goodbye"),
    [
        (800, "while the server could not hear, power cut", True),
        (HOUR_MS, "1 h 00 min, power cut", False),
    ],
)
def test_a_restart_while_the_server_could_not_hear_has_no_length(
    tmp_path: Path, away_ms: int, printed: str, goodbye: bool
) -> None:
    """The router is back with the server; an hour later it was away for an hour."""
    back = START + HOUR_MS
    with city(tmp_path / "db") as here:
        here.db.execute(
            "INSERT INTO server_outage VALUES (?, ?, 'broker', 'gone')", (START + 60_000, back)
        )
        here.db.execute(
            "INSERT INTO outage (router_id, from_ms, to_ms, cause) VALUES (1, ?, ?, 'power cut')",
            (back, back + away_ms),
        )
        found = events.gather(here.db, START, START + 3 * HOUR_MS)
    (outage,) = [one for one in found if one.kind == "outage"]
    assert printed == outage.text
    assert goodbye == outage.why.endswith("; nobody could hear a goodbye in that time")


def test_what_came_later_does_not_push_a_day_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the events before a time the newest are given, however many followed."""
    monkeypatch.setattr(events, "MAX_EVENTS", 2)
    with city(tmp_path / "db") as here:
        for hour in range(5):
            outages.add(here.db, 1, START + hour * HOUR_MS, START + hour * HOUR_MS + 1, "reboot")
        found = events.gather(here.db, START, START + DAY_MS, START + 3 * HOUR_MS)
    assert [START + HOUR_MS, START + 2 * HOUR_MS] == [one.at_ms for one in found]


def test_joins_and_losses_are_events(tmp_path: Path) -> None:
    """A router that was registered, and samples that its spool has let go of."""
    with city(tmp_path / "db") as here:
        here.db.execute("UPDATE router SET registered_ms = ? WHERE id = 1", (START,))
        here.save(at(1), at(9, spool=(Held(RUN, (9, 9)),)))
        found = events.gather(here.db, START, START + HOUR_MS)
        assert [("registered", "at s1"), ("lost", "7 samples")] == [
            (one.kind, one.text[:9].strip()) for one in found
        ]


def lost(here: City) -> list[int]:
    """When the losses of the first hour were."""
    found = events.gather(here.db, START, START + HOUR_MS)
    return [one.at_ms for one in found if one.kind == "lost"]


def test_a_loss_is_dated_by_the_sample_after_it(tmp_path: Path) -> None:
    """Also when others follow; never by a time that is still to come."""
    with city(tmp_path / "db") as here:
        here.save(at(1), at(9, spool=(Held(RUN, (9, 9)),)))
        assert [at(9).taken_at] == lost(here)
        here.save(at(10), at(11))
        assert [at(9).taken_at] == lost(here)
        now_ms = START + 60_000  # of a clock that was set back
        assert [now_ms] == [
            one.at_ms for one in events.gather(here.db, START, now_ms) if one.kind == "lost"
        ]


def test_a_loss_at_the_end_of_a_run_is_dated_by_its_last_sample(tmp_path: Path) -> None:
    """Nothing of the run comes after it."""
    again = at(1, run=OLD_RUN, boot="0" * 8, taken_at=at(20).taken_at)
    after = at(2, run=OLD_RUN, boot="0" * 8, taken_at=at(21).taken_at)
    with city(tmp_path / "db") as here:
        here.save(at(1), at(2))
        here.save(replace(again, spool=(Held(OLD_RUN, (1, 1)), Held(RUN, (3, 5)))))
        assert [] == lost(here)
        here.save(replace(after, spool=(Held(OLD_RUN, (1, 2)), Held(RUN, None))))
        assert [at(2).taken_at] == lost(here)


def test_a_loss_whose_samples_are_pruned_lies_in_the_past(tmp_path: Path) -> None:
    """Its boot was alive then."""
    with city(tmp_path / "db") as here:
        here.save(at(1), at(9, spool=(Held(RUN, (9, 9)),)))
        here.db.execute("DELETE FROM body")
        here.db.execute("DELETE FROM sample")
        (when_ms,) = lost(here)
        assert START <= when_ms <= at(9).taken_at


def test_a_router_that_is_removed_is_an_event(tmp_path: Path) -> None:
    """It was registered at the site where it stood then, and not at none."""
    with city(tmp_path / "db") as here:
        here.db.execute("UPDATE router SET registered_ms = ? WHERE id = 1", (START,))
        here.db.execute("UPDATE router SET registered = 0 WHERE id = 1")
        here.db.execute("INSERT INTO membership VALUES (1, ?, NULL)", (START + 60_000,))
        found = events.gather(here.db, START, START + HOUR_MS)
        assert [
            (START, "registered", "tirosa-1", "at s1"),
            (START + 60_000, "removed", "tirosa-1", "from s1"),
        ] == [(one.at_ms, one.kind, one.name, one.text) for one in found]
        assert "removed" in text(event_screen.render(found, ZONE, START))


def titik_says(tmp_path: Path, *args: str) -> tuple[int, str]:
    """Exit status and output of a command on a store with two hours of one router."""
    with two_hours(tmp_path / "db"):
        pass
    (tmp_path / "titik.toml").write_text(CONFIG)
    command = [args[0], "--config", str(tmp_path / "titik.toml"), *args[1:]]
    result = CliRunner().invoke(titik, command)
    return result.exit_code, result.output


def test_top_without_a_terminal_prints_once(tmp_path: Path) -> None:
    """So that it can be piped."""
    code, output = titik_says(tmp_path, "top")
    assert (0, 1) == (code, len(re.findall("^ *tirosa-1 +unknown", output, re.M)))


@pytest.mark.thorough
def test_top_on_a_terminal_ends_with_ctrl_c_and_leaves_the_screen_as_it_was(
    tmp_path: Path,
) -> None:
    """A real terminal: it is switched to another screen, drawn again, and given back."""
    titik_says(tmp_path, "status")  # makes the store
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test run in the background ignores it
        command = "from titik_collector.cli import main; main()"
        arguments = ["top", "--every", "0.5", "--config", str(tmp_path / "titik.toml")]
        path = os.pathsep.join(one for one in sys.path if one)
        os.execve(
            sys.executable,
            [sys.executable, "-c", command, *arguments],
            {"PATH": os.environ["PATH"], "PYTHONPATH": path, "TERM": "xterm", "COLUMNS": "80"},
        )
    shown, interrupted = b"", False
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while chunk := os.read(terminal, 65_536):
            shown += chunk
            if not interrupted and shown.count(b"q ends") >= 2:  # drawn again
                os.write(terminal, b"\x03")
                interrupted = True
    os.close(terminal)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert shown.startswith(b"\x1b[?1049h")
    assert b"\x1b[?1049l" in shown
    assert b"Traceback" not in shown


def test_an_export_to_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """And says nothing where there is no terminal."""
    since = when.iso(START, None)
    until = when.iso(START + HOUR_MS, None)
    target = tmp_path / "out.csv"
    code, output = titik_says(
        tmp_path, "export", "tirosa-1", "--window", "1h", "--since", since, "--until", until,
        "--output", str(target), "--utc",
    )  # fmt: skip
    assert (0, "") == (code, output)
    (row,) = csv.DictReader(target.read_text().splitlines())
    assert (since, "3.0") == (row["window_start"], row["clients_mean"])
    assert ["out.csv"] == [path.name for path in tmp_path.glob("out*")]


def export_hour(tmp_path: Path, output: str) -> str:
    """An hour of the router to some place; what is printed."""
    code, printed = titik_says(
        tmp_path, "export", "tirosa-1", "--since", when.iso(START, None),
        "--until", when.iso(START + HOUR_MS, None), "--output", output,
    )  # fmt: skip
    assert 0 == code
    return printed


def test_an_export_into_a_pipe_leaves_it_a_pipe(tmp_path: Path) -> None:
    """So it is with a device: a file in the place of /dev/null would harm the machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_text)
        export_hour(tmp_path, str(pipe))
        assert ["window", "1h"] == [line.split(",")[2] for line in read.result().splitlines()]
    assert pipe.is_fifo()


def test_an_export_to_a_link_writes_what_it_leads_to(tmp_path: Path) -> None:
    """And touches nothing that lies beside it."""
    link, target, beside = (tmp_path / name for name in ("out", "real.csv", "real.csv.part"))
    target.write_text("old")
    beside.write_text("mine")
    link.symlink_to(target)
    export_hour(tmp_path, str(link))
    assert link.is_symlink()
    assert 2 == len(target.read_text().splitlines())
    assert "mine" == beside.read_text()
    assert [] == [one for one in tmp_path.iterdir() if one.name.startswith(".")]


def test_a_dash_is_stdout(tmp_path: Path) -> None:
    """As with other tools."""
    assert 2 == len(export_hour(tmp_path, "-").splitlines())
    assert not Path("-").exists()


@pytest.mark.thorough
@pytest.mark.parametrize("command", ["status", "history city", "events", "export"])
def test_a_screen_that_cannot_be_written_is_one_line(tmp_path: Path, command: str) -> None:
    """Where stdout is a file on a full disk."""
    titik_says(tmp_path, "status")  # makes the store
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from titik_collector.cli import main; main()",
             *command.split(), "--config", str(tmp_path / "titik.toml")],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)},
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    printed = [line for line in done.stderr.splitlines() if not line.startswith("nothing is known")]
    remedy = "free the disk, or choose a place on another"
    assert (1, [f"Error: No space left on device; {remedy}"]) == (done.returncode, printed)


def test_an_export_in_which_no_window_begins_says_so(tmp_path: Path) -> None:
    """A history shows the day that began before; an export has each window once."""
    code, output = titik_says(
        tmp_path, "export", "city", "--window", "1d", "--since", when.iso(START + 60_000, None),
        "--until", when.iso(START + 120_000, None),
    )  # fmt: skip
    assert 0 == code
    assert "no window of 1d begins in this time; use a --since earlier than" in output


def test_an_export_of_nothing_says_so(tmp_path: Path) -> None:
    """On stderr, so that a program reads the line of names and no record."""
    with two_hours(tmp_path / "db"):
        pass
    (tmp_path / "titik.toml").write_text(CONFIG)
    command = ["export", "city", "--since", "1h", "--config", str(tmp_path / "titik.toml")]
    result = CliRunner().invoke(titik, command)

    assert (0, 1) == (result.exit_code, len(result.stdout.splitlines()))
    assert result.stderr.startswith("nothing is known of this time")


def test_a_small_backup_is_reported_in_kb(tmp_path: Path) -> None:
    """0.0 MB would read as if nothing was saved."""
    code, output = titik_says(tmp_path, "backup", str(tmp_path / "city.tar.gz"))

    assert 0 == code
    assert re.search(r"city\.tar\.gz: [1-9][\d.]* kB;", output)


@pytest.mark.parametrize("group", [(), ("broker",), ("engineer",), ("db",)])
def test_what_a_command_does_fits_its_line_of_help(group: tuple[str, ...]) -> None:
    """In 80 columns, nothing is cut."""
    output = CliRunner().invoke(titik, [*group, "--help"], terminal_width=80).output

    assert "Commands:" in output
    assert [] == [line for line in output.split("Commands:")[1].splitlines() if "..." in line]


@pytest.mark.thorough
def test_an_export_whose_reader_has_seen_enough_ends_in_silence(tmp_path: Path) -> None:
    """As `head` does to what writes into it."""
    titik_says(tmp_path, "status")  # makes the store
    exporting = subprocess.Popen(
        [sys.executable, "-c", "from titik_collector.cli import main; main()",
         "export", "--config", str(tmp_path / "titik.toml")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert exporting.stdout is not None
    exporting.stdout.close()
    exporting.stdout = None
    assert b"" == exporting.communicate(timeout=60)[1]
    assert 128 + signal.SIGPIPE == exporting.returncode


@pytest.mark.parametrize("command", ["export --output", "backup"])
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, command: str) -> None:
    """And not the file beside the target, which nobody knows."""
    code, output = titik_says(tmp_path, *command.split(), str(tmp_path / "nope/x"))
    nope = f"{tmp_path}/nope"
    error = f"Error: {nope}: there is no such folder; make it: mkdir -p {nope}\n"
    assert (1, error) == (code, output)


def test_a_store_that_is_none_names_the_remedy(tmp_path: Path) -> None:
    """A backup is what helps; test_backup does what it prints."""
    (tmp_path / "db").write_bytes(b"no store at all " * 512)
    (tmp_path / "titik.toml").write_text(CONFIG)
    done = CliRunner().invoke(titik, ["status", "--config", str(tmp_path / "titik.toml")])
    assert (1, True) == (done.exit_code, "titik restore --only-store FILE" in done.output)
    with pytest.raises(StoreError, match="titik restore --only-store FILE"):
        open_writer(tmp_path / "db")


def test_a_store_without_its_wal_says_so(tmp_path: Path) -> None:
    """Copied alone while a collector wrote it is a file with nothing in it."""
    (tmp_path / "titik.toml").write_text(CONFIG)
    with contextlib.closing(sqlite3.connect(tmp_path / "db")) as db:
        db.execute("PRAGMA journal_mode = WAL")
    done = CliRunner().invoke(titik, ["status", "--config", str(tmp_path / "titik.toml")])
    assert 1 == done.exit_code
    assert "its -wal is missing, or it is no store: put the -wal back beside it" in done.output


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("export", "--output", "."), "--output: . is a folder; give a file"),
        (("history", "tirosa-1", "--window", "1m", "--since", "1y"), "use a longer --window"),
        (("history", "nobody"), "neither a site, nor a router"),
        (("history", "city", "--since", "soon"), "such as 90m"),
        (
            ("history", "city", "--since", "0m"),
            "--since: '0m' does not lie before now; use an earlier",
        ),
        (("events", "--since", "0m"), "--since: '0m' does not lie before now; use an earlier"),
        (("events", "--since", "2099-01-01"), "--since: '2099-01-01' is more than a year"),
        (("history", "city", "--since", "2099-01-01"), "'2099-01-01' is more than a year ahead"),
        (("history", "city", "--until", "2099-01-01"), "--until: '2099-01-01' is more than a year"),
        (("history", "city", "--since", "99y"), "--since: '99y' is before 1970; use a later time"),
    ],
)
def test_bad_arguments_name_the_remedy(tmp_path: Path, args: tuple[str, ...], says: str) -> None:
    """Exit status 2, the option, and what to type instead."""
    code, output = titik_says(tmp_path, *args)
    assert 2 == code
    assert says in re.sub(r"\s+", " ", output)


def test_a_history_reads_its_own_windows_only(tmp_path: Path) -> None:
    """A year of a thousand routers lies beside them."""
    db = open_writer(tmp_path / "db")
    try:
        subject = history.Subject("router", 7, "r", "r")
        asked: list[str] = []
        db.raw.set_trace_callback(asked.append)
        history.read(db, subject, "1m", HOUR, Calendar(ZONE))
        db.raw.set_trace_callback(None)
        for query in asked:
            for *_, step in db.execute(f"EXPLAIN QUERY PLAN {query}"):
                assert step.startswith("SEARCH") or "B-TREE" in step
        assert len(asked) >= 2
    finally:
        db.close()
