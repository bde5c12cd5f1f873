"""Receivers that nothing reaches, as the server warns of them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.collector.test_config import LEAST
from tests.not_root import nobody
from tests.postgres import Postgres
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.queries import failing_receivers
from titik_collector.store import delivery_rows, notify_opening
from titik_collector.store.delivery_rows import DeliveryRow, Outcome

NOW_MS = 10_000 * 60_000
IT = '[[receiver]]\nname = "it"\ntype = "webhook"\nurl = "http://127.0.0.1:1/"\n'


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.system)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Config]:
    """A city with one receiver, on each engine."""
    made = model.parse((LEAST + IT).encode(), tmp_path / "titik.toml")
    if request.param == "sqlite":
        yield made
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.schema() as name:
        yield replace(made, store=replace(made.store, path=None, url=server.url, schema=name))
    server.drop(f"{name}-notify")


def tried(settings: Config, *outcomes: tuple[int, Outcome], receiver: str = "it") -> None:
    """Minutes ago, and what became of it; the oldest first."""
    rows = [
        DeliveryRow("store", n, 1, None, receiver, NOW_MS - ago * 60_000, outcome)
        for n, (ago, outcome) in enumerate(outcomes)
    ]
    with notify_opening.opened(settings.page_store) as db, db.transaction():
        delivery_rows.add(db, rows)


@pytest.mark.parametrize(
    ("outcomes", "length"),
    [
        ([(20, "delivered")], None),
        ([(40, "failed"), (20, "delivered"), (16, "failed"), (15, "failed")], None),
        ([(14, "failed"), (13, "failed"), (12, "failed")], None),
        ([(40, "delivered"), (16, "failed"), (15, "failed"), (1, "failed")], "16 min"),
        ([(40, "failed"), (39, "failed"), (38, "failed"), (1, "delivered")], None),
        ([(40, "delivered"), (3, "refused"), (3, "ended")], "3 min"),
        ([(4000, "failed"), (3000, "failed"), (1440, "failed"), (1000, "ended")], "2 d 18 h"),
        ([(4000, "failed"), (3000, "failed"), (1441, "failed"), (1000, "ended")], None),
        ([(1440, "refused")], "1 d 00 h"),
        ([(1441, "refused")], None),
        ([(1441, "refused"), (1, "failed")], None),
    ],
)
def test_a_receiver_that_nothing_reaches_is_named_with_the_remedy(
    settings: Config, outcomes: list[tuple[int, Outcome]], length: str | None
) -> None:
    """As long as nothing arrives, not for a moment's failure, and to a day after the last."""
    tried(settings, *outcomes)
    remedy = "as root: titik notify test it"
    expected = [f"messages to it have not arrived for {length}; {remedy}"] if length else []
    assert expected == [str(one.text) for one in failing_receivers.warned(settings, NOW_MS)]


def test_a_receiver_that_is_taken_away_is_not_named(settings: Config) -> None:
    """Nobody waits for it."""
    tried(settings, (3, "refused"), receiver="old")
    assert () == failing_receivers.warned(settings, NOW_MS)


def test_who_may_not_look_hears_nothing(tmp_path: Path) -> None:
    """And where nothing was sent there is nothing."""
    made = model.parse((LEAST + IT).encode(), tmp_path / "titik.toml")
    assert () == failing_receivers.warned(made, NOW_MS)
    tried(made, (3, "refused"))
    assert made.store.path is not None
    notify_opening.folder_of(made.store.path).chmod(0o700)
    with nobody():
        assert () == failing_receivers.warned(made, NOW_MS)
