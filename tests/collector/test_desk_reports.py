"""Frozen reports at the desk, on both engines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.desks import ENGINES, desk_place
from titik_collector.config.store_table import Store
from titik_collector.store import desk_opening, desk_reports
from titik_collector.store.database import Database
from titik_collector.store.desk_reports import FrozenReport


@pytest.fixture(params=ENGINES)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A city without a desk."""
    yield from desk_place(request, tmp_path)


@pytest.fixture
def desk(where: Store) -> Iterator[Database]:
    """Its desk."""
    with desk_opening.opened(where) as db:
        yield db


def test_the_newest_revision_is_read_and_the_first_one_stays(desk: Database) -> None:
    """What was handed out can be found again, and the same revision is added once."""
    first = FrozenReport("2026-11", "city", "", 1, 5, b"\x00one")
    second, place = first._replace(revision=2, body=b"two"), first._replace(kind="site", name="s1")
    assert (0, None) == (
        desk_reports.revision(desk, "2026-11"), desk_reports.newest(desk, "2026-11", "city", ""),
    )  # fmt: skip
    with desk.transaction():
        for one in (first, place, second, first._replace(body=b"other")):
            desk_reports.add(desk, one)
    assert second == desk_reports.newest(desk, "2026-11", "city", "")
    assert place == desk_reports.newest(desk, "2026-11", "site", "s1")
    assert (2, frozenset({"2026-11"})) == (
        desk_reports.revision(desk, "2026-11"),
        desk_reports.frozen(desk),
    )
    assert [(b"\x00one",), (b"two",)] == [
        (bytes(body),)
        for (body,) in desk.execute(
            "SELECT body FROM frozen_report WHERE kind = 'city' ORDER BY revision"
        )
    ]


def test_a_period_whose_city_is_missing_is_not_frozen(desk: Database) -> None:
    """A machine that stopped halfway freezes it again."""
    with desk.transaction():
        desk_reports.add(desk, FrozenReport("2026-11", "site", "s1", 1, 5, b"x"))
    assert (0, frozenset()) == (desk_reports.revision(desk, "2026-11"), desk_reports.frozen(desk))
