"""What sites are beside their place: as the file has it, dated, filtered, and kept from topics."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from tests.collector import build
from tests.collector.build import T0, opened
from titik_collector.cli import titik
from titik_collector.config import edit, model
from titik_collector.config.model import Config
from titik_collector.config.site_tables import Router
from titik_collector.live.now import LiveState
from titik_collector.live.presence import Presence
from titik_collector.queries import site_facts, status, status_where
from titik_collector.queries.site_facts import NO_FACTS, SiteFacts
from titik_collector.registry.registry import Registry
from titik_collector.registry.sync import sync
from titik_collector.registry.watch import ConfigWatch, Reload
from titik_collector.store import stamps
from titik_collector.store.sqlite import SqliteDatabase
from titik_wire import codec

HEAD = """
[city]
name = "kupang"
title = "Kota Kupang"
timezone = "Asia/Makassar"
[store]
path = "titik.db"
[[router]]
name = "x-1"
site = "x"
"""
ALL = """
provider = "Telkom"
circuit = "TLK 1"
district = "Kelapa Lima"
power = "PLN"
contact = "Ibu Rambu, 0812"
hours = "Mo-Fr 08:00-17:00"
tier = 2
tags = ["pasar", "pantai"]
"""
FACTS = SiteFacts(
    *("Telkom", "TLK 1", "Kelapa Lima", "PLN", "Ibu Rambu, 0812", "Mo-Fr 08:00-17:00", 2),
    ("pasar", "pantai"),
)
ZONE = ZoneInfo("Asia/Makassar")
HOUR = 3_600_000
MONDAY_8 = 1_795_392_000_000  # 2026-11-23 08:00 in Makassar


def city(facts: str = "", other: str = "") -> Config:
    """Two sites, `x` with a router."""
    return model.parse(text(facts, other).encode(), Path("titik.toml"))


def text(facts: str = "", other: str = "") -> str:
    """The file of `city`."""
    sites = f'[[site]]\nname = "x"\ntitle = "X"\n{facts}[[site]]\nname = "y"\ntitle = "Y"\n{other}'
    return f"{HEAD}{sites}"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[SqliteDatabase]:
    """An empty store."""
    with opened(tmp_path / "titik.db", ()) as empty:
        yield empty


def test_every_key_comes_back_as_the_file_has_it(db: SqliteDatabase) -> None:
    """A site without any has none."""
    sync(db, city(ALL), 5000)
    assert {"x": FACTS, "y": NO_FACTS} == site_facts.at(db, 5000)


def test_a_change_counts_from_when_it_was_read(db: SqliteDatabase) -> None:
    """The first value of a key counts for the time before it too; what was taken out is no more."""
    sync(db, city('provider = "A"\n'), 1000)
    sync(db, city('provider = "B"\ntier = 1\n'), 2000)
    sync(db, city("tier = 1\n"), 3000)
    history = {at_ms: site_facts.at(db, at_ms)["x"] for at_ms in (0, 1999, 2000, 3000)}
    assert {
        0: SiteFacts(provider="A", tier=1),
        1999: SiteFacts(provider="A", tier=1),
        2000: SiteFacts(provider="B", tier=1),
        3000: SiteFacts(tier=1),
    } == history


def test_the_same_file_again_adds_no_row(db: SqliteDatabase) -> None:
    """Restarts and reloads leave no trace."""
    for at_ms in (1000, 2000):
        sync(db, city(ALL), at_ms)
    assert [(8,)] == db.execute("SELECT count(*) FROM site_fact").fetchall()


def test_a_clock_that_was_set_back_does_not_rewrite_facts(db: SqliteDatabase) -> None:
    """A row is never dated before the one it follows."""
    for name, at_ms in (("A", 5000), ("B", 6000), ("C", 10)):
        sync(db, city(f'provider = "{name}"\n'), at_ms)
    rows = db.execute("SELECT from_ms, value FROM site_fact ORDER BY from_ms").fetchall()
    assert [(0, "A"), (6000, "B"), (6001, "C")] == rows


def test_a_clock_that_was_wrong_is_mended_in_facts_too(db: SqliteDatabase) -> None:
    """What was stamped meanwhile moves; the first value stays where it is."""
    sync(db, city('provider = "A"\ntier = 1\n'), 1000)
    sync(db, city('provider = "B"\ntier = 2\n'), 9_000_000)
    with db.transaction():
        stamps.move(db, 8_000_000, -5_000_000, 20_000_000)
    rows = db.execute("SELECT from_ms, value FROM site_fact ORDER BY from_ms, value").fetchall()
    assert [(0, "1"), (0, "A"), (4_000_000, "2"), (4_000_000, "B")] == rows


def test_a_running_collector_takes_an_edit(tmp_path: Path, db: SqliteDatabase) -> None:
    """The job that watches the file brings facts too."""
    file = tmp_path / "titik.toml"
    file.write_text(text())
    sync(db, model.load(file), 1000)
    reload = Reload(db, ConfigWatch(file), Registry(db, "kupang"), lambda *_: None, lambda: 2000)
    file.write_text(text(ALL))
    os.utime(file, ns=(1, 1))
    for _ in range(2):
        reload.step(1.0)
    assert FACTS == site_facts.at(db, 2000)["x"]


def test_adding_a_router_keeps_what_the_file_says_of_sites(tmp_path: Path) -> None:
    """`titik router add` writes its own lines only."""
    file = tmp_path / "titik.toml"
    file.write_text(text(ALL))
    before = model.load(file).site
    edit.add(model.load(file), Router(name="x-2", site="x"))
    after = model.load(file)
    assert (before, ["x-1", "x-2"]) == (after.site, [one.name for one in after.router])


def test_whether_it_is_open_is_of_the_city_s_time() -> None:
    """Makassar is 8 hours ahead; a site without hours is neither open nor closed."""
    times = (MONDAY_8 - 1, MONDAY_8, MONDAY_8 + 9 * HOUR - 1, MONDAY_8 + 9 * HOUR)
    assert [False, True, True, False] == [site_facts.is_open(FACTS, one, ZONE) for one in times]
    assert site_facts.is_open(NO_FACTS, MONDAY_8, ZONE) is None


def test_status_has_facts_and_whether_a_site_is_open(db: SqliteDatabase) -> None:
    """Now; without the city's zone nobody knows."""
    sync(db, city(ALL), 1000)
    found = [
        [(one.facts, one.is_open) for one in status.gather(db, "kupang", MONDAY_8, zone=z).sites]
        for z in (ZONE, None)
    ]
    assert [[(FACTS, True), (NO_FACTS, None)], [(FACTS, None), (NO_FACTS, None)]] == found


