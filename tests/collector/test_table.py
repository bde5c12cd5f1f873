"""The table of figures is what the contract publishes and what the store keeps."""

from dataclasses import fields
from pathlib import Path

from tests.collector.build import opened
from titik_collector.figures.table import (
    ADDITIVE,
    COUNTERS,
    KINDS,
    WINDOW,
    Amount,
    Figures,
    Mean,
    PartOf,
)
from titik_collector.rollups.rollup_message import FIELDS
from titik_collector.store.sqlite import SqliteDatabase
from titik_wire.city_messages import Rollup

HEAD = ("scope", "name", "window", "window_start", "revision")  # which window a rollup is of


def columns(db: SqliteDatabase, table: str) -> dict[str, bool]:
    """The columns of a table, and whether each must be known."""
    return {row[1]: bool(row[3]) for row in db.execute(f"PRAGMA table_info({table})")}


def test_the_contract_has_the_fields_of_the_table() -> None:
    """The message declares them with their words, the table says what they are made of."""
    assert sorted(FIELDS) == sorted(one.name for one in fields(Rollup) if one.name not in HEAD)


def test_the_store_has_the_columns_of_the_table(tmp_path: Path) -> None:
    """A sum is always known, and any other figure may be absent."""
    named = {"scope", "scope_id", "length", "start_ms", "end_ms", "revision"}
    with opened(tmp_path / "db") as db:
        found = columns(db, "rollup")
        assert set(COUNTERS) <= columns(db, "sample").keys()
    assert {name: default is not None for name, default in Figures._field_defaults.items()} == {
        name: must for name, must in found.items() if name not in named
    }


def test_what_a_figure_is_made_of_is_in_the_table() -> None:
    """Each is a sum, or the window itself."""
    made_of = {WINDOW, *COUNTERS}
    for kind in KINDS.values():
        match kind:
            case Amount(known):
                made_of.add(known)
            case PartOf(_, whole):
                made_of.add(whole)
            case Mean(amount, known):
                made_of |= {amount, known}
    assert set() == made_of - {WINDOW, *ADDITIVE}
