"""The demo's past, by a real broker, collector and fleet: it comes out as the world gave it."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.ports import free_ports
from titik_collector.broker_setup import broker_init
from titik_collector.broker_setup.broker_init import Request
from titik_collector.config.model import EXAMPLE
from titik_collector.figures.windows import Calendar, Span
from titik_collector.queries import events, export, history
from titik_collector.simulation.delivery import Delivery
from titik_collector.simulation.demo import HERE, Demo, now_ms
from titik_collector.simulation.fleet import Plan, WorldTime, build
from titik_collector.simulation.weeks import Away, Weeks
from titik_collector.store import conservation, opening, outages, simulated
from titik_collector.store.database import Database, StoreError
from titik_wire.city_messages import Rollup
from titik_wire.instant import HOUR_MS

pytestmark = [pytest.mark.system, pytest.mark.thorough]

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240.0
WORLD = WorldTime(ZoneInfo("Asia/Makassar"), 1.0)
DAYS = 1  # and the day that goes on


@contextmanager
def running(directory: Path) -> Iterator[Demo]:
    """A demo's processes, ended as it ends them."""
    router, engineer, collector, page = free_ports(4)  # another demo may want the usual ones now
    first = Demo(directory, ROOT / EXAMPLE, past_days=DAYS)
    broker_init.init(
        first.broker.path,
        Request(router_port=router, engineer_port=engineer, collector_port=collector),
    )
    file = directory / "titik.toml"
    file.write_text(
        file.read_text().replace(f"port = {first.config.web.port}\n", f"port = {page}\n")
    )
    demo = Demo(directory, ROOT / EXAMPLE, past_days=DAYS)
    try:
        demo.start()
        yield demo
    finally:
        demo.stop()


