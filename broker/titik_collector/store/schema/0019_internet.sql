-- The rounds of `reach`: in a sample as its run has counted them, in a rollup what they grew by.
-- As in 0008, ALTER TABLE would read all rows.
PRAGMA writable_schema = ON;

UPDATE sqlite_schema SET sql = replace(sql, 'claim_ms INTEGER',
  'claim_ms INTEGER, reach_answered INTEGER, reach_rounds INTEGER')
WHERE type = 'table' AND name = 'sample';

UPDATE sqlite_schema SET sql = replace(sql, 'uplink_up_bps INTEGER',
  'uplink_up_bps INTEGER, reach_answered INTEGER NOT NULL DEFAULT 0,'
  || ' reach_rounds INTEGER NOT NULL DEFAULT 0')
WHERE type = 'table' AND name = 'rollup';

PRAGMA writable_schema = RESET;
