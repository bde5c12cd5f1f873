"""The tables of docs/size.md: what a city of each size needs, computed from what was measured.

Rule: a city that was not measured is computed from the nearest one that was, and the page says from
which. Hours of staff are estimates.
"""

from typing import NamedTuple

from bench import results, size
from bench.results import Result
from titik_collector.config import store_table

SIZES = (10, 400, 5000, 20_000)
INTERVALS_S = (30, 60, 300)
USUAL_S = 30
DAY_S, DAYS = 86_400, 30  # of a month
LARGEST = 10_000  # routers of the largest city that was measured
CELLS = (1, 1, 1, 3)  # that these sizes are
MACHINES = (1, 2, 3, 9)  # that they run on; each of a cell has its store
GROWN = (1, 1, 2, 2)  # a store on PostgreSQL, beside the file; not measured
# Hours a month, for each of SIZES. The second is three minutes a router, the third a fiftieth of
# all routers, a quarter of an hour each.
TASKS = (
    ("look at the page and its alerts on working days", (1, 4, 10, 20)),
    ("call places that are offline", tuple(one * 3 / 60 for one in SIZES)),
    ("add, move and replace routers, without the way there", tuple(one / 50 / 4 for one in SIZES)),
    ("upgrade the server and the agents, once a quarter", (1, 2, 4, 8)),
    ("see that backups are verified; restore one on another machine once a year", (0.5, 1, 2, 4)),
    ("look after PostgreSQL, Patroni and etcd", (0, 0, 8, 24)),
    ("reports for the office", (0.5, 1, 4, 8)),
)


class Needs(NamedTuple):
    """What one size takes."""

    processor: float  # share of one that the collector uses
    memory_mb: float  # of collector and page
    disk_gb: float  # after a year
    line_kbit: float  # a second, both ways
    sim_mb: float  # a month and router


def store_bytes(routers: int) -> tuple[float, ...]:
    """Samples as received, their figures, minutes, and the hours of a year."""
    day = {one.name: one.median for one in results.load()["size"][1]}
    subjects = routers + -(-routers // size.PER_SITE) + 1
    # The oldest samples go by the day, so there is up to one more; and one before the seal.
    return (
        routers * day[size.MESSAGES],
        routers * day[size.SAMPLES] * (store_table.SAMPLES_DAYS + 2),
        subjects * day[size.MINUTES] * store_table.MINUTES_DAYS,
        subjects * day[size.LONGER] * 365,
    )


def needs(routers: int) -> Needs:
    """Of a city of so many routers at 30 s, four a site."""
    sample = _of("agent", "bytes per sample").median * _joins()
    small = _of("footprint", "RSS of the collector on SQLite").median
    large = _of("city10k", f"memory of the collector, {LARGEST:,} routers, 4 a site").median
    page = _of("footprint", "RSS of the page on SQLite").median
    busy = _of("city10k", f"processor time of the collector, {LARGEST:,} routers, 4 a site").median
    return Needs(
        busy * routers / LARGEST,
        small + (large - small) * routers / LARGEST + page,
        sum(store_bytes(routers)) / 1e9,
        routers * sample / USUAL_S * 8 / 1000,
        sim_mb(USUAL_S, True),
    )


def sim_mb(interval_s: int, packed: bool) -> float:
    """What a router's SIM carries in a month, both ways."""
    name = "bytes per sample" if packed else "bytes per sample, with `broker.compress = false`"
    return _of("agent", name).median * _joins() * DAY_S * DAYS / interval_s / 1e6


def server() -> list[tuple[str, ...]]:
    """Of each size; of several cells, of each of them."""
    rows: list[tuple[str, ...]] = []
    for routers, cells in zip(SIZES, CELLS, strict=True):
        one = needs(routers // cells)
        rows.append(
            (
                f"{routers:,}" + (f", each of {cells} cells (plan)" if cells > 1 else ""),
                f"{one.processor:.1g}" if one.processor < 0.1 else f"{one.processor:.2f}",
                f"{one.memory_mb:,.0f} MB",
                f"{one.disk_gb:,.2g} GB" if one.disk_gb < 10 else f"{one.disk_gb:,.0f} GB",
                f"{one.line_kbit:,.0f} kbit/s",
                f"{one.line_kbit / 8 * DAY_S * DAYS / 1e6:,.0f} GB",
            )
        )
    return rows


def sims() -> list[tuple[str, ...]]:
    """Of each interval: packed and plain."""
    return [
        (f"{one} s", f"{sim_mb(one, True):,.0f} MB", f"{sim_mb(one, False):,.0f} MB")
        for one in INTERVALS_S
    ]


def hours() -> list[tuple[str, ...]]:
    """Of each task and size, with their sum."""
    rows = [(task, *(f"{one:,g}" for one in of_sizes)) for task, of_sizes in TASKS]
    return [*rows, ("**together**", *(f"**{one:,.0f}**" for one in _together()))]


def amounts() -> list[tuple[str, ...]]:
    """What the formula takes, of each size."""
    rows: list[tuple[str, ...]] = []
    sizes = zip(SIZES, CELLS, MACHINES, GROWN, _together(), strict=True)
    for routers, cells, machines, grown, together in sizes:
        one = needs(routers // cells)
        rows.append(
            (
                f"{routers:,}" + (" (plan)" if cells > 1 else ""),
                f"{machines}",
                f"{one.disk_gb * machines * grown:,.1f}",
                f"{one.sim_mb * routers:,.0f}",
                f"{together:,.0f}",
            )
        )
    return rows


def breaking() -> list[tuple[str, ...]]:
    """What was measured of the largest cities."""
    late = "the latest minute of the city, from its end, 10,000 routers, 4 a site"
    shown = (
        ("city10k", late, 10_000, "60 s: later ones come behind time"),
        ("city10k", "processor time of the collector, 10,000 routers, 4 a site", 10_000,
         "1 processor: a collector is one process"),
        ("broker", "a restart of the broker", 5000, "none; routers keep their samples"),
        ("broker", "`titik router add`, all of it", 5000, "patience: the broker writes all it has"),
        ("broker", "`titik router revoke`, all of it", 5000, "the same"),
        ("history", "all that the history page of the city asks for, 1,000 routers for 365 days",
         1000, "100 ms: the page begins to feel slow"),
    )  # fmt: skip
    return [
        (name.partition(", 1")[0], f"{routers:,}", _worded(part, name), limit)
        for part, name, routers, limit in shown
    ]


def _worded(part: str, name: str) -> str:
    one = _of(part, name)
    return f"{one.median:.3g} {'of one' if one.unit == 'ratio' else one.unit}"


def _together() -> list[float]:
    return [sum(column) for column in zip(*(one for _, one in TASKS), strict=True)]


def _joins() -> float:
    """Samples taken for each that the interval asks for: joins and leaves add some."""
    name = f"samples committed, as a share of those due, {LARGEST:,} routers, 4 a site"
    return _of("city10k", name).median


def _of(part: str, name: str) -> Result:
    return next(one for one in results.load()[part][1] if one.name == name)
