"""Minutes, hours and days of routers, sites and the city, whatever arrives when."""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from tests.collector.build import (
    OLD_RUN,
    RUN,
    T0,
    Registered,
    opened,
    readings_of,
    rebuild,
    received,
    sample,
)
from tests.collector.history import Life, content, without_clock
from titik_collector.config.model import parse
from titik_collector.figures.figures import Minutes
from titik_collector.figures.rates import WIRE_BPS, steps
from titik_collector.figures.scope import CITY_ID, Scope
from titik_collector.figures.table import Figures
from titik_collector.figures.windows import Calendar, Span, Window
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.items import to_item
from titik_collector.received import Arrived
from titik_collector.registry.sync import sync
from titik_collector.rollups import rollup_message
from titik_collector.rollups.aggregation import (
    Membership,
    PartsAtOnce,
    plus,
    sums_of_means,
    with_sums_of_means,
)
from titik_collector.rollups.worker import GRACE_MS, Rollups
from titik_collector.store import retention, rollups
from titik_collector.store.database import StoreError
from titik_collector.store.rollup_sums import Part
from titik_collector.store.rollups import Series, WindowKey
from titik_collector.store.sqlite import SqliteDatabase
from titik_wire import codec, topics
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS
from titik_wire.messages import Past, Reach, Sample, Visitors

ZONE = ZoneInfo("Asia/Makassar")
ROUTERS = ("tirosa-1", "tirosa-2")
SITE, OTHER_SITE = 1, 2
START = T0 // HOUR_MS * HOUR_MS  # an hour of the zone too
FOR_EVER = Span(0, 2**60)


class Listening:
    """A connection that writes down the statements it is given."""

    def __init__(self, db: SqliteDatabase) -> None:
        self._db = db
        self.statements: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._db, name)
        if name not in ("execute", "executemany"):
            return found

        def heard(sql: str, *values: Any) -> Any:
            self.statements.add(sql)
            return found(sql, *values)

        return heard


class City:
    """A store with two routers at one site, and its rollups at an instant of the test's choice."""

    def __init__(self, db: SqliteDatabase) -> None:
        for number in (SITE, OTHER_SITE):
            db.execute(
                "INSERT INTO site VALUES (?, ?, 'S', NULL, NULL, NULL, NULL, 1)"
                " ON CONFLICT DO NOTHING",
                (number, f"s{number}"),
            )
        for number in (1, 2):
            db.execute(
                "INSERT INTO membership VALUES (?, 0, ?) ON CONFLICT DO NOTHING", (number, SITE)
            )
        self.db = db
        self.store = BatchWriter(db, Registered(*ROUTERS))
        self.now_ms = T0 + 30 * DAY_MS
        self.rollups = Rollups(db, ZONE, lambda: self.now_ms)

    def save(self, *samples: Sample, live: bool = True) -> None:
        """One batch, just taken."""
        self.store.save(
            [Arrived(one, codec.encode(one), live, _true_ms(one) + 300) for one in samples]
        )

    def roll(self) -> None:
        """All that is due."""
        while self.rollups.work(10, time.monotonic):
            pass

    def windows(self, scope: Scope, scope_id: int, window: Window) -> dict[int, Figures]:
        """Figures by start."""
        return {
            start_ms: row.figures
            for start_ms, row in rollups.read(
                self.db, Series(scope, scope_id, window), FOR_EVER
            ).items()
        }

    def only(self, scope: Scope, scope_id: int, window: Window) -> Figures:
        """Of the one window there is."""
        (figures,) = self.windows(scope, scope_id, window).values()
        return figures


@contextmanager
def city(path: Path) -> Iterator[City]:
    """A city in a new store."""
    with opened(path, ROUTERS) as db:
        yield City(db)


def _true_ms(one: Sample) -> int:
    return START + one.uptime_ms


def at(seq: int, first: int | None = None, /, **fields: object) -> Sample:
    """A sample every 30 s from START, with the traffic of `build.sample`."""
    when = {"uptime_ms": (seq - 1) * 30_000, "taken_at": START + (seq - 1) * 30_000}
    return replace(sample(seq, first), **{**when, **fields})  # type: ignore[arg-type]


def hour_of(router: str = ROUTERS[0], /, **fields: object) -> list[Sample]:
    """One hour, both ends included."""
    return [at(n, None, router=router, **fields) for n in range(1, 122)]


def test_at_the_end_minutes_that_are_over_are_computed_at_once(tmp_path: Path) -> None:
    """Without waiting for samples that may never come; one that does come changes them."""
    with city(tmp_path / "db") as here:
        here.save(at(1), at(2), at(3), at(4))
        here.now_ms = START + 2 * MINUTE_MS
        here.roll()
        before = list(here.windows("router", 1, "1m"))
        assert not here.rollups.finish(10, time.monotonic)
        early = here.windows("city", CITY_ID, "1m")
        here.save(at(5))
        here.now_ms += GRACE_MS
        here.roll()
        late = here.windows("city", CITY_ID, "1m")

    assert [START] == before
    assert [60_000, 30_000] == [early[START + n * MINUTE_MS].covered_ms for n in (0, 1)]
    assert [60_000, 60_000] == [late[START + n * MINUTE_MS].covered_ms for n in (0, 1)]


def test_a_minute_has_what_flowed_in_it(tmp_path: Path) -> None:
    """Two intervals of 1 MB and 3 clients."""
    with city(tmp_path / "db") as here:
        here.save(*hour_of())
        here.roll()
        assert (2_000_000, 200_000, 2_200_000, 220_000, 60_000, 60_000, 3.0, 3, 3, 60_000) == (
            (one := here.windows("router", 1, "1m")[START + 5 * MINUTE_MS]).wifi_down_bytes,
            one.wifi_up_bytes,
            one.uplink_down_bytes,
            one.uplink_up_bytes,
            one.covered_ms,
            one.observed_ms,
            one.clients_mean,
            one.clients_min,
            one.clients_max,
            one.up_ms,
        )


