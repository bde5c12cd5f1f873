"""The table of rollups: written where the content changed, told to engineers, read as messages.

Rule: `revision` counts changes of content. A window of which nothing is known any more stays,
empty, because engineers have been told another figure for it.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from titik_collector.figures.figures import MAX_WHOLE, Figures, is_empty, with_rates
from titik_collector.figures.scope import Scope
from titik_collector.figures.windows import Span, Window
from titik_collector.store.database import Database
from titik_wire.messages import Rollup

# A minute that is older when it changes is not told: a backfill would be a flood.
MINUTE_NEWS_MS = 600_000
Key = tuple[Scope, int, Window, int]  # scope, its id, window, start
COLUMNS = ", ".join(Figures._fields)


class Rolled(NamedTuple):
    """One row: the summary of a window."""

    end_ms: int
    revision: int
    figures: Figures


def read(
    db: Database, scope: Scope, scope_id: int, window: Window, span: Span
) -> dict[int, Rolled]:
    """The windows that begin in `span`, by their start."""
    rows = db.execute(
        f"SELECT start_ms, end_ms, revision, {COLUMNS} FROM rollup"
        " WHERE scope = ? AND scope_id = ? AND window = ? AND start_ms >= ? AND start_ms < ?",
        (scope, scope_id, window, *span),
    )
    return {row[0]: Rolled(row[1], row[2], Figures._make(row[3:])) for row in rows}


def write(
    db: Database,
    scope: Scope,
    scope_id: int,
    window: Window,
    span: Span,
    computed: Mapping[Span, Figures],
    now_ms: int,
) -> list[int]:
    """Make the windows that begin in `span` be what was computed; the starts of those changed."""
    before = read(db, scope, scope_id, window, span)
    key = (scope, scope_id, window)
    rows: list[tuple[int, int, int, Figures]] = []  # start, end, revision
    for (start_ms, end_ms), every in computed.items():
        figures = _tellable(every)
        was = before.pop(start_ms, None)
        if was is None:
            if not is_empty(figures):
                rows.append((start_ms, end_ms, 1, figures))
        elif was.figures != figures and not (is_empty(was.figures) and is_empty(figures)):
            rows.append((start_ms, end_ms, was.revision + 1, figures))
    for start_ms, was in before.items():  # nothing is known of them any more
        if not is_empty(was.figures):
            nothing = Figures(routers=was.figures.routers)
            rows.append((start_ms, was.end_ms, was.revision + 1, nothing))
    _insert(db, key, rows)
    oldest_ms = now_ms - MINUTE_NEWS_MS if window == "1m" else -1
    _publish_later(db, key, [start_ms for start_ms, end_ms, *_ in rows if end_ms > oldest_ms])
    return [row[0] for row in rows]


def replace(
    db: Database,
    scope: Scope,
    scope_id: int,
    window: Window,
    rows: Mapping[int, Rolled],
    publish_from_ms: int = 0,
) -> None:
    """Put rows in the place of those that begin then; late hours and days are published again."""
    key = (scope, scope_id, window)
    _insert(db, key, [(start_ms, *row) for start_ms, row in rows.items()])
    if window != "1m":
        _publish_later(db, key, [start_ms for start_ms in rows if start_ms >= publish_from_ms])


def _insert(
    db: Database,
    key: tuple[Scope, int, Window],
    rows: Iterable[tuple[int, int, int, Figures]],  # start, end, revision
) -> None:
    db.executemany(
        f"INSERT OR REPLACE INTO rollup {_INTO}",
        [(*key, *times, *figures) for *times, figures in rows],
    )


def _publish_later(db: Database, key: tuple[Scope, int, Window], starts: Iterable[int]) -> None:
    db.executemany(
        "INSERT OR IGNORE INTO rollup_news (scope, scope_id, window, start_ms) VALUES (?, ?, ?, ?)",
        [(*key, start_ms) for start_ms in starts],
    )


def _tellable(figures: Figures) -> Figures:
    """Within the contract, whatever a router said: one must not silence all."""
    least, most = figures.clients_min, figures.clients_max
    if least is not None and most is not None and least > most:
        figures = figures._replace(clients_min=most)
    if max(filter(None, figures), default=0) <= MAX_WHOLE:
        return figures
    return Figures._make(min(one, MAX_WHOLE) if one else one for one in figures)


def to_message(db: Database, key: Key, name: str) -> Rollup:
    """What engineers are told of the window `key`: scope, its id, window and start."""
    end_ms, revision, *columns = db.execute(
        f"SELECT end_ms, revision, {COLUMNS} FROM rollup"
        " WHERE scope = ? AND scope_id = ? AND window = ? AND start_ms = ?",
        key,
    ).fetchone()
    return message(key, name, Rolled(end_ms, revision, Figures._make(columns)))


def message(key: Key, name: str, row: Rolled) -> Rollup:
    """Ratios and means from sums; what was not seen is absent."""
    scope, _, window, start_ms = key
    one = row.figures
    length_ms = (row.end_ms - start_ms) * max(one.routers, 1)
    wifi_ms, uplink_ms = one.wifi_known_ms, one.uplink_known_ms
    if scope == "router":  # rows that are older than the columns have none
        one = with_rates(one)
    return Rollup(
        scope,
        name,
        window,
        start_ms,
        row.revision,
        coverage_ratio=_ratio(one.covered_ms, length_ms) or 0.0,
        clients_mean=one.clients_mean,
        clients_min=one.clients_min,
        clients_max=one.clients_max,
        active_mean=one.active_mean,
        wifi_down_bytes=one.wifi_down_bytes if wifi_ms else None,
        wifi_up_bytes=one.wifi_up_bytes if wifi_ms else None,
        uplink_down_bytes=one.uplink_down_bytes if uplink_ms else None,
        uplink_up_bytes=one.uplink_up_bytes if uplink_ms else None,
        wifi_down_bps=one.wifi_down_bps,
        wifi_up_bps=one.wifi_up_bps,
        uplink_down_bps=one.uplink_down_bps,
        uplink_up_bps=one.uplink_up_bps,
        wifi_down_peak_bps=one.wifi_down_peak_bps,
        uplink_down_peak_bps=one.uplink_down_peak_bps,
        visitors_min=one.visitors_min,
        visitors_max=one.visitors_max,
        # Without any sample it is not known whether the router was powered.
        uptime_ratio=_ratio(one.up_ms, length_ms) if one.up_ms else None,
        weak_ratio=_ratio(one.weak_ms, one.weak_observed_ms),
        airtime_busy_ratio=_ratio(one.airtime_busy_ms, one.airtime_active_ms),
        wifi_coverage_ratio=_ratio(wifi_ms, length_ms) if wifi_ms else None,
        uplink_coverage_ratio=_ratio(uplink_ms, length_ms) if uplink_ms else None,
    )


def _ratio(part: int, whole: int) -> float | None:
    return min(1.0, round(part / whole, 4)) if whole else None


_INTO = (
    f"(scope, scope_id, window, start_ms, end_ms, revision, {COLUMNS})"
    f" VALUES ({', '.join('?' * (6 + len(Figures._fields)))})"
)
