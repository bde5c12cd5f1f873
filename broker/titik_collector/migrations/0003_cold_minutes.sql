-- Minutes of one hour that nothing has changed for days, packed; `rollup` has all the others.
-- They go back into `rollup` when something changes them after all.
CREATE TABLE cold (
  scope TEXT NOT NULL CHECK (scope IN ('router', 'site', 'city')),
  scope_id INTEGER NOT NULL,
  hour_ms INTEGER NOT NULL,  -- of UTC
  packed BLOB NOT NULL,  -- deflated JSON: every column's values
  PRIMARY KEY (scope, scope_id, hour_ms)
) STRICT, WITHOUT ROWID;