@pytest.mark.thorough
def test_hours_are_sums_of_minutes_and_days_of_hours(tmp_path: Path) -> None:
    """Exactly; so are sites of routers and the city of sites."""
    with city(tmp_path / "db") as here:
        rand = random.Random(3)
        for router in ROUTERS:
            here.store.save(Life(router, rand, boots=3, samples=400).arrivals)
        here.roll()
        calendar = Calendar(ZONE)
        scopes: list[tuple[Scope, int]] = [
            ("router", 1),
            ("router", 2),
            ("site", SITE),
            ("city", 0),
        ]
        minutes = {key: here.windows(*key, "1m") for key in scopes}
        for key in scopes:
            sums: dict[int, Figures] = {}
            for start_ms, one in minutes[key].items():
                hour = calendar.hour(start_ms).start_ms
                sums[hour] = plus(sums.get(hour, Figures()), one)
            hours = here.windows(*key, "1h")
            assert {ms: plus(Figures(), one) for ms, one in hours.items()} == sums
        for start_ms, one in minutes["site", SITE].items():
            both = [minutes["router", n].get(start_ms, Figures()) for n in (1, 2)]
            assert plus(plus(Figures(), both[0]), both[1]) == plus(Figures(), one)
        assert {ms: plus(Figures(), one) for ms, one in minutes["city", 0].items()} == {
            ms: plus(Figures(), one) for ms, one in minutes["site", SITE].items()
        }


@pytest.mark.thorough
def test_no_byte_is_lost_or_counted_twice(tmp_path: Path) -> None:
    """Not over a day with lost and merged samples: the sum of minutes is the counter's growth."""
    with city(tmp_path / "db") as here:
        kept = [n for n in range(1, 2881) if n in (1, 2880) or n % 7]
        here.save(*(at(n) for n in kept))
        here.save(at(16, 9), at(512, 257), at(1024, 1023))
        here.roll()
        total = Figures()
        for one in here.windows("router", 1, "1m").values():
            total = plus(total, one)
        assert (2879 * 1_000_000, 2879 * 100_000, 2879 * 30_000, 2879 * 90_000) == (
            total.wifi_down_bytes,
            total.wifi_up_bytes,
            total.observed_ms,
            total.client_ms,
        )


def test_bytes_before_an_interface_was_made_again_survive_merging(tmp_path: Path) -> None:
    """The merged sample carries the last value of the counter that ended."""
    made_again = [replace(one, since="b2/12") for one in at(4).bss or ()]
    past = (Past("phy0-ap0", "bss", f"{at(1).boot}/12", 300_000, 3_000_000),)
    with city(tmp_path / "db") as here:
        here.save(at(2), replace(at(4, 3), bss=tuple(made_again), past=past))
        here.roll()
        assert 1_000_000 == here.only("router", 1, "1d").wifi_down_bytes


def test_a_gap_is_no_zero(tmp_path: Path) -> None:
    """Minutes without samples have no row; over a lost half hour the counters still sum."""
    with city(tmp_path / "db") as here:
        here.save(*(at(n) for n in (*range(1, 21), *range(101, 122)) if n))
        here.roll()
        hour = here.windows("router", 1, "1h")[START]
        assert 120 * 1_000_000 == hour.wifi_down_bytes
        assert HOUR_MS - 81 * 30_000 + 30_000 == hour.covered_ms
        assert HOUR_MS == hour.up_ms
        message = rollup_message.read(here.db, WindowKey("router", 1, "1h", START), "tirosa-1")
        assert round(1 - 80 / 120, 4) == message.coverage_ratio


def test_what_was_not_seen_is_absent(tmp_path: Path) -> None:
    """A router without an access point has no clients and no Wi-Fi bytes, rather than none."""
    bare: dict[str, object] = {
        "bss": None,
        "clients": None,
        "clients_min": None,
        "clients_max": None,
        "active": None,
        "client_ms": None,
        "observed_ms": None,
    }
    with city(tmp_path / "db") as here:
        here.save(*hour_of(**bare))
        here.roll()
        got = rollup_message.read(here.db, WindowKey("site", SITE, "1h", START), "tirosa")
        assert (None,) * 8 == (
            got.clients_mean,
            got.clients_max,
            got.wifi_down_bytes,
            got.wifi_down_bps,
            got.active_mean,
            got.weak_ratio,
            got.airtime_busy_ratio,
            got.visitors_min,
        )
        assert 120 * 1_100_000 == got.uplink_down_bytes
        assert got == codec.decode(topics.rollup("1h", "site", "tirosa"), codec.encode(got))


def test_time_with_wifi_off_is_covered_and_has_no_clients(tmp_path: Path) -> None:
    """A night without Wi-Fi is no gap; the mean is that of the time with it."""
    off: dict[str, object] = {"bss": (), "off_air": True, "active": None, "observed_ms": None}
    off |= dict.fromkeys(("clients", "clients_min", "clients_max", "client_ms"))
    with city(tmp_path / "db") as here:
        here.save(*hour_of(**off))
        here.roll()
        hour = here.windows("router", 1, "1h")[START]
        assert (HOUR_MS, 0, None) == (hour.covered_ms, hour.observed_ms, hour.clients_max)
        got = rollup_message.read(here.db, WindowKey("router", 1, "1h", START), "tirosa-1")
        assert (1.0, None, None) == (got.coverage_ratio, got.clients_mean, got.clients_min)


def test_a_site_sums_its_routers(tmp_path: Path) -> None:
    """Bytes, clients and coverage over both."""
    with city(tmp_path / "db") as here:
        here.save(*hour_of())
        here.save(*hour_of(ROUTERS[1], run=OLD_RUN)[:61])
        here.roll()
        hour = here.windows("site", SITE, "1h")[START]
        assert (2, 180 * 1_000_000, 6.0, 6) == (
            hour.routers,
            hour.wifi_down_bytes,
            hour.clients_mean,
            hour.clients_max,
        )
        message = rollup_message.read(here.db, WindowKey("city", 0, "1h", START), "kupang")
        assert (0.75, 6.0) == (message.coverage_ratio, message.clients_mean)


