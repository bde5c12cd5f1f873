-- What a site is beside its place: provider, opening hours and the like, with what was true when.

CREATE TABLE site_fact (
  site_id BIGINT NOT NULL REFERENCES site (id),
  name TEXT COLLATE "C" NOT NULL,  -- the key of the configuration
  from_ms BIGINT NOT NULL,  -- 0: the first value, which counts for all time before too
  value TEXT COLLATE "C",  -- NULL: not given from that moment on
  PRIMARY KEY (site_id, name, from_ms)
);
