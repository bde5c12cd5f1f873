"""Open data: what programs get is what the pages show, at addresses that stay."""

import contextlib
import csv
import io
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web import cities
from titik_collector.config.page_tables import Public
from titik_collector.figures.windows import Calendar, Span
from titik_collector.public import open_data, public_past
from titik_collector.public.public_city import PublicCity, PublicPlace
from titik_collector.public.public_past import PublicHour, PublicPast
from titik_collector.public.static_export import PublicExport
from titik_collector.public.suppression import Cell, Published, Raw, Total, publish
from titik_wire.instant import DAY_MS, HOUR_MS

KUPANG = ZoneInfo("Asia/Makassar")
DAY = Calendar(KUPANG).day(1_790_000_000_000)
LICENCE = "CC-BY-4.0"


def place(name: str, cell: Cell) -> PublicPlace:
    """One that works."""
    return PublicPlace(
        name, f"Taman {name}", "online", None, None, 40, (123.5, -10.2), False, cell, 1.0, ()
    )


def city(cells: Sequence[Cell], total: Total) -> PublicCity:
    """Of these places."""
    places = tuple(place(f"p{n}", cell) for n, cell in enumerate(cells))
    quarter = Span(DAY.end_ms, DAY.end_ms + HOUR_MS // 4)
    return PublicCity("Kota Kupang", quarter.end_ms, quarter, places, total, 8, False)


def pasts(hours: Sequence[Published]) -> dict[str, PublicPast]:
    """One day; all hours after the first ones are not known."""
    names = ["", *(f"p{n}" for n in range(len(hours[0].cells)))]
    found: dict[str, PublicPast] = {}
    for number, name in enumerate(names):
        shown = [one.cells[number - 1] if number else one.total for one in hours]
        filled = [*shown, *[Cell()] * (24 - len(shown))]
        made = tuple(
            PublicHour(DAY.start_ms + n * HOUR_MS, figures) for n, figures in enumerate(filled)
        )
        found[name] = (public_past.day_of(DAY, made),)
    return found


rates = st.none() | st.floats(0, 1e9)
raws = st.tuples(st.none() | st.floats(0, 60), rates, rates).map(lambda drawn: Raw(*drawn))


@given(st.lists(st.lists(raws, min_size=3, max_size=3), min_size=1, max_size=24))
def test_a_program_gets_what_the_pages_show(drawn: list[list[Raw]]) -> None:
    """Each hour of each place, and no number of a count below 5."""
    hours = [publish(one) for one in drawn]
    of = city(hours[0].cells, hours[0].total)
    text = open_data.day(of, pasts(hours), "2026-09-21", LICENCE, KUPANG)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert 4 * 24 == len(rows)
    for number, name in enumerate(("", "p0", "p1", "p2")):
        mine = [one for one in rows if one["place"] == name]
        for row, hour in zip(mine, hours, strict=False):
            shown = hour.cells[number - 1] if number else hour.total
            expected = {
                "devices": "" if shown.clients in (None, "few") else str(shown.clients),
                "devices_below": ("5" if number else "10") if shown.clients == "few" else "",
                "download_bps": "" if shown.down_bps is None else str(shown.down_bps),
                "upload_bps": "" if shown.up_bps is None else str(shown.up_bps),
                "licence": LICENCE,
            }
            assert expected.items() <= row.items()


def test_places_are_geojson_with_their_licence() -> None:
    """Longitude first; a place without a position has no geometry, and what is unknown no field."""
    shown = publish([Raw(23.0, 4e6, 1e6), Raw(2.0, 4e6, 1e6), Raw()])
    of = city(shown.cells, shown.total)
    of = replace(of, places=(*of.places[:2], replace(of.places[2], position=None)))
    found = json.loads(open_data.places(of, LICENCE, KUPANG))
    assert ("FeatureCollection", LICENCE) == (found["type"], found["licence"])
    first, second, third = found["features"]
    assert {"type": "Point", "coordinates": [123.5, -10.2]} == first["geometry"]
    assert (25, 4_000_000) == (
        first["properties"]["devices"], first["properties"]["download_bps"],
    )  # fmt: skip
    assert {"name", "title", "state", "capacity", "devices_below"} == set(second["properties"])
    assert (None, {"name", "title", "state", "capacity"}) == (
        third["geometry"], set(third["properties"]),
    )  # fmt: skip


def test_a_day_is_there_when_all_of_its_hours_are_over() -> None:
    """By the date of the city."""
    hours = [publish([Raw(9.0)])] * 24
    whole = pasts(hours)
    assert ["2026-09-21"] == list(open_data.whole_days(whole, KUPANG))
    (day,) = whole["p0"]
    short = {"p0": (public_past.day_of(DAY, day.hours[:-1]),)}
    assert {} == open_data.whole_days(short, KUPANG)


def test_what_people_named_is_no_formula() -> None:
    """In a spreadsheet."""
    hours = [publish([Raw(9.0)])] * 24
    of = city(hours[0].cells, hours[0].total)
    of = replace(of, places=(replace(of.places[0], title="=HYPERLINK(1)"),))
    text = open_data.day(of, pasts(hours), "2026-09-21", LICENCE, KUPANG)
    assert "'=HYPERLINK(1)" in text
    assert ",=" not in text


@contextlib.contextmanager
def licensed(folder: Path, licence: str | None) -> Iterator[PublicExport]:
    """The public page of a city with two days behind it."""
    with cities.city(folder) as filled:
        filled.remember(2, "tirosa-1")
        filled.live(minutes=3)
        filled.roll()
        config = replace(filled.config, public=Public(directory=folder / "p", licence=licence))
        yield PublicExport(config, folder / "p")


@pytest.mark.thorough
def test_a_day_stays_when_the_pages_show_it_no_more(tmp_path: Path) -> None:
    """Its address is the same, the index lists it, and nothing is written twice.

    In a new folder too, if it is copied there first.
    """
    with licensed(tmp_path, LICENCE) as export:
        at_ms = cities.now_ms()
        export.write(at_ms)
        days = sorted((tmp_path / "p/data/day").iterdir())
        assert len(days) >= 20
        assert 0 == export.write(at_ms)
        export.write(at_ms + 40 * DAY_MS)
        assert set(days) <= set((tmp_path / "p/data/day").iterdir())
        shutil.copytree(tmp_path / "p/data/day", tmp_path / "new/data/day")
        PublicExport(export._config, tmp_path / "new").write(at_ms + 40 * DAY_MS)
        for folder in ("p", "new"):
            listed = json.loads((tmp_path / folder / "data/index.json").read_text())
            assert {f"day/{one.name}" for one in days} <= set(listed["days"])
    assert LICENCE == listed["licence"]
    about = (tmp_path / "p/en/about.html").read_text()
    assert '<a href="../data/places.geojson">' in about
    assert LICENCE in about


@pytest.mark.thorough
def test_without_a_licence_there_are_no_open_data(tmp_path: Path) -> None:
    """Nobody could use them."""
    with licensed(tmp_path, None) as export:
        export.write()
    assert not (tmp_path / "p/data").exists()
    assert "Open data" not in (tmp_path / "p/en/about.html").read_text()


@pytest.mark.thorough
def test_open_data_end_with_their_licence(tmp_path: Path) -> None:
    """Days of before too; what somebody put there meanwhile stays."""
    with licensed(tmp_path, LICENCE) as export:
        export.write()
        assert list((tmp_path / "p/data/day").iterdir())
        config = replace(export._config, public=Public(directory=tmp_path / "p"))
        without = PublicExport(config, tmp_path / "p")
        (tmp_path / "p/data/bus-stops.csv").touch()
        without.write()
    assert ["bus-stops.csv"] == [one.name for one in (tmp_path / "p/data").iterdir()]