@pytest.mark.parametrize("window", ["1h", "1d"])
def test_the_throughput_of_a_site_is_the_sum_of_its_routers_rates(
    tmp_path: Path, window: Window
) -> None:
    """Each over the time its bytes are known, however little of the window that is."""
    with city(tmp_path / "db") as here:
        here.db.execute("UPDATE membership SET site_id = ? WHERE router_id = 2", (OTHER_SITE,))
        here.save(*hour_of(ROUTERS[0]))
        here.save(*hour_of(ROUTERS[1], run=OLD_RUN)[:21])
        here.roll()
        start_ms = next(iter(here.windows("city", CITY_ID, window)))
        keys: list[tuple[Scope, int]] = [("city", 0), ("site", SITE), ("site", OTHER_SITE)]
        whole, *sites = (
            rollup_message.read(here.db, WindowKey(*key, window, start_ms), "kupang")
            for key in keys
        )
    rate = 2_000_000 * 8000 // MINUTE_MS
    assert [rate, rate] == [one.wifi_down_bps for one in sites]
    assert 2 * rate == whole.wifi_down_bps


def test_known_time_is_beside_a_rate(tmp_path: Path) -> None:
    """Of two routers one was there for a third of the hour: two thirds are known."""
    with city(tmp_path / "db") as here:
        here.save(*hour_of(ROUTERS[0]), *hour_of(ROUTERS[1], run=OLD_RUN)[:41])
        here.roll()
        hour = rollup_message.read(here.db, WindowKey("site", SITE, "1h", START), "tirosa")
    assert (0.6667, 0.6667) == (hour.wifi_coverage_ratio, hour.uplink_coverage_ratio)


def reaching(samples: Sequence[Sample], lost: range) -> list[Sample]:
    """A round in each interval, some without an answer; none before the first sample."""
    answered, found = 0, []
    for one in samples:
        answered += one.seq > 1 and one.seq not in lost
        reach = Reach(tcp_failures=one.seq - 1 - answered, attempts=one.seq - 1, answered=answered)
        found.append(replace(one, reach=reach))
    return found


def internet(here: City, scope: Scope, scope_id: int, window: Window) -> set[float | None]:
    """What the windows that samples cover report of the internet."""
    keys = [
        WindowKey(scope, scope_id, window, start_ms)
        for start_ms, one in here.windows(scope, scope_id, window).items()
        if one.covered_ms
    ]
    return {rollup_message.read(here.db, key, "x").internet_ratio for key in keys}


@pytest.mark.parametrize("window", ["1h", "1d"])
def test_the_internet_of_a_site_is_the_share_of_all_its_rounds(
    tmp_path: Path, window: Window
) -> None:
    """One router of two had none for a half of the hour; the others of the city count none."""
    with city(tmp_path / "db") as here:
        here.db.execute("INSERT INTO router VALUES (3, 'bare', 1, 0)")
        here.save(*reaching(hour_of(), range(0)))
        here.save(*reaching(hour_of(ROUTERS[1], run=OLD_RUN), range(2, 62)))
        here.roll()
        places: list[tuple[Scope, int]] = [("router", 1), ("router", 2), ("site", 1), ("city", 0)]
        found = [internet(here, *place, window) for place in places]
    assert [{1.0}, {0.5}, {0.75}, {0.75}] == found


def test_the_internet_of_a_minute_is_that_of_its_rounds(tmp_path: Path) -> None:
    """All or none where each minute has two of one kind."""
    with city(tmp_path / "db") as here:
        here.save(*reaching(hour_of(), range(2, 62)))
        here.roll()
        start = here.windows("site", SITE, "1m")
        ratios = [
            rollup_message.read(here.db, WindowKey("site", SITE, "1m", ms), "x").internet_ratio
            for ms in sorted(start)
            if start[ms].reach_rounds
        ]
    assert [0.0] * 30 + [1.0] * 30 == ratios


def offloaded(here: City, scope: Scope, scope_id: int, window: Window) -> set[float | None]:
    """The share with flow offload of the windows that samples cover."""
    found = here.windows(scope, scope_id, window)
    keys = [WindowKey(scope, scope_id, window, at) for at, one in found.items() if one.covered_ms]
    return {rollup_message.read(here.db, key, "x").flow_offload_ratio for key in keys}


def test_the_share_of_time_with_flow_offload_is_of_all_routers(tmp_path: Path) -> None:
    """One of two has it; where none says so the share is absent, and not zero."""
    with city(tmp_path / "db") as here:
        here.save(*hour_of(flow_offload=True))
        here.save(*hour_of(ROUTERS[1], run=OLD_RUN))
        here.roll()
        found = [
            offloaded(here, *place, window)
            for window in ("1m", "1h")
            for place in (("router", 1), ("router", 2), ("site", SITE), ("city", CITY_ID))
        ]
    assert [{1.0}, {None}, {0.5}, {0.5}] * 2 == found


def test_merging_loses_no_round(tmp_path: Path) -> None:
    """A full spool costs resolution; the day has every answer."""
    samples = reaching([at(n) for n in range(1, 257)], range(60, 99))
    with city(tmp_path / "db") as here:
        here.save(
            samples[0], replace(samples[127], first_seq=65), replace(samples[255], first_seq=129)
        )
        here.roll()
        day = here.only("city", CITY_ID, "1d")
    assert (255 - 39, 255) == (day.reach_answered, day.reach_rounds)


def test_where_no_target_is_configured_nothing_is_known_of_the_internet(tmp_path: Path) -> None:
    """It is absent, and neither up nor down; nor is it a zero in an export."""
    with city(tmp_path / "db") as here:
        here.save(*hour_of())
        here.roll()
        assert {None} == internet(here, "site", SITE, "1h")
        assert {None} == internet(here, "router", 1, "1m")


def set_back(by_ms: int = 90_000) -> list[Sample]:
    """One hour of a router whose clock was so much ahead until NTP set it at the 61st sample."""
    return [
        replace(one, taken_at=one.taken_at + by_ms) if one.seq <= 60 else one for one in hour_of()
    ]


