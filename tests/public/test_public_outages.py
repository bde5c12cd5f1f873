"""When a place was away, as anybody may see it."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.collector import past_rows
from tests.web import cities
from tests.web.cities import City
from titik_collector.figures.stretches import without
from titik_collector.figures.windows import Span
from titik_collector.public import public_outages
from titik_collector.public.public_outages import OutageSums, PublicOutage
from titik_collector.queries import history
from titik_collector.store import outages, registry_rows, revocations, subject_names
from titik_collector.store.outages import Outage
from titik_wire.instant import DAY_MS, HOUR_MS

MAKASSAR = ZoneInfo("Asia/Makassar")
SITE = "taman-tirosa"
ONE = 'name = "tirosa-1"\nsite = "taman-tirosa"\n'
SINCE = "since = 2024-01-01\n"
OTHER = f'\n[[router]]\nname = "tirosa-2"\nsite = "{SITE}"\n{SINCE}'
DEAD = f'\n[[router]]\nname = "tirosa-3"\nsite = "{SITE}"\n{SINCE}'
NOW_MS = round(datetime(2024, 2, 10, 15, tzinfo=MAKASSAR).timestamp() * 1000)  # a Saturday
TODAY_MS = NOW_MS - 15 * HOUR_MS


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    """Kupang, where Taman Tirosa has two routers for a month, and one that nobody heard yet."""
    text = cities.KUPANG.read_text().replace(ONE, ONE + SINCE) + OTHER + DEAD
    with cities.city(tmp_path, text) as made:
        for router in ("tirosa-1", "tirosa-2"):
            heard(made, router, TODAY_MS - 30 * DAY_MS)
        yield made


def heard(city: City, router: str, at_ms: int) -> None:
    """Samples of an hour."""
    of = history.find(city.db, f"router/{router}", city.config.city.name)
    past_rows.put(city.db, of, "1h", at_ms, covered_ms=HOUR_MS)


def away(city: City, router: str, start: float, end: float | None, cause: str = "unknown") -> None:
    """From and to an hour of this day; before it they are negative."""
    router_id = registry_rows.routers(city.db)[router].id
    start_ms = TODAY_MS + round(start * HOUR_MS)
    if end is None:
        outages.begin(city.db, router_id, start_ms)
    else:
        outages.add(city.db, router_id, start_ms, TODAY_MS + round(end * HOUR_MS), cause)


def both_away(city: City, start: float, end: float | None, cause: str = "unknown") -> None:
    """All of the place."""
    for router in ("tirosa-1", "tirosa-2"):
        away(city, router, start, end, cause)


def found(city: City, hours: str | None = None) -> tuple[PublicOutage, ...]:
    """Of Taman Tirosa, with these opening hours."""
    site = next(number for number, name, _ in subject_names.sites(city.db) if name == SITE)
    return public_outages.read(city.db, {site: hours}, MAKASSAR, NOW_MS)[site]


def at(*hours: float) -> Span:
    """From and to an hour of this day."""
    start, end = (TODAY_MS + round(one * HOUR_MS) for one in hours)
    return Span(start, end)


def test_a_place_is_away_while_all_of_its_routers_are(city: City) -> None:
    """One that is left serves its visitors; a cause is named where all have the same."""
    away(city, "tirosa-1", 5, 8, "power cut")
    away(city, "tirosa-2", 6, 9, "power cut")
    away(city, "tirosa-1", 1, 4, "uplink lost")
    away(city, "tirosa-2", 3, 5, "reboot")
    assert (PublicOutage((at(6, 8),), "power cut"), PublicOutage((at(3, 4),), None)) == found(city)


def test_a_router_counts_from_when_it_was_heard(city: City) -> None:
    """One that is registered before somebody installs it keeps no place online."""
    both_away(city, 5, 8)
    assert [(at(5, 8),)] == [one.spans for one in found(city)]
    heard(city, "tirosa-3", TODAY_MS + 7 * HOUR_MS)
    assert [(at(5, 7),)] == [one.spans for one in found(city)]


def test_a_router_without_access_does_not_count(city: City) -> None:
    """Nothing is known of it, so it keeps no place online."""
    revoked = registry_rows.routers(city.db)["tirosa-2"].id
    revocations.begin(city.db, revoked, TODAY_MS + 4 * HOUR_MS)
    revocations.end(city.db, revoked, TODAY_MS + 7 * HOUR_MS)
    away(city, "tirosa-1", 5, 8)
    assert [(at(5, 7),)] == [one.spans for one in found(city)]


def test_an_agent_that_stopped_is_no_outage_of_the_place(city: City) -> None:
    """Its Wi-Fi may have gone on."""
    both_away(city, 5, 8, "agent crash")
    away(city, "tirosa-1", 9, 10, "power cut")
    away(city, "tirosa-2", 9, 10, "agent restart")
    assert () == found(city)


def test_a_cause_that_is_not_for_everybody_is_left_out(city: City) -> None:
    """It passes the function that all figures pass, which has a short list."""
    both_away(city, 5, 8, "unknown")
    assert [None] == [one.cause for one in found(city)]


def test_a_place_that_is_closed_is_not_away(city: City) -> None:
    """What is before, between and after counts, as one outage."""
    both_away(city, -2.5, 8.5)
    both_away(city, -24, -20)
    hours = "Mo-Su 08:00-22:00; Th 08:00-02:00"  # today is Saturday
    assert [(at(-2.5, -2), at(8, 8.5)), (at(-24, -22),)] == [
        one.spans for one in found(city, hours)
    ]
    assert () == found(city, "Mo-Su 16:00-17:00")


def test_an_outage_that_goes_on_counts_until_the_page_was_made(city: City) -> None:
    """It has no end, so the page of the place stays as it is."""
    both_away(city, 14, None)
    (one,) = found(city)
    assert one.goes_on
    assert OutageSums(1, HOUR_MS) == public_outages.how_often([one], TODAY_MS, NOW_MS)


def test_a_day_counts_what_lies_in_it(city: City) -> None:
    """An outage over midnight is one of both days; one of last month is not read."""
    both_away(city, -3, 1)
    both_away(city, -12, -10)
    both_away(city, -9 * 24, -8 * 24)
    known = found(city)
    yesterday = public_outages.how_often(known, TODAY_MS - DAY_MS, TODAY_MS)
    assert OutageSums(2, 5 * HOUR_MS) == yesterday
    assert OutageSums(1, HOUR_MS) == public_outages.how_often(known, TODAY_MS, NOW_MS)
    assert 2 == len(known)


def test_many_outages_of_a_place_cost_what_each_costs(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An uplink that comes and goes makes thousands; none is compared with all others."""
    spans: list[Outage] = []
    span_of = public_outages._span

    def counted(one: Outage) -> Span:
        spans.append(one)
        return span_of(one)

    monkeypatch.setattr(public_outages, "_span", counted)
    with city.db.transaction():
        for number in range(100):
            both_away(city, number / 10, number / 10 + 0.05, "power cut")
    assert ["power cut"] * 100 == [one.cause for one in found(city)]
    assert len(spans) <= 4 * 100


def test_of_many_outages_the_newest_and_the_longest_are_named() -> None:
    """In order of time; a few are named all."""
    lengths = (1, 2, 1, 1, 1, 2, 9, 1)
    known = [PublicOutage((at(-10 * n, -10 * n + one),), None) for n, one in enumerate(lengths)]
    assert [*known[:4], known[6]] == list(public_outages.to_name(known, NOW_MS))
    assert known[:3] == list(public_outages.to_name(known[:3], NOW_MS))
    assert known[2:7] == list(public_outages.to_name(known[2:], NOW_MS))
    assert () == public_outages.to_name((), NOW_MS)


def test_stretches_without_others() -> None:
    """What is left may be in pieces, or nothing."""
    others = [Span(0, 2), Span(4, 5), Span(9, 12)]
    assert [Span(2, 4), Span(5, 9)] == without([Span(1, 10)], others)
    assert [Span(2, 3), Span(6, 7)] == without([Span(0, 3), Span(6, 7), Span(9, 10)], others)
    assert [] == without([Span(4, 5)], others)