@pytest.mark.parametrize(
    "where", ["provider=telkom", "tier=2", "tags=pantai", "district=Kelapa Lima"]
)
def test_a_fact_chooses_sites(db: SqliteDatabase, where: str) -> None:
    """With their routers; large and small letters are the same."""
    sync(db, city(ALL, 'provider = "Telkomsel"\n'), 1000)
    found = status_where.only(status.gather(db, "kupang", MONDAY_8), where)
    assert (["x"], ["x-1"]) == (
        [one.name for one in found.sites],
        [one.name for one in found.routers()],
    )


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("provider", "write KEY=VALUE, where KEY is one of provider, circuit, district"),
        ("contact=0812", "write KEY=VALUE, where KEY is one of"),
        ("provider=X", "no site has provider=X; there is Telkom"),
        ("tags=x", "no site has tags=x; there is pantai, pasar"),
    ],
)
def test_what_chooses_nothing_is_an_error(db: SqliteDatabase, where: str, expected: str) -> None:
    """It names what there is."""
    sync(db, city(ALL), 1000)
    with pytest.raises(status_where.BadWhere) as caught:
        status_where.only(status.gather(db, "kupang", MONDAY_8), where)
    assert expected in str(caught.value)


@pytest.mark.sqlite("runs a command on a file")
def test_titik_status_filters_and_shows_them(tmp_path: Path) -> None:
    """The JSON has facts as the file has them, and the page of a site in words."""
    file = tmp_path / "titik.toml"
    file.write_text(text(ALL))
    with build.opened(tmp_path / "titik.db", ()) as db:
        sync(db, model.load(file), T0)
    run = CliRunner().invoke
    found = json.loads(
        run(titik, ["status", "--config", str(file), "--where", "tier=2", "--json"]).stdout
    )
    (site,) = found["sites"]
    assert {**FACTS._asdict(), "tags": list(FACTS.tags)} == site["facts"]
    assert isinstance(site["open"], bool)
    shown = run(titik, ["status", "x", "--config", str(file)]).stdout
    assert "contact: Ibu Rambu, 0812\n" in shown
    assert "tags: pasar pantai\n" in shown
    refused = run(titik, ["status", "--config", str(file), "--where", "tier=9"])
    assert 2 == refused.exit_code
    assert "no site has tier=9; there is 2" in refused.stderr


@pytest.mark.sqlite("runs a command on a file")
def test_titik_status_adds_up_groups(tmp_path: Path) -> None:
    """A line for each, with how many sites it has; together with other screens it is refused."""
    file = tmp_path / "titik.toml"
    file.write_text(text(ALL))
    with build.opened(tmp_path / "titik.db", ()) as db:
        sync(db, model.load(file), T0)
    run = CliRunner().invoke
    shown = run(titik, ["status", "--config", str(file), "--by", "provider"]).stdout
    assert re.search(r"^Telkom, 1 site +0/1 on", shown, re.M), shown
    assert re.search(r"^not given, 1 site +0/0 on", shown, re.M), shown
    refused = run(titik, ["status", "--config", str(file), "--by", "provider", "--json"])
    assert 2 == refused.exit_code
    assert "--by makes a table of groups" in refused.stderr


def test_no_topic_has_a_fact(db: SqliteDatabase) -> None:
    """Whoever may read topics learns no contact: `now` of the site is the same with facts."""
    shown = []
    for facts in ("", ALL):
        sync(db, city(facts), T0)
        live = LiveState(db, Presence(db), Registry(db, "kupang"))
        live.load()
        shown.append([codec.encode(one) for one in live.everything(T0 + 1000)])
    assert 4 == len(shown[0])
    assert shown[0] == shown[1]
