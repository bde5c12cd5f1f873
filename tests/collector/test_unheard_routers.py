"""An upgrade of a city that is still being built: some of its routers were never heard."""

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.collector.alert_city import AlertCity, places
from tests.collector.build import BOOT, RUN, T0, opened
from titik_collector.alerts.desk_facts import DeskFacts, RolloutOrder
from titik_collector.broker_link.connection import Link
from titik_collector.live.presence import DOUBT_MS
from titik_collector.queries import rollout_status
from titik_collector.received import StatusReceived
from titik_collector.screens import rollout_screen
from titik_collector.store import rollout_rows, settings
from titik_collector.wishes.rollout_job import PATIENT
from titik_wire.instant import MINUTE_MS
from titik_wire.messages import Status

OLD, NEW = "0.1.0", "0.2.0"


class NewCity(AlertCity):
    """Four routers: one is the canary, two are the next wave."""

    connections = 0

    def start(self) -> None:
        """Its upgrades have the city's time too."""
        super().start()
        self.parts.rollout._now_ms = lambda: self.now_ms

    def comes(self, router: str, version: str = OLD) -> None:
        """It connects, running this version, and a sample follows."""
        self.connections += 1
        status = Status(router, "online", RUN, self.connections, BOOT, version)
        with self.db.transaction():
            self.parts.presence.record([(self.ids[router], StatusReceived(status, self.now_ms))])
        self.reports(router)

    def orders(self) -> None:
        """Somebody wants all of them to run the new version."""
        order = RolloutOrder(1, NEW, "city", "", 1, 50, "ani", self.now_ms)
        self.desk = DeskFacts(rollout=order)
        self.parts.rollout.step(0)

    def later(self, after_ms: int, *there: str) -> None:
        """The collector looks again after this time, in which these routers sent samples."""
        self.now_ms += after_ms
        for one in there:
            self.reports(one)
        with self.db.transaction():
            self.parts.presence.tick(self.now_ms, [*self.ids.values()], T0)
        self.parts.rollout.step(0)

    def asked(self) -> set[str]:
        """Who was asked by now."""
        names = {router_id: name for name, router_id in self.ids.items()}
        return {
            names[one.router_id]
            for one in rollout_rows.routers(self.db)
            if one.asked_ms is not None
        }

    def shown(self) -> str:
        """As `titik fleet` prints it."""
        found = rollout_status.look(self.db, "kupang")
        return "\n".join(rollout_screen.lines(found, ZoneInfo("Asia/Makassar")))


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewCity]:
    """Of its routers `p0-1` alone came by now."""
    monkeypatch.setattr(Link, "offers_wishes", True)
    with opened(tmp_path / "titik.db", ()) as db:
        made = NewCity(tmp_path, db, places(4))
        with db.transaction():
            settings.keep(db, "collected_ms", T0)
        made.comes("p0-1")
        yield made


def test_a_router_that_was_never_heard_holds_up_no_wave(city: NewCity) -> None:
    """It is away, and asked when it first comes; the upgrade is over before."""
    city.orders()
    city.comes("p2-1")
    city.later(MINUTE_MS)
    assert {"p0-1"} == city.asked()
    city.comes("p0-1", NEW)
    city.later(0)
    city.later(PATIENT.settle_ms, "p2-1")
    assert {"p0-1", "p2-1"} == city.asked()
    city.comes("p2-1", NEW)
    city.later(0)
    assert "  wave 1        1 of 2 run it, 1 away\n" in city.shown()
    assert "  the next wave may begin " in city.shown()
    assert "  p1-1: away; it is asked once it is online" in city.shown()
    city.later(PATIENT.settle_ms)
    assert "upgrade to 0.2.0 is over, but for routers that are away\n" in city.shown()
    city.comes("p3-1")
    city.later(MINUTE_MS)
    assert {"p0-1", "p2-1", "p3-1"} == city.asked()


@pytest.mark.parametrize("was_heard", [True, False])
def test_a_router_in_doubt_holds_up_its_wave(city: NewCity, was_heard: bool) -> None:
    """Whether it was heard or not: after a fault of the broker it has time to come back."""
    if was_heard:
        city.comes("p1-1")
        city.comes("p2-1")
    city.orders()
    city.comes("p0-1", NEW)
    city.later(0)
    city.later(MINUTE_MS, "p0-1")
    with city.db.transaction():
        city.parts.presence.doubt(city.now_ms - MINUTE_MS, city.now_ms, broker=True)
    city.comes("p0-1", NEW)
    city.comes("p3-1")
    assert PATIENT.settle_ms < MINUTE_MS + DOUBT_MS
    city.later(DOUBT_MS - 1, "p0-1", "p3-1")
    assert {"p0-1"} == city.asked()
    city.later(1, "p0-1", "p3-1")
    assert {"p0-1", "p3-1"} == city.asked()
