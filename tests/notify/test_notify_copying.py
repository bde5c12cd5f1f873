"""What `titik notify` keeps, on its way from one engine to the other."""

from pathlib import Path

import pytest

from tests.notify.messages import DOWN, NOON_MS
from tests.postgres import Postgres
from titik_collector.config.store_table import Store
from titik_collector.notify.ledger import Ledger
from titik_collector.store import delivery_rows, notify_copying, notify_opening
from titik_collector.store.delivery_rows import DeliveryRow
from titik_collector.store.opening import Where

ROW = DeliveryRow("store", 1, NOON_MS, 3, "it", NOON_MS, "delivered")


def filled(where: Where) -> None:
    """A try, a message of the notifier's own, and the place that it served."""
    ledger = Ledger(where, NOON_MS)
    ledger.add([ROW])
    ledger.say(DOWN, ["it"], NOON_MS)
    ledger.serve("here")
    ledger.close(NOON_MS)


def copied(source: Where, target: Where) -> bool:
    """Whether it was brought there."""
    with notify_opening.opened(source) as old, notify_opening.opened(target) as new:
        return notify_copying.copy(old, new)


@pytest.mark.system
@pytest.mark.parametrize("is_to_server", [True, False])
def test_it_is_the_same_on_each_engine(
    tmp_path: Path, postgres: Postgres, is_to_server: bool
) -> None:
    """It goes on there with numbers of its own; what is there already is newer, and stays.

    The place that was served is not taken along, so old messages expire whatever the new one is.
    """
    with postgres.schema() as name:
        file, server = (
            Store(path=tmp_path / "a.db"),
            Store(path=None, url=postgres.url, schema=name),
        )
        source, target = (file, server) if is_to_server else (server, file)
        filled(source)
        assert [True, True] == [copied(source, target) for _ in range(2)]  # as one that goes on
        ledger = Ledger(target, NOON_MS)
        assert ([ROW], ["it"], None) == (
            ledger.deliveries,
            [one.receiver for one in ledger.own],
            ledger.served,
        )
        ledger.add([ROW._replace(message=2)])
        ledger.close(NOON_MS)
        assert copied(source, target)
        with notify_opening.opened(source) as old, old.transaction():
            delivery_rows.add(old, [ROW._replace(message=3)])
        assert not copied(source, target)
        again = Ledger(target, NOON_MS)
        assert [1, 2] == [one.message for one in again.deliveries]
        again.close(NOON_MS)
        postgres.drop(f"{name}-notify")
