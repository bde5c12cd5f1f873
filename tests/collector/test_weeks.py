"""The weeks that a demo's city did not live: what the world gave, and that it is the same again."""

from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.web import cities
from titik_collector.config.site_tables import Site
from titik_collector.figures.windows import Calendar, Span
from titik_collector.ingest import plausible
from titik_collector.simulation.delivery import Delivery
from titik_collector.simulation.weeks import Away, Weeks, outages
from titik_collector.simulation.world import Day, day_of, expected_clients
from titik_collector.store import simulated
from titik_wire import codec, topics
from titik_wire.instant import DAY_MS, HOUR_MS
from titik_wire.messages import Sample

ZONE = ZoneInfo("Asia/Makassar")
END = 1_795_872_025_000  # 2026-11-28, a Saturday
DAYS = 8
SPAN = Span(Calendar(ZONE).day(END).start_ms - DAYS * DAY_MS, END)
SITE = Site(name="kantor-camat-kelapa-lima", title="Kantor", capacity=80, uplink_mbps=30.0)
CUT = Away("kelapa-lima-1", END - 3 * DAY_MS, END - 3 * DAY_MS + 2 * HOUR_MS, "power cut")
LOST = Away("kelapa-lima-1", END - 2 * DAY_MS, END - 2 * DAY_MS + 2 * HOUR_MS, "uplink lost")


def weeks() -> Weeks:
    """Of one router, that lost its power once and its uplink once."""
    return Weeks("kelapa-lima-1", SITE, ZONE, SPAN, (CUT, LOST))


def taken(of: Weeks) -> list[Sample]:
    """In order of time."""
    return [sample for piece in of.pieces for sample in of.samples(piece)]


def test_the_same_weeks_are_the_same_samples() -> None:
    """So what is published again is a duplicate, whatever order the days come in."""
    again = weeks()
    backwards = [[*again.samples(piece)] for piece in reversed(again.pieces)]
    assert taken(weeks()) == [sample for piece in reversed(backwards) for sample in piece]


def test_every_simulated_sample_keeps_the_contract() -> None:
    """As a router's own: it can be encoded, read again and believed."""
    for sample in taken(weeks()):
        assert sample == codec.decode(topics.backlog(sample.router), codec.encode(sample))
        assert plausible.doubt(sample) is None


def test_a_run_is_a_day_and_a_boot_ends_with_the_power() -> None:
    """The lost uplink ends neither."""
    pieces = weeks().pieces
    assert len({piece.run for piece in pieces}) == len(pieces) == DAYS + 2
    assert 2 == len({piece.boot for piece in pieces})
    holes = [(a.span.end_ms, b.span.start_ms) for a, b in pairwise(pieces) if a[3][1] != b[3][0]]
    assert [(CUT.from_ms, CUT.to_ms)] == holes


def test_counters_only_grow_within_a_boot() -> None:
    """From one day to the next as well, so no byte between them is unknown."""
    for a, b in pairwise(taken(weeks())):
        assert a.bss is not None
        assert b.bss is not None
        if a.boot == b.boot:
            assert (a.bss[0].tx_bytes or 0) <= (b.bss[0].tx_bytes or 0)
            assert a.uptime_ms < b.uptime_ms


def test_nothing_flows_while_the_uplink_is_lost() -> None:
    """Samples go on: a router keeps them until it reaches the collector again."""
    in_it = [one for one in taken(weeks()) if LOST.from_ms + HOUR_MS < one.taken_at < LOST.to_ms]
    assert len(in_it) > 4
    assert 1 == len({one.net[0].rx_bytes for one in in_it if one.net})
    assert {False} == {one.net[0].up for one in in_it if one.net}


def test_an_office_is_empty_at_the_weekend() -> None:
    """A workday at eleven has a multiple of a Sunday's clients."""
    weekend, workday = day_of(Calendar(ZONE)._local(END).date()), Day()
    assert (True, False) == (weekend.is_weekend, workday.is_weekend)
    office = [expected_clients(SITE.name, 80, 11 * 60, day) for day in (weekend, workday)]
    assert office[0] * 5 < office[1]


def test_a_few_routers_were_away_and_each_of_them_once_at_a_time() -> None:
    """In five weeks there are power cuts, one of several places at once, and lost uplinks."""
    names = [f"router-{number}" for number in range(10)]
    found = outages(Span(END - 35 * DAY_MS, END), names)
    assert {"power cut", "uplink lost", "reboot"} == {one.cause for one in found}
    by_router = sorted(found, key=lambda one: (one.router, one.from_ms))
    assert not [(a, b) for a, b in pairwise(by_router) if a[0] == b[0] and a.to_ms > b.from_ms]
    assert found == outages(Span(END - 35 * DAY_MS, END), names)


def test_the_newest_day_is_delivered_first(tmp_path: Path) -> None:
    """Who opens a demo looks at yesterday before the days of five weeks ago."""
    with cities.city(tmp_path) as city:
        with city.db.transaction():
            simulated.keep(city.db, SPAN)
        delivery = Delivery(city.config, [])
        delivery._plan(city.db)
    days = [one.start_ms for one in delivery._days]
    assert DAYS + 1 == len(days)
    assert sorted(days, reverse=True) == days
