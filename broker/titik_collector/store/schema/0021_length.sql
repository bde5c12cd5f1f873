-- The column `window` becomes `length`: another engine reserves that word. The view keeps its columns.

DROP VIEW v_rollup;

ALTER TABLE rollup RENAME COLUMN window TO length;

ALTER TABLE rollup_news RENAME COLUMN window TO length;

ALTER TABLE restate RENAME COLUMN window TO length;

CREATE VIEW v_rollup AS
SELECT rollup.length AS "window", rollup.scope,
  CASE rollup.scope WHEN 'router' THEN router.name WHEN 'site' THEN site.name ELSE 'city' END
    AS name,
  strftime('%Y-%m-%dT%H:%M:%SZ', rollup.start_ms / 1000, 'unixepoch') AS window_start,
  rollup.revision, rollup.clients_mean, rollup.clients_min, rollup.clients_max,
  rollup.wifi_down_bytes, rollup.wifi_up_bytes, rollup.uplink_down_bytes, rollup.uplink_up_bytes,
  round(1.0 * rollup.covered_ms / ((rollup.end_ms - rollup.start_ms) * max(rollup.routers, 1)), 4)
    AS coverage_ratio,
  rollup.wifi_down_bps, rollup.wifi_up_bps, rollup.uplink_down_bps, rollup.uplink_up_bps
FROM rollup
LEFT JOIN router ON rollup.scope = 'router' AND router.id = rollup.scope_id
LEFT JOIN site ON rollup.scope = 'site' AND site.id = rollup.scope_id;
