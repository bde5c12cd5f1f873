-- What a site is beside its place: provider, opening hours and the like, with what was true when.

CREATE TABLE site_fact (
  site_id INTEGER NOT NULL REFERENCES site (id),
  name TEXT NOT NULL,  -- the key of the configuration
  from_ms INTEGER NOT NULL,  -- 0: the first value, which counts for all time before too
  value TEXT,  -- NULL: not given from that moment on
  PRIMARY KEY (site_id, name, from_ms)
) WITHOUT ROWID;
