-- The upgrade of the city's routers in waves that goes on, or the last one.

CREATE TABLE rollout (
  number INTEGER PRIMARY KEY,  -- as people ordered it
  at_ms INTEGER NOT NULL,  -- when they did
  version TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('runs', 'paused', 'halted', 'stopped', 'over')),
  state_ms INTEGER NOT NULL,  -- since when
  failed INTEGER NOT NULL,  -- routers, when it halted by itself
  accepted INTEGER NOT NULL,  -- of these, with which somebody let it go on
  resumes INTEGER NOT NULL  -- how often that was, as far as the collector knows
) STRICT;

CREATE TABLE rollout_router (
  router_id INTEGER PRIMARY KEY REFERENCES router (id),
  wave INTEGER NOT NULL,  -- 0: a canary
  asked_ms INTEGER,  -- NULL: not yet
  fate TEXT CHECK (
    fate IN ('upgraded', 'refused', 'rolled-back', 'silent', 'restarts', 'unanswered')
  ),
  fate_ms INTEGER,
  reason TEXT,
  runs INTEGER NOT NULL,  -- that it had when it was asked
  restarts INTEGER NOT NULL  -- in the hour before
) STRICT;