@pytest.mark.parametrize("key", [("router", 1), ("site", SITE), ("city", CITY_ID)])
def test_a_clock_set_back_makes_no_line_faster(tmp_path: Path, key: tuple[Scope, int]) -> None:
    """Bytes of 150 s have the stamps of one minute; they are of 150 s and not of 60."""
    with city(tmp_path / "db") as here:
        here.save(*set_back())
        here.roll()
        reported = [
            rollup_message.read(here.db, WindowKey(*key, "1m", ms), "x")
            for ms in here.windows(*key, "1m")
        ]
    flowed = {(266_666, 26_666, 293_333, 29_333)}
    assert flowed == {
        (one.wifi_down_bps, one.wifi_up_bps, one.uplink_down_bps, one.uplink_up_bps)
        for one in reported
        if one.wifi_coverage_ratio
    }


@pytest.mark.parametrize("window", ["1m", "1h", "1d"])
def test_a_router_whose_clock_was_set_back_hides_no_other(tmp_path: Path, window: Window) -> None:
    """What it lived twice over is not the time of a router beside it that was silent."""
    with city(tmp_path / "db") as here:
        here.save(*set_back())
        here.roll()
        reported = [
            rollup_message.read(here.db, WindowKey("site", SITE, window, start_ms), "x")
            for start_ms in here.windows("site", SITE, window)
        ]
    shares = [
        share
        for one in reported
        for share in (
            one.coverage_ratio,
            one.uptime_ratio or 0.0,
            one.wifi_coverage_ratio or 0.0,
            one.uplink_coverage_ratio or 0.0,
        )
    ]
    assert [] == [share for share in shares if share > 0.5]


def test_a_clock_set_back_loses_and_doubles_no_client_time(tmp_path: Path) -> None:
    """The minutes have all that was counted, and the mean of each is what was there."""
    with city(tmp_path / "db") as here:
        here.save(*set_back())
        here.roll()
        minutes = here.windows("router", 1, "1m").values()
    assert (HOUR_MS, 3 * HOUR_MS, 120_000_000) == (
        sum(one.observed_ms for one in minutes),
        sum(one.client_ms for one in minutes),
        sum(one.wifi_down_bytes for one in minutes),
    )
    assert {3.0} == {one.clients_mean for one in minutes if one.observed_ms}
    assert MINUTE_MS == max(one.covered_ms for one in minutes)


@pytest.mark.thorough
def test_a_site_of_one_router_says_what_the_router_says(tmp_path: Path) -> None:
    """Minute by minute; the city's minutes are the sums of both sites."""
    with city(tmp_path / "db") as here:
        here.db.execute("UPDATE membership SET site_id = ? WHERE router_id = 2", (OTHER_SITE,))
        here.save(*hour_of(ROUTERS[0]), *hour_of(ROUTERS[1], clients=5, clients_max=7))
        here.roll()
        one, other = (here.windows("router", number, "1m") for number in (1, 2))
        assert one == here.windows("site", SITE, "1m")
        assert other == here.windows("site", OTHER_SITE, "1m")
        assert {
            start_ms: plus(one[start_ms], other[start_ms])._replace(
                routers=2, clients_mean=6.0, active_mean=6.0, clients_min=6, clients_max=10,
                wifi_down_peak_bps=_twice(one[start_ms].wifi_down_peak_bps),
                uplink_down_peak_bps=_twice(one[start_ms].uplink_down_peak_bps),
                wifi_down_bps=_twice(one[start_ms].wifi_down_bps),
                wifi_up_bps=_twice(one[start_ms].wifi_up_bps),
                uplink_down_bps=_twice(one[start_ms].uplink_down_bps),
                uplink_up_bps=_twice(one[start_ms].uplink_up_bps),
            )
            for start_ms in one
        } == here.windows("city", CITY_ID, "1m")  # fmt: skip


def _twice(value: int | None) -> int | None:
    return None if value is None else 2 * value


def test_hours_of_a_site_that_come_together_change_its_day_once(tmp_path: Path) -> None:
    """So a backlog costs one day, and engineers receive one."""
    with city(tmp_path / "db") as here:
        here.db.execute("UPDATE membership SET site_id = NULL WHERE router_id = 2")
        here.save(*(at(n) for n in range(1, 361)))
        here.roll()
        days = rollups.read(here.db, Series("site", SITE, "1d"), FOR_EVER)
        assert [1] == [row.revision for row in days.values()]
        assert 3 == len(here.windows("site", SITE, "1h"))


def test_a_router_that_moves_takes_its_history_nowhere(tmp_path: Path) -> None:
    """Each minute belongs to the site of its time; the city is the sum."""
    with city(tmp_path / "db") as here:
        moved_ms = START + 20 * MINUTE_MS
        here.db.execute("INSERT INTO membership VALUES (1, ?, ?)", (moved_ms, OTHER_SITE))
        here.save(*hour_of())
        here.roll()
        assert (20 * 2_000_000, 40 * 2_000_000, 60 * 2_000_000) == (
            here.windows("site", SITE, "1h")[START].wifi_down_bytes,
            here.windows("site", OTHER_SITE, "1h")[START].wifi_down_bytes,
            here.windows("city", 0, "1h")[START].wifi_down_bytes,
        )
        assert {SITE: (3.0,), OTHER_SITE: (3.0,)} == {
            site: (here.windows("site", site, "1h")[START].clients_mean,)
            for site in (SITE, OTHER_SITE)
        }


def test_a_move_dated_back_takes_the_time_since_with_it(tmp_path: Path) -> None:
    """The registry marks that time; both sites are summed again."""
    with city(tmp_path / "db") as here:
        here.save(*hour_of())
        here.roll()
        moved_ms = START + 30 * MINUTE_MS
        here.db.execute("INSERT INTO membership VALUES (1, ?, ?)", (moved_ms, OTHER_SITE))
        here.db.execute("INSERT INTO dirty VALUES (1, ?, ?)", (moved_ms, START + HOUR_MS))
        here.roll()
        assert (60_000_000, 60_000_000) == tuple(
            here.windows("site", site, "1h")[START].wifi_down_bytes for site in (SITE, OTHER_SITE)
        )


