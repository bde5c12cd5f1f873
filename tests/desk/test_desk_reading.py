"""The collector reads what people entered, and nothing else of the desk."""

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.collector.test_router_command import TEXT
from titik_collector.accounts.audit import Actor
from titik_collector.alerts.alert import AlertSubject
from titik_collector.alerts.desk_facts import DeskFacts, Maintenance, Silence
from titik_collector.config import model
from titik_collector.config.store_table import Store
from titik_collector.desk import acks, planned_work, posting, silences
from titik_collector.desk.desk_reading import DeskReading
from titik_collector.desk.planned_work import Entry, weekly_of
from titik_collector.store import desk_maintenance, desk_opening
from titik_collector.store.database import Database
from titik_collector.store.desk_maintenance import MaintenanceRow
from titik_collector.web.desk import Desk

T0 = 1_795_000_000_000  # 19:06 on a Wednesday in Kupang
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
ZONE = ZoneInfo("Asia/Makassar")
BUDI = Actor("budi", None, T0)
SITE, CITY = AlertSubject("site", "taman-tirosa"), AlertSubject("city", "kupang")


@pytest.fixture
def reading(where: Store) -> Iterator[DeskReading]:
    """As the collector has it."""
    with closing(DeskReading(where, ZONE)) as opened:
        yield opened


def test_nothing_was_entered_where_there_is_no_desk(reading: DeskReading) -> None:
    """And to look makes none."""
    assert DeskFacts() == reading.facts(T0)


def test_the_collector_sees_what_counts_now(
    where: Store, desk: Database, reading: DeskReading
) -> None:
    """From the first look after it was posted, and no longer than it counts."""
    assert DeskFacts() == reading.facts(T0)
    ack = acks.acknowledge(desk, 7, "on my way", BUDI)
    number = silences.silence(desk, SITE, "hot", T0 + HOUR_MS, "festival", BUDI)
    work = planned_work.plan(desk, Entry(SITE, "mast"), T0 + MINUTE_MS, T0 + DAY_MS, BUDI)
    week = planned_work.repeat(desk, Entry(CITY), weekly_of("wed", "19:30", HOUR_MS), BUDI)
    posting.post(desk, where, T0)
    silence = Silence(number, SITE, "hot", T0, T0 + HOUR_MS, "budi", "festival")
    assert DeskFacts(acks=(ack,), silences=(silence,)) == reading.facts(T0)
    early = reading.facts(T0 - 1)  # by a clock that is behind
    assert ((ack,), (silence,)) == (early.acks, early.silences)
    once = Maintenance(work.number, SITE, T0 + MINUTE_MS, T0 + DAY_MS, "budi", "mast")
    assert (once,) == reading.facts(T0 + MINUTE_MS).maintenance
    half_past = T0 - T0 % HOUR_MS + HOUR_MS // 2
    weekly = Maintenance(week.number, CITY, half_past, half_past + HOUR_MS, "budi", "")
    assert (once, weekly) == reading.facts(half_past).maintenance
    silences.end(desk, number, BUDI._replace(now_ms=T0 + 1))
    posting.post(desk, where, T0 + 1)
    assert () == reading.facts(T0 + 1).silences


def test_a_look_costs_little(where: Store, desk: Database, reading: DeskReading) -> None:
    """Of a thousand maintenances, a hundredth of the five seconds between two looks at most."""
    with desk.transaction():
        for number in range(1000):
            subject = AlertSubject("router", f"router-{number}")
            row = MaintenanceRow(0, subject, T0, T0 + DAY_MS, None, "budi", T0, "work")
            desk_maintenance.add(desk, row)
    posting.post(desk, where, T0)
    assert 1000 == len(reading.facts(T0).maintenance)
    begun = time.thread_time()
    for _ in range(10):
        reading.facts(T0)
    assert (time.thread_time() - begun) / 10 < 0.05


@pytest.mark.sqlite
def test_what_cannot_be_read_leaves_what_was_known(
    tmp_path: Path, in_file: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, with its end."""
    caplog.set_level(logging.INFO, "titik_collector.desk")
    where = Store(path=tmp_path / "titik.db")
    ack = acks.acknowledge(in_file, 7, "", BUDI)
    posting.post(in_file, where, T0)
    with closing(DeskReading(where, ZONE)) as reading:
        assert (ack,) == reading.facts(T0).acks
        file = posting.file_of(tmp_path / "titik.db")
        whole = file.read_bytes()
        for broken in (b"", b"{", b'{"version":2}', b'{"version":1,"acks":[[1]]}'):
            file.write_bytes(broken)
            assert (ack,) == reading.facts(T0).acks, broken
        assert (ack,) == reading.facts(T0).acks
        file.write_bytes(whole)
        assert (ack,) == reading.facts(T0).acks
        file.unlink()
        assert DeskFacts() == reading.facts(T0)
    lines = [one.getMessage() for one in caplog.records if one.name.endswith("desk_reading")]
    assert 3 == len([one for one in lines if "the last of it counts" in one])
    assert "the desk can be read again" == lines[-1]


@pytest.mark.sqlite
def test_a_desk_that_is_being_made_is_no_problem(
    tmp_path: Path, in_file: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Between its making and its opening to the collector one look may fall."""
    posting.post(in_file, Store(path=tmp_path / "titik.db"), T0)
    file = posting.file_of(tmp_path / "titik.db")
    whole = file.read_bytes()
    caplog.set_level(logging.INFO, "titik_collector.desk")
    with closing(DeskReading(Store(path=tmp_path / "titik.db"), ZONE)) as reading:
        for _ in range(2):
            file.write_bytes(b"{")
            reading.facts(T0)
            file.write_bytes(whole)
            reading.facts(T0)
    assert [] == caplog.messages


def test_a_desk_that_cannot_post_is_logged(
    tmp_path: Path, in_file: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """What was entered is kept."""
    folder = desk_opening.folder_of(tmp_path / "titik.db")
    acks.acknowledge(in_file, 7, "", BUDI)
    (folder / f".{posting.FILE}.new").mkdir()
    posting.post(in_file, Store(path=tmp_path / "titik.db"), T0)
    assert "the collector does not see the newest" in caplog.messages[0]


def test_the_page_posts_when_it_starts(tmp_path: Path, in_file: Database) -> None:
    """Nobody did, if it was killed after a commit; a backup that was brought back posts nothing."""
    now_ms = round(time.time() * 1000)
    ack = acks.acknowledge(in_file, 7, "", BUDI._replace(now_ms=now_ms))
    config = tmp_path / "titik.toml"
    config.write_text(TEXT)
    page = Desk(model.load(config))
    page.begin()
    page.close()
    with closing(DeskReading(Store(path=tmp_path / "titik.db"), ZONE)) as reading:
        assert (ack,) == reading.facts(now_ms).acks
