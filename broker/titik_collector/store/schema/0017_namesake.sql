-- Two devices that used one router's name, as long as they did.

CREATE TABLE namesake (
  router_id INTEGER NOT NULL REFERENCES router (id),
  from_ms INTEGER NOT NULL,  -- when it was noticed first
  last_ms INTEGER NOT NULL,  -- and last
  times INTEGER NOT NULL,  -- how often one came back after the other
  PRIMARY KEY (router_id, from_ms)
) STRICT, WITHOUT ROWID;
