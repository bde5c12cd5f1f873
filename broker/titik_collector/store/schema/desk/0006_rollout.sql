-- Upgrades of the city's routers in waves, as people ordered them. The newest counts.
CREATE TABLE rollout (
  number INTEGER PRIMARY KEY,
  version TEXT NOT NULL,
  scope TEXT NOT NULL CHECK (scope IN ('city', 'site', 'tag')),
  name TEXT NOT NULL,  -- of the site or the tag
  canaries INTEGER NOT NULL,
  percent INTEGER NOT NULL,  -- of the routers, in each wave
  actor TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('runs', 'paused', 'stopped')),
  resumes INTEGER NOT NULL  -- how often somebody let it go on
) STRICT;
