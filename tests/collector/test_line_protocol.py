"""Rollups in InfluxDB's line protocol, as a text and in a database of Debian's."""

import io
import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.collector.test_past import CONFIG, two_hours
from tests.collector.test_rollup import START
from tests.ports import free_ports
from tests.project.sources import ROOT
from tests.until import until
from titik_collector.cli import titik
from titik_collector.queries import line_protocol
from titik_collector.queries.export import NAMES, SIMULATED, Record
from titik_collector.queries.line_protocol import Influx
from titik_collector.store.sqlite import open_reader
from titik_collector.wording import when
from titik_wire.instant import DAY_MS, HOUR_MS
from titik_wire.kinds import SLUG

SINCE, UNTIL = when.iso(START - DAY_MS, None), when.iso(START + 2 * HOUR_MS, None)
PAGE = (ROOT / "docs" / "integrations.md").read_text()
# A database with nothing of this machine: no reports home, no files but those of its folder.
SERVER = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[http]
bind-address = "127.0.0.1:{http}"
log-enabled = false
[monitor]
store-enabled = false
"""


@dataclass(frozen=True)
class Server:
    """A database that runs."""

    port: int

    def ask(self, question: str) -> list[dict[str, Any]]:
        """Each series of the answer; times are milliseconds."""
        query = urllib.parse.urlencode({"q": question, "db": "titik", "epoch": "ms"})
        url = f"http://127.0.0.1:{self.port}/query"
        with urllib.request.urlopen(url, query.encode()) as answer:
            (found,) = json.load(answer)["results"]
        assert "error" not in found, found
        series: list[dict[str, Any]] = found.get("series", [])
        return series

    def rows(self, question: str) -> list[list[Any]]:
        """Of the only series."""
        (series,) = self.ask(question)
        rows: list[list[Any]] = series["values"]
        return rows

    def is_up(self) -> bool:
        """It answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping"):
                return True
        except OSError:
            return False


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Debian's, in a folder of its own, with an empty database."""
    folder = tmp_path_factory.mktemp("influx")
    rpc, http = free_ports(2)
    (folder / "influxdb.conf").write_text(SERVER.format(folder=folder, rpc=rpc, http=http))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["influxd", "-config", str(folder / "influxdb.conf")], stdout=log, stderr=log
        )
    try:
        started = Server(http)
        assert until(started.is_up, True), (folder / "log").read_text()
        started.ask("CREATE DATABASE titik")
        yield started
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a city with two hours of one router, and a gap in them."""
    folder = tmp_path_factory.mktemp("city")
    with two_hours(folder / "db"):
        pass
    (folder / "titik.toml").write_text(CONFIG)
    return folder / "titik.toml"


@pytest.fixture(scope="module")
def filled(influx: Server, city: Path) -> Server:
    """It has the rollups of each length."""
    for window in ("1m", "1h", "1d"):
        write(influx, city, window)
    return influx


def write(server: Server, city: Path, window: str) -> None:
    """The line of the page, with this city and this server; pieces are small."""
    (line,) = re.findall(r"^titik export .* split .*$", PAGE, re.M)
    program = f"{sys.executable} -m titik_collector export --config {city} --until {UNTIL}"
    for old, new in (
        ("titik export", program),
        ("127.0.0.1:8086", f"127.0.0.1:{server.port}"),
        ("--window 1h --since 30d", f"--window {window} --since {SINCE}"),
        ("-l 5000", "-l 50"),
    ):
        assert old in line
        line = line.replace(old, new)
    path = os.pathsep.join(one for one in sys.path if one)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (0, "") == (done.returncode, done.stdout + done.stderr)


def exported(city: Path, *words: str) -> list[str]:
    """What `titik export` prints."""
    done = CliRunner().invoke(
        titik,
        ["export", "--config", str(city), "--since", SINCE, "--until", UNTIL, *words],
    )
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def records(city: Path, *words: str) -> list[dict[str, Any]]:
    """As JSON, in UTC."""
    lines = exported(city, "--utc", "--format", "jsonl", *words)
    return [json.loads(line) for line in lines]


def test_a_line_has_tags_fields_and_milliseconds() -> None:
    """A count is an integer, a mean a float, and what is absent no field."""
    out = io.StringIO()
    known: Record = dict.fromkeys(NAMES) | {
        "scope": "site", "name": "taman-tirosa", "window": "1h", "revision": 2,
        "coverage_ratio": 1, "clients_mean": 14.2, "clients_min": 0, "simulated": True,
        "window_start": "2026-11-23T10:00:00+08:00",
    }  # fmt: skip
    Influx(out, [*NAMES, SIMULATED]).write([known])
    assert (
        "titik_rollup,scope=site,name=taman-tirosa,window=1h revision=2i,coverage_ratio=1.0,"
        "clients_mean=14.2,clients_min=0i,simulated=true 1795399200000\n"
    ) == out.getvalue()


@pytest.mark.parametrize("window", ["1m", "1h", "1d"])
def test_lines_are_the_records_of_the_other_formats(city: Path, window: str) -> None:
    """The same figures, times and order, whatever zone is shown."""
    lines = exported(city, "--format", "influx", "--window", window)
    assert lines == exported(city, "--format", "influx", "--window", window, "--utc")
    assert [read(line) for line in lines] == records(city, "--window", window)


def read(line: str) -> dict[str, Any]:
    """A line as JSON has it; its names have none of the characters that are escaped."""
    series, fields, at = line.split(" ")
    measurement, *tags = series.split(",")
    assert "titik_rollup" == measurement
    found: dict[str, Any] = dict(one.split("=") for one in tags)
    found["window_start"] = when.iso(int(at), None)
    for one in fields.split(","):
        name, value = one.split("=")
        found[name] = int(value[:-1]) if value.endswith("i") else float(value)
    return found


def test_a_tag_is_escaped_where_the_protocol_asks_for_it() -> None:
    """By its rules; a slug never needs it."""
    assert "a\\,b\\=c\\ d" == line_protocol.escaped("a,b=c d")
    slugs = "abcdefghijklmnopqrstuvwxyz0123456789-"
    assert re.fullmatch(SLUG, slugs)
    assert slugs == line_protocol.escaped(slugs)


def test_an_export_of_nothing_is_no_line(city: Path) -> None:
    """A database takes an empty file, too."""
    done = CliRunner().invoke(
        titik,
        ["export", "--config", str(city), "--since", "2026-01-01", "--until", "2026-01-02",
         "--format", "influx"],
    )  # fmt: skip
    assert "" == done.stdout


@pytest.mark.system
def test_the_database_adds_up_to_what_the_store_has(filled: Server, city: Path) -> None:
    """Of each scope and window."""
    figures = ("wifi_down_bytes", "wifi_up_bytes", "uplink_down_bytes", "uplink_up_bytes")
    sums = ", ".join(f"sum({name})" for name in figures)
    question = f'SELECT {sums} FROM titik_rollup GROUP BY scope, "window"'
    found = {
        (one["tags"]["scope"], one["tags"]["window"]): one["values"][0][1:]
        for one in filled.ask(question)
    }
    with closing(open_reader(city.parent / "db")) as db:
        rows = db.execute(f'SELECT scope, "window", {sums} FROM v_rollup GROUP BY scope, "window"')
        stored = {(scope, window): list(totals) for scope, window, *totals in rows}
    assert len(stored) == 9
    assert all(sum(totals) for totals in stored.values())
    assert stored == found


@pytest.mark.system
def test_the_database_has_each_window_once_and_no_gap_is_filled(filled: Server, city: Path) -> None:
    """To write again replaces, and a minute without a figure is no point."""
    write(filled, city, "1m")
    minutes = records(city, "router/tirosa-1", "--window", "1m")
    question = "SELECT clients_mean FROM titik_rollup WHERE scope = 'router' AND \"window\" = '1m'"
    expected = [[one["window_start"], one["clients_mean"]] for one in minutes]
    assert expected == [[when.iso(at, None), mean] for at, mean in filled.rows(question)]
    assert 100 <= len(expected) < 120


@pytest.mark.system
def test_counts_are_integers_and_shares_are_floats(filled: Server) -> None:
    """As the contract has them, whichever value came first."""
    kinds = dict(filled.rows("SHOW FIELD KEYS FROM titik_rollup"))
    assert {
        name: "float" if name.endswith(("_mean", "_ratio")) else "integer" for name in kinds
    } == kinds
    assert {"coverage_ratio", "clients_mean", "clients_max", "revision"} <= set(kinds)
    assert {"scope", "name", "window"} == {
        one for (one,) in filled.rows("SHOW TAG KEYS FROM titik_rollup")
    }


@pytest.mark.system
def test_a_day_of_the_database_is_the_citys_where_it_is_asked_for(filled: Server) -> None:
    """It begins at 16:00 UTC; without `tz` it falls into the day before."""
    question = (
        "SELECT max(clients_max) FROM titik_rollup WHERE scope = 'city' AND \"window\" = '1d'"
        f" AND time >= {START - DAY_MS}ms AND time < {START + DAY_MS}ms"
        " GROUP BY time(1d) fill(none)"
    )
    (day,) = [at_ms for at_ms, _ in filled.rows(f"{question} tz('Asia/Makassar')")]
    assert "16:00:00" in when.iso(day, None)
    assert day <= START < day + DAY_MS
    (before,) = [at_ms for at_ms, _ in filled.rows(question)]
    assert day - 16 * HOUR_MS == before
