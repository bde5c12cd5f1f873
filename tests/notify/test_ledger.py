"""What was tried, in memory and beside the store."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.notify.messages import DOWN, NOON_MS
from titik_collector.config.store_table import Store
from titik_collector.notify.ledger import Ledger
from titik_collector.store import delivery_rows, notify_opening
from titik_collector.store.delivery_rows import DeliveryRow

ROW = DeliveryRow("store", 1, NOON_MS, 3, "it", NOON_MS, "delivered")


@pytest.fixture
def where(tmp_path: Path) -> Store:
    """A city's store."""
    return Store(path=tmp_path / "titik.db")


def kept(where: Store) -> list[DeliveryRow]:
    """What a next start would read."""
    with notify_opening.opened(where) as db:
        return delivery_rows.since(db, 0)


@pytest.mark.thorough
def test_what_cannot_be_written_counts_and_is_written_later(
    where: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a disk that is full: nothing is sent twice, and nothing is forgotten."""
    ledger = Ledger(where, NOON_MS)
    file = notify_opening.folder_of(where.path or Path()) / notify_opening.FILE
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ledger.add([ROW])
        ledger.say(DOWN, ["it", "head"], NOON_MS)
        for _ in range(2):
            ledger.save(NOON_MS)
        assert ([ROW], 2) == (ledger.deliveries, len(ledger.messages(NOON_MS)))
        other.execute("ROLLBACK")
    assert [] == kept(where)
    ledger.save(NOON_MS)
    assert [ROW] == kept(where)
    ledger.close(NOON_MS)
    assert 1 == sum("cannot be written" in one.getMessage() for one in caplog.records)
    again = Ledger(where, NOON_MS)
    assert ([ROW], ["it", "head"]) == (again.deliveries, [one.receiver for one in again.own])
    again.close(NOON_MS)


def test_messages_of_our_own_have_numbers_that_differ(where: Store) -> None:
    """However fast they follow each other, and after a restart too."""
    for _ in range(2):
        ledger = Ledger(where, NOON_MS)
        ledger.say(DOWN, ["it", "head"], NOON_MS)
        ledger.say(DOWN, ["it", "head"], NOON_MS)
        ledger.close(NOON_MS)
    again = Ledger(where, NOON_MS)
    numbers = [one.number for one in again.own]
    assert (8, sorted(numbers)) == (len(set(numbers)), numbers)  # type: ignore[type-var]
    again.close(NOON_MS)


def test_what_is_old_is_forgotten_in_memory(where: Store) -> None:
    """Beside the store it stays for ninety days."""
    ledger = Ledger(where, NOON_MS)
    ledger.add([ROW])
    ledger.save(NOON_MS)
    later_ms = NOON_MS + 27 * 3_600_000
    ledger.save(later_ms)
    assert ([], [ROW]) == (ledger.deliveries, kept(where))
    ledger.save(later_ms + 90 * 86_400_000)
    assert [] == kept(where)
    ledger.close(later_ms)