def test_a_boot_of_unknown_time_counts_in_its_day_only(tmp_path: Path) -> None:
    """Its bytes are not lost, and no hour is given what may not be its own."""
    with city(tmp_path / "db") as here:
        here.save(*(without_clock(at(n)) for n in range(1, 41)), live=False)
        here.roll()
        assert ({}, {}) == (here.windows("router", 1, "1m"), here.windows("site", SITE, "1h"))
        for scope, scope_id in (("router", 1), ("site", SITE), ("city", 0)):
            day = here.only(scope, scope_id, "1d")  # type: ignore[arg-type]
            assert (39_000_000, 39 * 90_000, 3.0) == (
                day.wifi_down_bytes,
                day.client_ms,
                day.clients_mean,
            )


def test_a_boot_of_unknown_time_is_in_the_mean_of_the_site_its_router_came_to(
    tmp_path: Path,
) -> None:
    """On the day of the move, too, though nothing else is known of the router there."""
    with city(tmp_path / "db") as here:
        here.db.execute("INSERT INTO membership VALUES (1, ?, ?)", (START - HOUR_MS, OTHER_SITE))
        here.save(*(without_clock(at(n)) for n in range(1, 41)), live=False)
        here.roll()
        day = here.only("site", OTHER_SITE, "1d")
        assert (39 * 90_000, 3.0, 266_666) == (day.client_ms, day.clients_mean, day.wifi_down_bps)


def test_a_boot_longer_than_its_day_hides_no_other_router(tmp_path: Path) -> None:
    """All of it counts in the day it is placed in, but as no more than a day of that router."""
    long = at(2, uptime_ms=40 * HOUR_MS, covers_ms=40 * HOUR_MS, observed_ms=40 * HOUR_MS)
    with city(tmp_path / "db") as here:
        here.save(without_clock(at(1)), without_clock(long), live=False)
        here.roll()
        (start_ms,) = (ms for ms, one in here.windows("site", SITE, "1d").items() if one.covered_ms)
        day = rollup_message.read(here.db, WindowKey("site", SITE, "1d", start_ms), "tirosa")
    assert (0.5, 0.5, 0.5, 0.5) == (
        day.coverage_ratio,
        day.uptime_ratio,
        day.wifi_coverage_ratio,
        day.uplink_coverage_ratio,
    )
    assert 1_000_000 * 8 // (40 * 3600) == day.wifi_down_bps


def test_a_router_that_moved_gives_its_sites_a_day_of_known_time_together(tmp_path: Path) -> None:
    """What it knows of the day but not of the hour fills up the site that it came to, no more."""
    day_ms = Calendar(ZONE).day(START + 40 * HOUR_MS).start_ms
    long = {"run": OLD_RUN, "boot": "b1", "uptime_ms": 40 * HOUR_MS, "covers_ms": 40 * HOUR_MS}
    with city(tmp_path / "db") as here:
        here.db.execute("INSERT INTO membership VALUES (1, ?, ?)", (day_ms + HOUR_MS, OTHER_SITE))
        first = without_clock(at(1, run=OLD_RUN, boot="b1"))
        here.save(first, without_clock(at(2, **long)), live=False)
        before_ms = day_ms - START
        hours = [(n, before_ms + (n - 1) * 30_000) for n in range(1, 242)]
        here.save(*(at(n, uptime_ms=ms, taken_at=START + ms) for n, ms in hours))
        here.roll()
        known = [
            here.windows("site", one, "1d")[day_ms].wifi_known_ms for one in (SITE, OTHER_SITE)
        ]
    assert [HOUR_MS, 23 * HOUR_MS] == known


def test_a_clock_set_later_moves_a_boot_out_of_its_day_into_minutes(tmp_path: Path) -> None:
    """What was bounded becomes known; the windows that were left are corrected."""
    with city(tmp_path / "db") as here:
        unknown = [without_clock(at(n)) for n in range(1, 41)]
        here.store.save(
            [Arrived(one, codec.encode(one), False, START + 3 * DAY_MS) for one in unknown]
        )
        here.roll()
        wrong = max(here.windows("router", 1, "1d"))
        here.save(at(41))
        here.roll()
        assert 40_000_000 == here.windows("router", 1, "1h")[START].wifi_down_bytes
        assert 0 == here.windows("router", 1, "1d")[wrong].wifi_down_bytes
        assert 0 == here.windows("city", 0, "1d")[wrong].wifi_down_bytes


def test_a_boot_heard_at_last_enters_minutes_where_it_lies(tmp_path: Path) -> None:
    """It does not move, but is known better."""
    with city(tmp_path / "db") as here:
        here.save(*(without_clock(at(n)) for n in range(1, 41)), live=False)
        here.roll()
        here.save(without_clock(at(41)))
        here.roll()
        assert 40_000_000 == here.windows("router", 1, "1h")[START].wifi_down_bytes


def test_days_are_those_of_the_city(tmp_path: Path) -> None:
    """Midnight in Kupang is 16:00 UTC."""
    midnight = Calendar(ZONE).day(START).end_ms
    shift = midnight - START - 30 * MINUTE_MS
    with city(tmp_path / "db") as here:
        here.save(
            *(
                replace(one, uptime_ms=one.uptime_ms + shift, taken_at=one.taken_at + shift)
                for one in hour_of()
            )
        )
        here.roll()
        days = here.windows("router", 1, "1d")
        assert {midnight - DAY_MS: 60_000_000, midnight: 60_000_000} == {
            start_ms: one.wifi_down_bytes for start_ms, one in days.items()
        }


def test_two_runs_of_a_day_give_a_range_of_visitors(tmp_path: Path) -> None:
    """From the larger to the sum: they may have met the same people."""
    with city(tmp_path / "db") as here:
        for router, run, counts in (
            (ROUTERS[0], RUN, (5, 40)),
            (ROUTERS[0], OLD_RUN, (3, 70)),
            (ROUTERS[1], RUN, (100,)),
        ):
            for seq, count in enumerate(counts, 10 if run == RUN else 50):
                here.save(at(seq, router=router, run=run, visitors=Visitors(count, START)))
        here.save(at(100, visitors=Visitors(999, START - DAY_MS)))  # counted since yesterday
        here.save(at(101, router=ROUTERS[0], visitors=Visitors(41, START)))
        here.roll()
        one, both = here.only("router", 1, "1d"), here.only("site", SITE, "1d")
        assert (70, 111) == (one.visitors_min, one.visitors_max)
        assert (170, 211) == (both.visitors_min, both.visitors_max)


