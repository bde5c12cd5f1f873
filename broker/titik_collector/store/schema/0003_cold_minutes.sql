-- Minutes of one day that nothing has changed for a while, packed; `rollup` has all the others.
-- They go back into `rollup` when something changes them after all. With a rowid, because long
-- rows of a table without one fill half of their pages.
CREATE TABLE cold (
  id INTEGER PRIMARY KEY,
  scope TEXT NOT NULL CHECK (scope IN ('router', 'site', 'city')),
  scope_id INTEGER NOT NULL,
  day_ms INTEGER NOT NULL,  -- of UTC
  packed BLOB NOT NULL,  -- deflated JSON: every column's values
  UNIQUE (scope, scope_id, day_ms)
) STRICT;
