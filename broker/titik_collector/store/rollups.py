"""The table of rollups: what is known of each window of a router, a site or the city."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from titik_collector.figures.scope import Scope
from titik_collector.figures.table import Figures
from titik_collector.figures.windows import Span, Window
from titik_collector.store.database import Database, Row, upsert

COLUMNS = ", ".join(Figures._fields)
_OF_SERIES = "scope = ? AND scope_id = ? AND length = ?"
_PARTLY_KNOWN = (
    " AND (observed_ms * 100 < (end_ms - start_ms) * 99"
    " OR covered_ms * 100 < (end_ms - start_ms) * 99 OR reach_answered < reach_rounds)"
)
_KEY = ("scope", "scope_id", "length", "start_ms")
_PUT = upsert("rollup", _KEY, ("end_ms", "revision", *Figures._fields))


class ScopeId(NamedTuple):
    """A router, a site or the city."""

    scope: Scope
    scope_id: int


class Series(NamedTuple):
    """The windows of one length of a router, a site or the city."""

    scope: Scope
    scope_id: int
    window: Window


class WindowKey(NamedTuple):
    """One window."""

    scope: Scope
    scope_id: int
    window: Window
    start_ms: int


class SiteSums(NamedTuple):
    """Of many windows of a site."""

    device_ms: float  # mean devices times length
    known_ms: int  # of the windows whose mean is known
    covered_ms: float  # by samples, of the time of one router


class KnownTime(NamedTuple):
    """How much of a window of a router is known, and how often its internet answered."""

    router_id: int
    start_ms: int
    end_ms: int
    covered_ms: int
    observed_ms: int
    rounds: int
    answered: int


class RouterBytes(NamedTuple):
    """The bytes of a router in some of its minutes, and until when each kind is known."""

    router: str
    wifi_down: int
    wifi_up: int
    uplink_down: int
    uplink_up: int
    wifi_known_ms: int | None  # the end of the last minute in which they are known; None: none is
    uplink_known_ms: int | None


class SiteWindow(NamedTuple):
    """What the rules of alerts remember of a minute of a site."""

    site_id: int
    start_ms: int
    clients_mean: float | None
    clients_max: int | None
    uplink_down_bps: int | None


class RollupRow(NamedTuple):
    """What is known of a window."""

    end_ms: int
    revision: int  # counts changes of content
    figures: Figures


def read(db: Database, series: Series, span: Span) -> dict[int, RollupRow]:
    """The windows that begin in a stretch of time, by their start."""
    rows = db.execute(
        f"SELECT start_ms, end_ms, revision, {COLUMNS} FROM rollup"
        f" WHERE {_OF_SERIES} AND start_ms >= ? AND start_ms < ?",
        (*series, *span),
    )
    return {row[0]: RollupRow(row[1], row[2], Figures._make(row[3:])) for row in rows}


def site_means(db: Database, sites: Sequence[int], hours: Sequence[int]) -> list[tuple[int, float]]:
    """Mean clients of sites in hours that begin at these times, where that is known."""
    head, values = db.keyed(("id", "hour_ms"), [(one, hour) for one in sites for hour in hours])
    return list(
        db.execute(
            f"{head} SELECT id, clients_mean FROM key CROSS JOIN rollup WHERE scope = 'site'"
            " AND scope_id = id AND length = '1h' AND start_ms = hour_ms"
            " AND clients_mean IS NOT NULL",
            values,
        )
    )


def site_minutes(db: Database, sites: Sequence[int], span: Span) -> Iterator[SiteWindow]:
    """Minutes of sites that begin in a stretch of time, in order of it."""
    head, values = db.keyed(("id",), [(one,) for one in sites])
    for row in db.execute(
        f"{head} SELECT id, start_ms, clients_mean, clients_max, uplink_down_bps"
        " FROM key CROSS JOIN rollup WHERE scope = 'site' AND scope_id = id AND length = '1m'"
        " AND start_ms >= ? AND start_ms < ? ORDER BY start_ms",
        (*values, *span),
    ):
        yield SiteWindow(*row)


def read_many(db: Database, asked: Sequence[tuple[Series, Span]]) -> list[dict[int, RollupRow]]:
    """The same for many series, in the order in which they are asked for."""
    if not asked:
        return []
    head, values = db.keyed(
        ("n", "of_scope", "id", "of_length", "from_ms", "to_ms"),
        [(n, *series, *span) for n, (series, span) in enumerate(asked)],
    )
    found: list[dict[int, RollupRow]] = [{} for _ in asked]
    for n, start_ms, end_ms, revision, *figures in db.execute(
        f"{head} SELECT n, start_ms, end_ms, revision, {COLUMNS} FROM key CROSS JOIN rollup"
        " WHERE scope = of_scope AND scope_id = id AND length = of_length"
        " AND start_ms >= from_ms AND start_ms < to_ms",
        values,
    ):
        found[n][start_ms] = RollupRow(end_ms, revision, Figures._make(figures))
    return found


def columns(db: Database, series: Series, span: Span, names: Sequence[str]) -> list[Row]:
    """The windows that begin in a stretch of time, in order: start, end, revision, and these
    columns of `Figures`. A year has thousands, and most questions need few of their columns.
    """
    return db.execute(
        f"SELECT {', '.join(('start_ms', 'end_ms', 'revision', *names))} FROM rollup"
        f" WHERE {_OF_SERIES} AND start_ms >= ? AND start_ms < ? ORDER BY start_ms",
        (*series, *span),
    )


def sums_of_sites(
    db: Database, sites: Sequence[int], window: Window, span: Span
) -> dict[int, SiteSums]:
    """Of the windows that begin in a stretch of time, by site; none of a site without any."""
    head, values = db.keyed(("id",), [(one,) for one in sites])
    rows = db.execute(
        f"{head} SELECT id, sum(clients_mean * (end_ms - start_ms)),"
        " sum(CASE WHEN clients_mean IS NULL THEN 0 ELSE end_ms - start_ms END),"
        " sum(covered_ms / CAST(CASE WHEN routers > 0 THEN routers ELSE 1 END AS DOUBLE PRECISION))"
        " FROM key CROSS JOIN rollup WHERE scope = 'site' AND scope_id = id AND length = ?"
        " AND start_ms >= ? AND start_ms < ? GROUP BY id",
        (*values, window, *span),
    )
    return {row[0]: SiteSums(float(row[1] or 0), int(row[2]), float(row[3])) for row in rows}


def known_time(
    db: Database, window: Window, asked: Sequence[tuple[int, Span]], *, whole_too: bool = True
) -> Iterator[KnownTime]:
    """Of routers, each in a stretch of time; a few rows at a time, and in no order.

    `whole_too`: also those that samples cover all but a hundredth of, and in which the internet
    always answered.
    """
    head, values = db.keyed(("one", "from_ms", "to_ms"), [(one, *span) for one, span in asked])
    for row in db.stream(
        f"{head} SELECT one, start_ms, end_ms, covered_ms, observed_ms, reach_rounds,"
        " reach_answered FROM key CROSS JOIN rollup WHERE scope = 'router' AND scope_id = one"
        " AND length = ? AND start_ms >= from_ms AND start_ms < to_ms"
        f"{'' if whole_too else _PARTLY_KNOWN}",
        (*values, window),
    ):
        yield KnownTime(*row)


def bytes_of_routers(db: Database, span: Span) -> list[RouterBytes]:
    """Of registered routers that have any minute that begins in a stretch of time."""
    names = ("wifi_down", "wifi_up", "uplink_down", "uplink_up")
    sums = ", ".join(f"CAST(sum({name}_bytes) AS BIGINT)" for name in names)
    ends = ", ".join(
        f"max(CASE WHEN {name}_known_ms > 0 THEN end_ms END)" for name in ("wifi", "uplink")
    )
    rows = db.execute(
        # CROSS, so that SQLite looks for each router's minutes and reads no others.
        f"SELECT router.name, {sums}, {ends} FROM router CROSS JOIN rollup"
        " WHERE router.registered = 1 AND rollup.scope = 'router' AND rollup.scope_id = router.id"
        " AND length = '1m' AND start_ms >= ? AND start_ms < ? GROUP BY router.name",
        span,
    )
    return [RouterBytes(*row) for row in rows]


def count_windows(db: Database, window: Window, asked: Sequence[tuple[int, Span]]) -> list[int]:
    """How many there are of routers, each in a stretch of time; in the order of what is asked."""
    head, values = db.keyed(
        ("n", "one", "from_ms", "to_ms"), [(n, one, *span) for n, (one, span) in enumerate(asked)]
    )
    found = [0] * len(asked)
    for n, count in db.stream(
        f"{head} SELECT n, count(*) FROM key CROSS JOIN rollup WHERE scope = 'router'"
        " AND scope_id = one AND length = ? AND start_ms >= from_ms AND start_ms < to_ms"
        " GROUP BY n",
        (*values, window),
    ):
        found[n] = count
    return found


def known_beside(db: Database, series: Series, span: Span) -> tuple[int | None, int | None]:
    """The starts of the nearest windows before and after with samples; None: there is none."""
    before = db.execute(
        f"SELECT start_ms FROM rollup WHERE {_OF_SERIES} AND covered_ms > 0 AND start_ms < ?"
        " ORDER BY start_ms DESC LIMIT 1",
        (*series, span.start_ms),
    ).fetchone()
    after = db.execute(
        f"SELECT start_ms FROM rollup WHERE {_OF_SERIES} AND covered_ms > 0 AND start_ms >= ?"
        " ORDER BY start_ms LIMIT 1",
        (*series, span.end_ms),
    ).fetchone()
    return (before and int(before[0])), (after and int(after[0]))


def first_hours(db: Database, routers: Sequence[int]) -> dict[int, int]:
    """When the first hour with samples of each of some routers began."""
    head, values = db.keyed(("one",), [(router_id,) for router_id in routers])
    rows = db.execute(
        f"{head} SELECT one, (SELECT start_ms FROM rollup WHERE scope = 'router'"
        " AND scope_id = one AND length = '1h' AND covered_ms > 0 ORDER BY start_ms LIMIT 1)"
        " FROM key",
        values,
    )
    return {router_id: start_ms for router_id, start_ms in rows if start_ms is not None}


def one(db: Database, key: WindowKey) -> RollupRow:
    """A window that is there."""
    end_ms, revision, *figures = db.execute(
        f"SELECT end_ms, revision, {COLUMNS} FROM rollup WHERE {_OF_SERIES} AND start_ms = ?", key
    ).fetchone()
    return RollupRow(end_ms, revision, Figures._make(figures))


def put(db: Database, rows: Iterable[tuple[WindowKey, RollupRow]]) -> None:
    """Rows, each instead of the one of the same window."""
    db.executemany(_PUT, [(*key, row.end_ms, row.revision, *row.figures) for key, row in rows])


def newest(db: Database, series: Series, before_ms: int) -> int | None:
    """The start of the newest window that begins before a time."""
    (start_ms,) = db.execute(
        f"SELECT max(start_ms) FROM rollup WHERE {_OF_SERIES} AND start_ms < ?",
        (*series, before_ms),
    ).fetchone()
    return None if start_ms is None else int(start_ms)


def newest_over(db: Database, series: Series, until_ms: int) -> int | None:
    """The start of the newest window that ended then or before."""
    row = db.execute(
        f"SELECT start_ms FROM rollup WHERE {_OF_SERIES} AND end_ms <= ?"
        " ORDER BY start_ms DESC LIMIT 1",
        (*series, until_ms),
    ).fetchone()
    return None if row is None else int(row[0])
