"""A stored window as the message that engineers read."""

from titik_collector.figures.figures import with_rates
from titik_collector.store import rollups
from titik_collector.store.database import Database
from titik_collector.store.rollups import RollupRow, WindowKey
from titik_wire.messages import Rollup


def read(db: Database, key: WindowKey, name: str) -> Rollup:
    """A window that is in the store."""
    return of(key, name, rollups.one(db, key))


def of(key: WindowKey, name: str, row: RollupRow) -> Rollup:
    """Ratios and means from sums; what was not seen is absent."""
    one = row.figures
    length_ms = (row.end_ms - key.start_ms) * max(one.routers, 1)
    wifi_ms, uplink_ms = one.wifi_known_ms, one.uplink_known_ms
    if key.scope == "router":  # rows that are older than the columns have none
        one = with_rates(one)
    return Rollup(
        key.scope,
        name,
        key.window,
        key.start_ms,
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
