-- For how long flow offload was on, so that bytes may be counted too low. In a sample it is a bit of
-- `sections`. As in 0008, ALTER TABLE would read all rows.
PRAGMA writable_schema = ON;

UPDATE sqlite_schema SET sql = replace(sql, 'reach_rounds INTEGER NOT NULL DEFAULT 0',
  'reach_rounds INTEGER NOT NULL DEFAULT 0, flow_offload_ms INTEGER NOT NULL DEFAULT 0')
WHERE type = 'table' AND name = 'rollup';

PRAGMA writable_schema = RESET;
