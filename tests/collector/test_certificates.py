"""The job that wishes certificates and authorities of routers, in a city of some hundreds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.build import RUN, T0, opened
from titik_collector.enrolment import handover
from titik_collector.enrolment.handover import Handout, Handover, Voucher
from titik_collector.files.replace import OURS
from titik_collector.store import registry_rows, wishes
from titik_collector.store.sqlite import SqliteDatabase
from titik_collector.wishes.certificates import AT_ONCE, Certificates
from titik_wire.fleet_messages import Running, Trust

OLD, NEW = "a" * 64, "b" * 64
COUNT = AT_ONCE + 50
NAMES = [f"r{number:03}" for number in range(COUNT)]


class HandedOver:
    """A broker's folder that has something for each router, and the job that looks at it."""

    def __init__(self, db: SqliteDatabase, folder: Path) -> None:
        self.db, self.folder = db, folder
        (folder / "tls").mkdir()
        self.ids = {name: one.id for name, one in registry_rows.routers(db).items()}
        self.write(NAMES)
        self.changed: list[int] = []
        self.job = Certificates(db, lambda: folder, self.changed.extend, lambda: T0)

    def write(self, names: list[str]) -> None:
        """What routers of these names are to get."""
        vouchers = (Voucher(OLD, "AAAA", "AAAA"),)
        handouts = {name: Handout(name, None, None) for name in names}
        made = Handover(1, ("AAAA", "AAAA"), (OLD, NEW), vouchers, handouts)
        handover.write(self.folder, made, OURS)

    def hear(self, *names: str) -> None:
        """They trust both now."""
        for name in names:
            report = Running(name, RUN, "0.2.0", trust=Trust((OLD, NEW)))
            with self.db.transaction():
                wishes.hear(self.db, self.ids[name], report, T0)
        self.job.heard(self.ids[name] for name in names)

    def wished(self) -> list[str]:
        """The routers that are wished something."""
        return [one.router for one in wishes.all_of(self.db, "certificate") if one.body]


@pytest.fixture
def city(tmp_path: Path) -> Iterator[HandedOver]:
    """Nothing is wished yet."""
    with opened(tmp_path / "titik.db", NAMES) as db:
        yield HandedOver(db, tmp_path)


def test_a_step_is_bounded_and_the_rest_follows(city: HandedOver) -> None:
    """Samples come in between."""
    assert city.job.step(0)
    assert NAMES[:AT_ONCE] == city.wished()
    assert not city.job.step(0)
    assert city.wished() == NAMES
    assert len(city.changed) == COUNT


def test_who_reports_costs_a_look_at_itself_alone(city: HandedOver) -> None:
    """However large the city is."""
    while city.job.step(0):
        pass
    city.hear("r001", "r007")
    statements: list[str] = []
    city.db.raw.set_trace_callback(statements.append)
    city.job.step(0)
    city.db.raw.set_trace_callback(None)
    assert len(statements) < 10
    assert set(NAMES) - set(city.wished()) == {"r001", "r007"}


def test_the_folder_counts_whenever_it_changes(city: HandedOver) -> None:
    """What was wished, and is there no longer, is withdrawn."""
    while city.job.step(0):
        pass
    city.write(NAMES[:3])
    while city.job.step(0):
        pass
    assert city.wished() == NAMES[:3]