def test_a_minute_waits_for_the_sample_after_it(tmp_path: Path) -> None:
    """It is computed once, when it is over and the next sample has had time to come."""
    with city(tmp_path / "db") as here:
        here.save(*(at(n) for n in range(1, 4)))  # to 12:01:00
        here.now_ms = START + MINUTE_MS + 39_000
        here.roll()
        assert {} == here.windows("router", 1, "1m")
        here.save(at(4))
        here.now_ms += 1000
        here.roll()
        assert [START] == list(here.windows("router", 1, "1m"))
        assert 0 < here.db.execute("SELECT count(*) FROM dirty").fetchone()[0]
        here.now_ms += HOUR_MS
        here.roll()
        assert 0 == here.db.execute("SELECT count(*) FROM dirty").fetchone()[0]


def test_a_revision_rises_only_when_the_content_changed(tmp_path: Path) -> None:
    """Computing again changes nothing; late samples do."""

    def revisions() -> list[int]:
        hours = rollups.read(here.db, Series("router", 1, "1h"), FOR_EVER)
        return [row.revision for row in hours.values()]

    with city(tmp_path / "db") as here:
        here.save(*(at(n) for n in range(1, 122) if n != 50))
        here.roll()
        here.db.execute("DELETE FROM rollup_news")
        before = revisions()
        rebuild(here.db, here.rollups)
        assert before == revisions()
        assert [] == here.db.execute("SELECT * FROM rollup_news").fetchall()
        here.save(at(50))
        here.roll()
        assert 2 == max(revisions())


def test_only_hours_and_days_of_the_past_are_published(tmp_path: Path) -> None:
    """A backfill is no flood; the minutes just over are published."""
    with city(tmp_path / "db") as here:
        here.save(*hour_of())
        here.roll()
        unpublished = "SELECT DISTINCT length FROM rollup_news ORDER BY length"
        assert [("1d",), ("1h",)] == here.db.execute(unpublished).fetchall()
        here.now_ms = START + HOUR_MS + 5 * MINUTE_MS
        here.save(*(at(n) for n in range(122, 126)))
        here.roll()
        assert [("1d",), ("1h",), ("1m",)] == here.db.execute(unpublished).fetchall()


@pytest.mark.thorough
def test_sealed_windows_are_left_alone(tmp_path: Path) -> None:
    """Their samples may be gone; what comes late for them is not drawn."""
    with city(tmp_path / "db") as here:
        here.save(*(at(n) for n in range(1, 3000) if n % 2))
        here.roll()
        sealed = Calendar(ZONE).day(START).end_ms
        here.db.execute("INSERT INTO setting VALUES ('sealed_before_ms', ?)", (str(sealed),))
        minute, hour = here.windows("router", 1, "1m"), here.windows("city", 0, "1h")
        here.save(*(at(n) for n in range(1, 3000) if n % 2 == 0))
        here.roll()
        after = here.windows("router", 1, "1m")
        assert {ms: minute[ms] for ms in minute if ms < sealed} == {
            ms: after[ms] for ms in after if ms < sealed
        }
        assert {ms: hour[ms] for ms in hour if ms < sealed} == {
            ms: one for ms, one in here.windows("city", 0, "1h").items() if ms < sealed
        }
        rebuild(here.db, here.rollups)
        assert after == here.windows("router", 1, "1m")


@pytest.mark.sqlite("interrupts SQLite's steps")
@pytest.mark.thorough
def test_a_crash_repeats_a_step_and_loses_none(tmp_path: Path) -> None:
    """Whenever the process dies: each step is crossed off with its result."""
    ticks = [0]

    def tick() -> bool:
        ticks[0] -= 1
        return ticks[0] == 0

    with city(tmp_path / "whole") as here:
        here.save(*hour_of())
        here.db.raw.set_progress_handler(tick, 1000)
        here.roll()
        total, expected = -ticks[0], content(here.db)
    for tenth in range(10):
        with city(tmp_path / f"db{tenth}") as here:
            here.save(*hour_of())
            ticks[0] = 1 + total * tenth // 10
            here.db.raw.set_progress_handler(tick, 1000)
            with pytest.raises(StoreError, match="interrupted"):
                here.roll()
            here.db.raw.set_progress_handler(None, 0)
            while Rollups(here.db, ZONE, lambda now=here.now_ms: now).work(1, time.monotonic):  # type: ignore[misc]
                pass
            assert expected == content(here.db)


def test_an_hour_and_a_day_are_of_the_most_routers_at_once(tmp_path: Path) -> None:
    """Those registered late in it too, heard or not; so is the coverage of the city."""
    with city(tmp_path / "db") as here:
        here.db.execute("UPDATE membership SET from_ms = ?", (START + 55 * MINUTE_MS,))
        here.save(*hour_of())
        here.roll()
        rows: list[tuple[Scope, int]] = [("site", SITE), ("city", CITY_ID)]
        hours = [
            rollup_message.read(here.db, WindowKey(*key, "1h", START), "x").coverage_ratio
            for key in rows
        ]
        routers = [(here.only(*key, "1h").routers, here.only(*key, "1d").routers) for key in rows]
    assert [(2, 2)] * 2 == routers
    assert [round(5 / 60 / 2, 4)] * 2 == hours


