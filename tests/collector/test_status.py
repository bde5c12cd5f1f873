"""The status screen as text: what an operator reads at 80 columns."""

import contextlib
import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from tests.collector.build import T0, opened, received, sample
from tests.collector.test_presence import reported
from titik_collector.cli import titik
from titik_collector.config import model
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.items import to_item
from titik_collector.live.presence import Presence
from titik_collector.queries import events, server_warnings, status
from titik_collector.received import StatusReceived
from titik_collector.registry.registry import Registry
from titik_collector.registry.sync import sync
from titik_collector.screens import status_screen
from titik_collector.simulation import demo
from titik_collector.simulation.fleet import WorldTime
from titik_collector.store import conservation
from titik_collector.store.lease import held
from titik_collector.store.sqlite import open_reader, open_writer
from titik_collector.wording import when
from titik_wire.messages import AgentState, Sample

CITY = """
[city]
name = "kupang"
title = "Kota Kupang"
timezone = "Asia/Makassar"
[store]
path = "db"
[[site]]
name = "taman-tirosa"
title = "Taman Tirosa"
[[site]]
name = "solor"
title = "Pusat Kuliner Kampung Solor"
[[router]]
name = "tirosa-1"
site = "taman-tirosa"
[[router]]
name = "solor-1"
site = "solor"
"""
AS = ("status", "top")  # who shows it


def screen(
    tmp_path: Path,
    columns: int = 80,
    colour: bool = False,
    later_ms: int = 0,
    last: Sample | None = None,
) -> str:
    """What `titik status` prints after three samples of one router and one of an unknown router."""
    file = tmp_path / "titik.toml"
    file.write_text(CITY)
    settings = model.load(file)
    with opened(tmp_path / "db", ()) as db:
        sync(db, settings, T0 - 86_400_000)
        registered = Registry(db, "kupang")
        presence = Presence(db)
        store = BatchWriter(db, registered, presence=presence)
        store.save([reported("online", 0)])
        letters = [received(sample(n, lowest=n), True) for n in (1, 2, 4)]
        letters.append(received(sample(1, router="new-1")))
        letters += [] if last is None else [received(last, True)]
        store.save([to_item(one, T0 + 120_000) for one in letters])
        shown = status_screen.render(status.gather(db, "kupang", T0 + 125_000 + later_ms))
    out = io.StringIO()
    Console(file=out, width=columns, force_terminal=colour, no_color=not colour).print(shown)
    return out.getvalue()


def table(lines: list[str]) -> list[str]:
    """From its head on; warnings and problems stand above."""
    return lines[next(at for at, line in enumerate(lines) if "clients" in line) :]


def test_every_line_fits_80_columns(tmp_path: Path) -> None:
    """An SSH session on a phone is enough, and only names are ever cut."""
    lines = screen(tmp_path).splitlines()

    assert max(len(line) for line in lines) <= 80
    assert not any("…" in line[30:] for line in lines)
    assert table(lines)[0].split() == [
        "state", "clients", "active", "down", "up", "age", "cover", "spool", "lost",
    ]  # fmt: skip


@pytest.mark.parametrize("columns", [40, 50, 60, 68])
def test_a_narrow_screen_lacks_columns_not_names(tmp_path: Path, columns: int) -> None:
    """And what it shows is whole."""
    lines = screen(tmp_path, columns).splitlines()
    (line,) = [line for line in lines if line.startswith("tirosa-1")]

    assert len(line) <= columns
    assert re.match(r"tirosa-1 \S* *online +3 ", line)
    assert ["267k", "1"] == [one for one in line.split() if one in ("267k", "1")]
    assert table(lines)[0].split()[-1] == "lost"


def spooled(city: status.CityStatus) -> list[int | None]:
    """Of the lines of the table."""
    return [row.line.spooled for row in status_screen.all_rows(city)]


@pytest.mark.parametrize("end", ["stopping", "silent"])
def test_a_router_that_is_gone_shows_no_spool(tmp_path: Path, end: str) -> None:
    """What it held when it was last heard is not known to be so now; a sum is of those online."""
    (tmp_path / "titik.toml").write_text(CITY)
    with opened(tmp_path / "db", ()) as db:
        sync(db, model.load(tmp_path / "titik.toml"), T0 - 86_400_000)
        presence = Presence(db)
        store = BatchWriter(db, Registry(db, "kupang"), presence=presence)
        full = AgentState(1, 4, 0, 0, 0)
        for router in ("tirosa-1", "solor-1"):
            word = replace(reported("online", 0).status, router=router)
            one = sample(1, router=router, agent=full)
            store.save([StatusReceived(word, T0), to_item(received(one, True), T0 + 30_000)])
        before = status.gather(db, "kupang", T0 + 31_000)
        if end == "stopping":
            store.save([StatusReceived(replace(word, state="stopping"), T0 + 30_500)])
        else:
            presence.tick(T0 + 500_000, [2])
        after = status.gather(db, "kupang", T0 + 31_000)
    assert [6, 3, 3] == spooled(before)
    assert [3, None, 3] == spooled(after)  # the one with a problem comes first