def until(demo: Demo, holds: Callable[[Database], bool]) -> None:
    """Wait for it in the store, and not for ever."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert [] == demo.dead()
        try:
            with opening.reading(demo.config.store) as db:
                if holds(db):
                    return
        except StoreError:  # not made yet
            pass
        time.sleep(0.2)
    raise AssertionError("not in time")


def span_of(db: Database) -> Span:
    """What is simulated."""
    span = simulated.span(db)
    assert span is not None
    return span


def weeks_of(demo: Demo, db: Database) -> list[Weeks]:
    """What the world gave each simulated router."""
    span = span_of(db)
    sites = {site.name: site for site in demo.config.site}
    found = []
    for router in demo.config.router:
        away = [
            Away(one.router, one.from_ms, one.to_ms or 0, one.cause)
            for one in outages.since(db, span.start_ms, 99)
            if one.router == router.name and one.from_ms < span.end_ms
        ]
        zone = demo.config.city.timezone
        found.append(Weeks(router.name, sites[router.site], zone, span, away))
    return [one for one in found if one.router != HERE]


def hours_of(demo: Demo, db: Database, name: str) -> list[Rollup]:
    """Of one subject, without the first one and what goes on."""
    span, city = span_of(db), demo.config.city
    subject = history.find(db, name, city.name)
    whole = Span(span.start_ms + HOUR_MS, span.end_ms // HOUR_MS * HOUR_MS)
    points = history.read(db, subject, "1h", whole, Calendar(city.timezone))
    return [rollup for point in points if (rollup := point.rollup()) is not None]


def is_there(demo: Demo, db: Database) -> bool:
    """Every sample of the past is stored, and then every rollup of it is computed."""
    if simulated.span(db) is None:
        return False
    known = books(db)
    pieces = [piece for its in weeks_of(demo, db) for piece in its.pieces]
    if not all(known.get(one.run, (0, 0))[1] == one.seqs for one in pieces):
        return False
    names = ["city", *(site.name for site in demo.config.site)]
    end_ms = span_of(db).end_ms // HOUR_MS * HOUR_MS
    subjects = [history.find(db, one, demo.config.city.name) for one in names]
    return all(history.pending(db, one, end_ms)[0].start_ms >= end_ms - HOUR_MS for one in subjects)


def given_by(weeks: Weeks) -> dict[int, tuple[int, int]]:
    """Clients times milliseconds, and bytes to visitors, of each hour."""
    found: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    down = 0
    for piece in weeks.pieces:
        client_ms = 0
        for sample in weeks.samples(piece):
            assert sample.client_ms is not None
            assert sample.bss is not None
            hour = (sample.taken_at - 1) // HOUR_MS * HOUR_MS
            to_visitors = sample.bss[0].tx_bytes or 0
            found[hour] = (
                found[hour][0] + sample.client_ms - client_ms,
                found[hour][1] + to_visitors - down,
            )
            client_ms, down = sample.client_ms, to_visitors
    return found


def books(db: Database) -> dict[str, tuple[int, ...]]:
    """Taken, stored, refused, lost and in spool of each run."""
    rows = db.execute("SELECT run, taken, stored, refused, lost, in_spool FROM v_conservation")
    return {row[0]: tuple(row[1:]) for row in rows}


def page(demo: Demo) -> str:
    """What somebody reads who opens the address that the demo shows."""
    return httpx.get(demo.page, timeout=60).raise_for_status().text


def online(db: Database) -> int:
    """How many routers are there now."""
    rows = db.execute("SELECT count(*) FROM presence WHERE state = 'online'").fetchone()
    return int(rows[0])


def test_the_past_of_a_demo_is_the_simulated_one(tmp_path: Path) -> None:
    """Hours as the world gave them, while the present goes on; a second run repeats nothing."""
    with running(tmp_path) as demo:
        until(demo, lambda db: is_there(demo, db))
        with opening.reading(demo.config.store) as db:
            assert 11 == online(db)
            assert "Taman Nostalgia" in page(demo)
            weeks = weeks_of(demo, db)
            for its in weeks:
                given = given_by(its)
                hours = hours_of(demo, db, its.router)
                assert len(hours) >= DAYS * 24 - 1
                for one in hours:
                    client_ms, down = given[one.window_start]
                    assert one.coverage_ratio == 1.0
                    assert one.clients_mean == pytest.approx(client_ms / HOUR_MS, abs=0.01)
                    assert one.wifi_down_bytes == down
    with opening.reading(demo.config.store) as db:
        assert [] == conservation.findings(db)
        before = books(db)
    runs = {piece.run: piece.seqs for its in weeks for piece in its.pieces}
    assert {run: (seqs, seqs, 0, 0, 0) for run, seqs in runs.items()} == {
        run: before[run] for run in runs
    }
    nodes = build(
        [Plan(its.router, its.site.name, 9, None) for its in weeks], "", 0, 1.0, WORLD, 1, 1
    )
    again = Delivery(demo.config, nodes.nodes)
    again.step()
    assert again.is_over
    assert not any(node.spool.held() for node in nodes.nodes)


def test_what_is_simulated_is_called_so(tmp_path: Path) -> None:
    """In events and exports, before a sample of it has come."""
    demo = Demo(tmp_path, ROOT / EXAMPLE, past_days=2)
    demo.make_past()
    with opening.reading(demo.config.store) as db:
        (event,) = [one for one in events.gather(db, 0, now_ms()) if one.kind == "outage"]
        assert ("kelapa-lima-1", "1 h 25 min, uplink lost (simulated)") == (event.name, event.text)
        assert export.SIMULATED in export.names(db)


def test_a_demo_without_a_past_is_as_any_city(tmp_path: Path) -> None:
    """`--no-past`: nothing is simulated, and samples are kept as long as elsewhere."""
    demo = Demo(tmp_path, ROOT / EXAMPLE)
    demo.make_past()
    assert not opening.exists(demo.config.store)
    assert demo.config.store.samples_days is None


def test_a_demo_that_was_begun_without_a_past_reports_that_none_comes(tmp_path: Path) -> None:
    """Its store is there already; one that has a past lacks none."""
    demo = Demo(tmp_path / "new", ROOT / EXAMPLE, past_days=2)
    assert not demo.lacks_past()
    demo.make_past()
    assert not demo.lacks_past()
    begun = Demo(tmp_path / "begun", ROOT / EXAMPLE)
    with opening.writing(begun.config.store):
        assert not begun.lacks_past()  # and wants none
    assert Demo(tmp_path / "begun", ROOT / EXAMPLE, past_days=2).lacks_past()
