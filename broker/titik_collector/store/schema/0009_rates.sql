-- The throughput of a site and of the city is the sum of their routers' rates. Rows from before
-- lack it until the background has computed it (see restate.py); `restate` says what is left.
-- As in 0008, ALTER TABLE would read all of them.
PRAGMA writable_schema = ON;

UPDATE sqlite_schema SET sql = replace(sql, 'airtime_active_ms INTEGER NOT NULL',
  'airtime_active_ms INTEGER NOT NULL, wifi_down_bps INTEGER, wifi_up_bps INTEGER,'
  || ' uplink_down_bps INTEGER, uplink_up_bps INTEGER')
WHERE type = 'table' AND name = 'rollup';

PRAGMA writable_schema = RESET;

-- Windows of a site or the city that begin before `before_ms` are still to be looked at.
CREATE TABLE restate (
  scope TEXT NOT NULL CHECK (scope = 'site' OR scope = 'city'),
  scope_id INTEGER NOT NULL,
  window TEXT NOT NULL CHECK (window = '1m' OR window = '1h' OR window = '1d'),
  before_ms INTEGER NOT NULL,
  PRIMARY KEY (scope, scope_id, window)
) STRICT, WITHOUT ROWID;

INSERT INTO restate
SELECT scope, id, window, 1 << 62
FROM (SELECT 'site' AS scope, id FROM site UNION ALL SELECT 'city', 0)
CROSS JOIN (SELECT '1m' AS window UNION ALL SELECT '1h' UNION ALL SELECT '1d')
WHERE EXISTS (SELECT 1 FROM rollup);

DROP VIEW v_rollup;

CREATE VIEW v_rollup AS
SELECT rollup.window, rollup.scope,
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
