-- The upgrade of the city's routers in waves that goes on, or the last one.

CREATE TABLE rollout (
  number BIGINT PRIMARY KEY,  -- as people ordered it
  at_ms BIGINT NOT NULL,  -- when they did
  version TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('runs', 'paused', 'halted', 'stopped', 'over')),
  state_ms BIGINT NOT NULL,  -- since when
  failed BIGINT NOT NULL,  -- routers, when it halted by itself
  accepted BIGINT NOT NULL,  -- of these, with which somebody let it go on
  resumes BIGINT NOT NULL  -- how often that was, as far as the collector knows
);

CREATE TABLE rollout_router (
  router_id BIGINT PRIMARY KEY REFERENCES router (id),
  wave BIGINT NOT NULL,  -- 0: a canary
  asked_ms BIGINT,  -- NULL: not yet
  fate TEXT COLLATE "C" CHECK (
    fate IN ('upgraded', 'refused', 'rolled-back', 'silent', 'restarts', 'unanswered')
  ),
  fate_ms BIGINT,
  reason TEXT COLLATE "C",
  runs BIGINT NOT NULL,  -- that it had when it was asked
  restarts BIGINT NOT NULL  -- in the hour before
);
