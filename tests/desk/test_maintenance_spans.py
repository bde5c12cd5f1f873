"""When work was planned at a subject."""

from pathlib import Path
from zoneinfo import ZoneInfo

from tests.collector.test_router_command import TEXT
from tests.desk.test_entries import BUDI, DAY_MS, HOUR_MS, T0
from titik_collector.alerts.alert import AlertSubject
from titik_collector.config import model
from titik_collector.config.store_table import Store
from titik_collector.desk import naming, planned_work
from titik_collector.desk.planned_work import Entry
from titik_collector.figures.windows import Span
from titik_collector.queries import maintenance_spans
from titik_collector.store.database import Database

DAY = Span(T0, T0 + DAY_MS)


def test_work_at_a_place_and_in_the_city_is_work_at_its_router(
    in_file: Database, tmp_path: Path
) -> None:
    """Of the router alone it is none of the place; what was withdrawn is none at all."""
    file = tmp_path / "titik.toml"
    file.write_text(TEXT)
    config = model.load(file)
    zone = config.city.timezone
    router, site, city = (
        naming.place(config, name) for name in ("tirosa-1", "taman-tirosa", "city")
    )
    other = AlertSubject("site", "elsewhere")
    for hours, subject in enumerate((router, site, city, other)):
        from_ms = T0 + hours * HOUR_MS
        planned_work.plan(in_file, Entry(subject), from_ms, from_ms + HOUR_MS, BUDI)
    wrong = planned_work.plan(in_file, Entry(router), T0, T0 + DAY_MS, BUDI)
    planned_work.end(in_file, wrong.number, BUDI, withdraw=True)

    def found(subject: AlertSubject, span: Span = DAY) -> list[AlertSubject]:
        covering = naming.covering(config, subject)
        return [one.subject for one in maintenance_spans.spans(in_file, covering, span, zone)]

    assert [router, site, city] == found(router)
    assert [site, city] == found(site)
    assert [city] == found(city)
    assert [city] == found(router, Span(T0 + 2 * HOUR_MS, T0 + DAY_MS))
    where = Store(path=tmp_path / "titik.db")
    every = maintenance_spans.read(where, DAY, zone)
    assert [router, site, city, other] == [one.subject for one in every]
    assert [Span(T0, T0 + 4 * HOUR_MS)] == maintenance_spans.merged(every, DAY)
    cut = Span(T0 + 1, T0 + 2)
    assert [cut] == maintenance_spans.merged(every, cut)


def test_without_a_desk_there_was_none(tmp_path: Path) -> None:
    """And to look makes none."""
    where = Store(path=tmp_path / "titik.db")
    assert [] == maintenance_spans.read(where, DAY, ZoneInfo("Asia/Makassar"))
    assert [] == list(tmp_path.iterdir())