@pytest.mark.parametrize("since", ["", "since = 2026-11-23T02:20:00Z"])
def test_a_router_that_is_never_heard_counts_in_the_day_it_is_registered(
    tmp_path: Path, since: str
) -> None:
    """Though no sample has the sums of its site and of the city computed again."""

    head = '[city]\nname = "k"\ntitle = "K"\ntimezone = "Asia/Makassar"\n[store]\npath = "db"\n'
    head += '[[site]]\nname = "s1"\ntitle = "S"\n'
    one, other = (f'[[router]]\nname = "{name}"\nsite = "s1"\n' for name in (ROUTERS[0], "new"))
    with city(tmp_path / "db") as here:
        here.db.execute("UPDATE membership SET site_id = NULL WHERE router_id = 2")
        here.save(*hour_of())
        here.roll()
        config = parse(f"{head}{one}{other}{since}".encode(), tmp_path)
        sync(here.db, config, START + 50 * MINUTE_MS)
        here.roll()
        rows: list[tuple[Scope, int]] = [("site", SITE), ("city", CITY_ID)]
        day_ms = Calendar(ZONE).day(START).start_ms
        hours = [here.windows(*key, "1h")[START].routers for key in rows]
        days = [here.windows(*key, "1d")[day_ms].routers for key in rows]
        before = here.db.execute("SELECT * FROM rollup").fetchall()
        rebuild(here.db, here.rollups)
        assert before == here.db.execute("SELECT * FROM rollup").fetchall()
    assert ([2, 2], [2, 2]) == (hours, days)


def test_a_router_in_place_of_another_is_no_second_one(tmp_path: Path) -> None:
    """It came as the other went."""
    with city(tmp_path / "db") as here:
        changed_ms = START + 20 * MINUTE_MS
        here.db.execute("UPDATE membership SET from_ms = ? WHERE router_id = 2", (changed_ms,))
        here.db.execute("INSERT INTO membership VALUES (1, ?, NULL)", (changed_ms,))
        here.save(*hour_of())
        here.roll()
        rows: list[tuple[Scope, int]] = [("site", SITE), ("city", CITY_ID)]
        found = [(here.only(*key, "1h").routers, here.only(*key, "1d").routers) for key in rows]
    assert [(1, 1)] * 2 == found


@pytest.mark.parametrize("seed", range(20))
def test_a_headcount_is_what_counting_gives(seed: int) -> None:
    """At every instant, and the most of every stretch."""
    rand = random.Random(seed)
    times = [sorted(rand.sample(range(20), 2)) for _ in range(rand.randrange(8))]
    parts = [Part(number, *edges) for number, edges in enumerate(times)]
    counts = [sum(one.from_ms <= at_ms < one.to_ms for one in parts) for at_ms in range(20)]
    changes = {edge for edges in times for edge in edges}
    found = PartsAtOnce(parts)

    assert counts == [found.at(at_ms) for at_ms in range(20)]
    for start_ms in range(20):
        for end_ms in range(start_ms + 1, 20):
            span = Span(start_ms, end_ms)
            assert max(counts[start_ms:end_ms]) == found.most(span)
            assert found.steady(span) == (not changes & set(range(start_ms + 1, end_ms)))


def test_a_day_on_which_a_router_came_has_means(tmp_path: Path) -> None:
    """From the minutes since, though its first hour was not whole."""
    with city(tmp_path / "db") as here:
        here.db.execute("UPDATE membership SET from_ms = ?", (START + 20 * MINUTE_MS,))
        here.save(*hour_of())
        here.roll()
        rows: list[tuple[Scope, int]] = [("site", SITE), ("city", CITY_ID)]
        days = [here.only(*key, "1d") for key in rows]
    assert [(3.0, 3.0)] * 2 == [(one.clients_mean, one.active_mean) for one in days]