def test_an_agent_that_was_stopped_is_no_riddle(tmp_path: Path) -> None:
    """It reported that it stops; what else happened then is known when it is back."""
    (tmp_path / "titik.toml").write_text(CITY)
    with opened(tmp_path / "db", ()) as db:
        sync(db, model.load(tmp_path / "titik.toml"), T0 - 86_400_000)
        store = BatchWriter(db, Registry(db, "kupang"), presence=Presence(db))
        store.save([reported("online", 0), reported("stopping", 1)])
        (router,) = status.gather(db, "kupang", T0 + 60_000).sites[1].routers
    assert router.cause == "agent stopped"


@pytest.mark.parametrize(("gone", "end_s"), [("offline", 64), ("silent", 160), ("silent", 1000)])
def test_a_router_is_away_since_its_last_report(tmp_path: Path, gone: str, end_s: int) -> None:
    """By `titik status` as by `titik events`: not since that was noticed."""
    (tmp_path / "titik.toml").write_text(CITY)
    with opened(tmp_path / "db", ()) as db:
        sync(db, model.load(tmp_path / "titik.toml"), T0 - 86_400_000)
        presence = Presence(db)
        store = BatchWriter(db, Registry(db, "kupang"), presence=presence)
        store.save([reported("online", 0), to_item(received(sample(1), True), T0 + 30_000)])
        end_ms = T0 + end_s * 1000
        if gone == "offline":
            store.save(
                [StatusReceived(replace(reported("online", 0).status, state="offline"), end_ms)]
            )
        presence.tick(T0 + 151_000, [1])
        presence.tick(end_ms, [1])
        (router,) = status.gather(db, "kupang", end_ms).sites[1].routers
        outages = [one.text for one in events.gather(db, T0, end_ms) if one.kind == "outage"]
    length = when.length(end_ms - T0 - 30_000)
    assert router.since_ms == T0 + 30_000
    assert (f"{router.now.state} for {length}",) == router.problems
    if router.now.state == "offline":
        assert [f"not over after {length}, cause unknown"] == outages


@pytest.mark.sqlite("a command reads a file")
@pytest.mark.thorough
@pytest.mark.parametrize("columns", ["60", "80"])
def test_a_terminal_without_unicode_gets_dots(tmp_path: Path, columns: str) -> None:
    """As over a serial console, or from cron."""
    screen(tmp_path)
    shown = subprocess.run(
        [sys.executable, "-c", "from titik_collector.cli import main; main()", "status"],
        cwd=tmp_path,
        env={
            "PYTHONPATH": os.pathsep.join(one for one in sys.path if one),
            "PYTHONIOENCODING": "ascii",
            "COLUMNS": columns,
        },
        capture_output=True,
        check=False,
    ).stdout.decode("ascii")

    assert re.search(r"^solor-1 .* unknown( +\.)+ +0$", shown, re.M)


def test_the_screen_shows_clients_rates_losses_and_unknown_routers(tmp_path: Path) -> None:
    """One look says what is there, what is missing and what to do."""
    lines = screen(tmp_path, 100).splitlines()
    cells = {line.split()[0]: line.split()[-9:] for line in lines if line.strip()}

    assert ["online", "3", "3", "267k", "26.7k", "5s", "·", "0", "1"] == cells["tirosa-1"]
    assert ["unknown", "·", "·", "·", "·", "·", "·", "·", "0"] == cells["solor-1"]
    assert any("taken 4 = stored 3 + refused 0 + lost 1 + in spool 0" in line for line in lines)
    assert any("titik router add new-1 --site SITE" in line for line in lines)
    assert any(line.startswith("tirosa-1 Taman Tirosa") for line in lines)
    assert any(line.startswith("City") and "1/2 on" in line for line in lines)


def test_a_router_with_its_wifi_off_says_so(tmp_path: Path) -> None:
    """Its line neither shows zero clients nor looks broken."""
    off = sample(5, clients=None, bss=(), off_air=True)
    lines = screen(tmp_path, 100, last=off).splitlines()
    (line,) = [one for one in lines if one.startswith("tirosa-1")]

    assert re.search(r" wifi off +· +· ", line)