@pytest.mark.thorough
@pytest.mark.parametrize("zone", ["Asia/Makassar", "Asia/Kolkata"])
@pytest.mark.parametrize("seed", range(6))
def test_the_mean_of_a_day_is_that_of_the_minutes_at_the_site(
    tmp_path: Path, zone: str, seed: int
) -> None:
    """However often routers came and went within hours."""
    rand = random.Random(seed)
    calendar = Calendar(ZoneInfo(zone))
    with city(tmp_path / "db") as here:
        here.rollups = Rollups(here.db, ZoneInfo(zone), lambda: here.now_ms)
        client_ms, samples = 0, []
        for n in range(1, 480):
            clients = rand.randrange(9)
            client_ms += clients * 30_000
            figures = {"clients": clients, "active": clients // 2, "client_ms": client_ms}
            samples += [at(n, router=one, observed_ms=n * 30_000, **figures) for one in ROUTERS]
        here.save(*samples)
        here.roll()
        move_about(here.db, rand)
        rebuild(here.db, here.rollups)
        here.db.execute(
            "INSERT INTO stale SELECT scope, scope_id, start_ms, start_ms, start_ms FROM rollup"
            " WHERE length = '1d' AND scope = 'site'"
        )
        here.roll()
        routers = {number: here.windows("router", number, "1m") for number in (1, 2)}
        days = {site: here.windows("site", site, "1d") for site in (SITE, OTHER_SITE)}
        membership = Membership(here.db)

    for site, found in days.items():
        for start_ms, day in found.items():
            each: dict[int, Figures] = {}
            for part in membership.of(site, calendar.day(start_ms)):
                for at_ms, one in routers[part.id].items():
                    if part.from_ms <= at_ms < part.to_ms:
                        each[part.id] = plus(each.get(part.id, Figures()), one)
            assert with_sums_of_means(day, [sums_of_means(each.values())]) == day


def move_about(db: SqliteDatabase, rand: random.Random) -> None:
    """Both routers, from site to site and off both, at any time of the hours that they live."""
    for router_id in (1, 2):
        for moved_ms in sorted(rand.sample(range(T0, T0 + 4 * HOUR_MS), rand.randrange(5))):
            site = rand.choice((SITE, OTHER_SITE, None))
            db.execute("INSERT INTO membership VALUES (?, ?, ?)", (router_id, moved_ms, site))


def lives(seed: int) -> list[Arrived]:
    """Two routers: power cuts, clocks not set, boots never heard, reloads, merged ranges."""
    rand = random.Random(seed)
    return [one for router in ROUTERS for one in Life(router, rand).arrivals]


def reference(path: Path, arrivals: Sequence[Arrived], seed: int) -> list[object]:
    """Everything in order and at once, rollups computed at the end."""
    with city(path) as here:
        move_about(here.db, random.Random(seed + 2000))
        here.store.save(arrivals)
        here.db.execute("DELETE FROM dirty")
        rebuild(here.db, here.rollups)
        return content(here.db)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.thorough
def test_any_order_any_repetition_and_any_merging_give_the_same(tmp_path: Path, seed: int) -> None:
    """Shuffled, tripled, in batches of any size, rolled up at any time between them."""
    arrivals = lives(seed)
    expected = reference(tmp_path / "reference", arrivals, seed)
    rand = random.Random(seed + 1000)
    with city(tmp_path / "db") as here:
        move_about(here.db, random.Random(seed + 2000))
        todo = arrivals * 3
        rand.shuffle(todo)
        while todo:
            size = rand.choice((1, 5, 20, 100))
            here.store.save(todo[:size])
            del todo[:size]
            if rand.random() < 0.4:
                here.rollups.work(rand.choice((0.0005, 0.005, 0.05)), time.monotonic)
        here.roll()
        assert expected == content(here.db)

        tables = ("rollup", "dirty", "stale", "boot_time", "sample")
        before = [here.db.execute(f"SELECT * FROM {table}").fetchall() for table in tables]
        rebuild(here.db, here.rollups)
        assert before == [here.db.execute(f"SELECT * FROM {table}").fetchall() for table in tables]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.thorough
def test_stretches_computed_apart_are_the_same_as_one_walk(tmp_path: Path, seed: int) -> None:
    """Minutes rolled up little by little are those of walking each boot from end to end."""
    arrivals = lives(seed)
    with city(tmp_path / "db") as here:
        for start in range(0, len(arrivals), 9):
            here.store.save(arrivals[start : start + 9])
            here.roll()
        for router_id in (1, 2):
            minutes = Minutes(START - DAY_MS, START + 10 * DAY_MS)
            for (boot_id,) in here.db.execute(
                "SELECT boot_id FROM boot_time WHERE router_id = ? AND quality != 'bounded'",
                (router_id,),
            ).fetchall():
                readings = readings_of(here.db, boot_id, Span(0, 2**50))
                for step in steps(readings, lambda _: WIRE_BPS):
                    minutes.add(step)
            found = here.windows("router", router_id, "1m")
            assert dict(minutes) == {
                start_ms: one for start_ms, one in found.items() if one != Figures()
            }


def test_an_hour_that_is_not_sealed_keeps_its_minutes(tmp_path: Path) -> None:
    """Days are sealed whole, so minutes as old as the seal may be of an hour that is open yet."""
    late = at(100)
    with city(tmp_path / "db") as here:
        here.save(*(one for one in hour_of() if one.seq != late.seq))
        here.roll()
        before = here.windows("router", 1, "1h")[START]
        with here.db.transaction():
            keep = retention.Days(1, 2, 2)
            while retention.prune(here.db, START + 2 * DAY_MS + HOUR_MS // 2, keep):
                pass
        here.save(late)
        here.roll()
        for scope, number in (("router", 1), ("site", SITE), ("city", CITY_ID)):
            after = here.windows(cast(Scope, scope), number, "1h")[START]
            assert before.wifi_down_bytes == after.wifi_down_bytes
            assert 60 * MINUTE_MS == after.covered_ms


def test_an_item_decoded_from_the_wire_rolls_up(tmp_path: Path) -> None:
    """The whole way from a message to a message that engineers read."""
    with city(tmp_path / "db") as here:
        here.store.save([to_item(received(at(n)), START + n * 30_000) for n in range(1, 122)])
        here.roll()
        got = rollup_message.read(here.db, WindowKey("router", 1, "1h", START), "tirosa-1")
        assert (1.0, 3.0, 1.0, 0.0, 120_000_000 * 8000 // HOUR_MS) == (
            got.coverage_ratio,
            got.clients_mean,
            got.uptime_ratio,
            got.weak_ratio,
            got.wifi_down_bps,
        )


@pytest.mark.thorough
def test_another_minute_needs_no_other_statement(tmp_path: Path) -> None:
    """A connection keeps many; statements with a minute's times in them would be kept in vain."""
    with opened(tmp_path / "db", ROUTERS) as db:
        city, listening = City(db), Listening(db)
        rollups = Rollups(cast(SqliteDatabase, listening), ZONE, lambda: city.now_ms)
        heard = []
        for seq in range(1, 200):
            at_ms = START + seq * 30_000
            city.save(*(sample(seq, router=one, taken_at=at_ms) for one in ROUTERS))
            city.now_ms = at_ms + MINUTE_MS
            while rollups.work(10, time.monotonic):
                pass
            heard.append(len(listening.statements))

    assert 0 < heard[9] == heard[-1]


def test_visitors_counted_again_within_the_day_are_at_most_the_sum(tmp_path: Path) -> None:
    """A router whose midnight is 08:00 in the city; what it counted before is not forgotten."""
    day = Calendar(ZONE).day(START)
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        reported = [(7, 900, -16), (9, 3, 8), (23, 1600, 8)]  # hour, count, hour of since
        for seq, (hour, count, since) in enumerate(reported, 1):
            at_ms = day.start_ms + hour * HOUR_MS
            visitors = Visitors(count, day.start_ms + since * HOUR_MS)
            one = sample(seq, taken_at=at_ms, uptime_ms=at_ms - day.start_ms + 9, visitors=visitors)
            store.save([to_item(received(one, True), at_ms + 100)])
        rebuild(db, Rollups(db, ZONE, lambda: day.end_ms + HOUR_MS))
        assert [(1600, 2500)] == db.execute(
            "SELECT visitors_min, visitors_max FROM rollup"
            " WHERE scope = 'router' AND length = '1d' AND start_ms = ?",
            (day.start_ms,),
        ).fetchall()


def test_visitors_counted_before_a_clock_was_set_back_are_not_forgotten(tmp_path: Path) -> None:
    """The run's first sample is the latest by its clock; two others came before it was set back."""
    with city(tmp_path / "db") as here:
        for seq, taken_at, visitors in (
            (1, START + 90_000, Visitors(3, START)),
            (2, START + 31_000, Visitors(5, START)),
            (3, START + 61_000, Visitors(2, START + 50_000)),
        ):
            here.save(at(seq, None, taken_at=taken_at, visitors=visitors))
        here.roll()
        day = here.only("router", 1, "1d")
        assert (5, 7) == (day.visitors_min, day.visitors_max)