def test_colour_changes_nothing_but_colour(tmp_path: Path) -> None:
    """The words carry the meaning."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain, coloured = screen(tmp_path / "a"), screen(tmp_path / "b", colour=True)

    assert "\x1b[" in coloured
    assert "online" in plain
    assert "\x1b[" not in plain


def test_without_a_collector_nothing_is_known(tmp_path: Path) -> None:
    """What was true when it was stopped is not what is true now."""
    lines = screen(tmp_path, 100, later_ms=180_000).splitlines()
    cells = {line.split()[0]: line.split()[-9:] for line in lines if line.strip()}

    assert ["unknown", "·", "·", "·", "·", "·", "·", "·", "1"] == cells["tirosa-1"]


def test_the_demo_s_first_screen_asks_for_nothing(tmp_path: Path) -> None:
    """The collector that makes the store is on its way."""
    file = tmp_path / "example.toml"
    file.write_text(CITY + '[broker]\ndirectory = "broker"\n')
    stage = demo.Demo(tmp_path / "demo", file)
    out = io.StringIO()
    world = WorldTime(stage.config.city.timezone, model.DEMO_SPEED)
    Console(file=out, width=80).print(demo.screen(stage, world))

    assert "the collector is starting" == out.getvalue().splitlines()[-1]


@pytest.mark.thorough
def test_what_a_broken_router_claims_cannot_overflow_the_totals(tmp_path: Path) -> None:
    """2,000 runs of 2**53 seqs each are more than SQLite can sum."""
    most = 2**53 - 1
    with opened(tmp_path / "db") as db:
        db.executemany(
            "INSERT INTO run (router_id, token, highest, floor) VALUES (?, ?, ?, ?)",
            [(1, f"{number:016x}", most, most) for number in range(2000)],
        )

        assert (2000 * most, 0, 0, 2000 * most, 0) == conservation.totals(db)
        status_screen.render(status.gather(db, "kupang", T0))


@pytest.mark.sqlite("a command reads a file")
def test_before_the_first_start_it_is_reported_what_to_do(tmp_path: Path) -> None:
    """There is no store yet; then there is one, in which nobody was heard and no router stands."""
    file = tmp_path / "titik.toml"
    file.write_text(CITY)

    def reported() -> str:
        wide = CliRunner(env={"COLUMNS": "1000"})  # so that it cuts no path
        return " ".join(wide.invoke(titik, ["status", "--config", str(file)]).output.split())

    start = f"titik collect --config {file}"
    output = reported()
    assert "no store there yet; if the city has one elsewhere" in output
    assert f"in a new city start the collector: {start}" in output
    open_writer(tmp_path / "db").close()
    assert "no router is known yet; a running collector takes those of its file," in reported()
    assert "titik router add NAME --site SITE" in reported()
    first = f"critical: no collector is running; start it: {start}"
    # A path longer than a line is cut to its width.
    assert reported().replace(" ", "").startswith(first.replace(" ", ""))


@pytest.mark.sqlite("a command reads a file")
def test_a_city_that_is_stopped_says_how_to_start_its_broker_too(tmp_path: Path) -> None:
    """As after a demo: a collector alone would find none."""
    file = tmp_path / "titik.toml"
    file.write_text(f'{CITY}\n[broker]\ndirectory = "broker"\n')
    open_writer(tmp_path / "db").close()
    with contextlib.closing(open_reader(tmp_path / "db")) as db:
        critical = server_warnings.look(model.load(file), T0, db).warnings[0]
    assert f"no collector is running; start it: titik collect --config {file}" in critical.text
    assert f"; if its broker is stopped: titik broker run {tmp_path}/broker; it" in critical.text


@pytest.mark.sqlite("a command reads a file")
def test_the_city_has_a_name_as_sites_and_routers_have(tmp_path: Path) -> None:
    """`city`, and the file's own name; a history is the city's if none is given."""
    file = str(screen(tmp_path) and tmp_path / "titik.toml")

    def printed(*given: str) -> str:
        return CliRunner().invoke(titik, [*given, "--config", file]).output

    assert 1 == len({printed("status"), printed("status", "city"), printed("status", "kupang")})
    span = ("--since", "2026-11-23", "--until", "2026-11-24")  # until now has the second in it
    assert printed("history", "city", *span) == printed("history", *span)


@pytest.mark.parametrize("name", ["status", "top"])
def test_the_help_of_a_screen_explains_its_columns(name: str) -> None:
    """Their units, and the dot."""
    words = " ".join(CliRunner().invoke(titik, [name, "--help"]).output.split())
    assert all(one in words for one in ("bits a second", "cover:", "A · is not known"))


@pytest.mark.sqlite("a command reads a file")
def test_a_city_that_nobody_collects_says_so(tmp_path: Path) -> None:
    """With the age of what is shown; a look takes the lease from nobody, nor keeps it."""
    store = tmp_path / "db"
    file = tmp_path / "titik.toml"
    screen(tmp_path)

    def problem_of() -> str | None:
        with contextlib.closing(open_reader(store)) as db:
            server = server_warnings.look(model.load(file), T0 + 3_720_000, db)
        return server.warnings[0].text if server.warnings else None

    def printed() -> list[str]:
        outputs = [CliRunner().invoke(titik, [name, "--config", str(file)]).output for name in AS]
        return [output.splitlines()[0] for output in outputs if "no collector is" in output]

    expected = (
        "no collector is running; the last report came 1 h 00 min ago; start it: titik collect"
        f" --config {file}"
    )
    assert expected == problem_of()
    assert len(AS) == len(printed())
    with held(store):
        assert problem_of() is None
        assert [] == printed()
    assert expected == problem_of()
