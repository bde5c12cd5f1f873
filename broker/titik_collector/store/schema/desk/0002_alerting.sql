-- What people enter about alerts and planned work. No row is deleted; what ends gets its end.

-- Somebody handles an incident of the store.
CREATE TABLE acknowledgement (
  number INTEGER PRIMARY KEY,
  incident INTEGER NOT NULL,
  actor TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  until_ms INTEGER NOT NULL,
  note TEXT NOT NULL
) STRICT;
CREATE INDEX acknowledgement_incident ON acknowledgement (incident);
CREATE INDEX acknowledgement_until ON acknowledgement (until_ms);

-- No message about some alerts for a while.
CREATE TABLE silence (
  number INTEGER PRIMARY KEY,
  scope TEXT NOT NULL CHECK (scope IN ('router', 'site', 'group', 'city', 'server')),
  name TEXT NOT NULL,
  kind TEXT,  -- NULL: alerts of every kind
  from_ms INTEGER NOT NULL,
  until_ms INTEGER NOT NULL,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL,
  ended_ms INTEGER,  -- before until_ms, by somebody; NULL: nobody did
  ended_by TEXT
) STRICT;
CREATE INDEX silence_until ON silence (until_ms);

-- Planned work: one stretch of time, or the same days and hours each week.
CREATE TABLE maintenance (
  number INTEGER PRIMARY KEY,
  scope TEXT NOT NULL CHECK (scope IN ('router', 'site', 'city')),
  name TEXT NOT NULL,
  from_ms INTEGER NOT NULL,
  to_ms INTEGER,  -- NULL: each week, until it is ended
  days TEXT,  -- of each week, such as `mon,thu`; NULL: one stretch
  minute INTEGER,  -- of the city's day at which it begins
  length_ms INTEGER,
  actor TEXT NOT NULL,
  at_ms INTEGER NOT NULL,  -- when it was entered
  reason TEXT NOT NULL,
  is_public INTEGER NOT NULL CHECK (is_public IN (0, 1)),
  is_retroactive INTEGER NOT NULL CHECK (is_retroactive IN (0, 1)),
  ended_ms INTEGER,  -- nothing after it counts; NULL: it ends as planned
  ended_by TEXT
) STRICT;
CREATE INDEX maintenance_to ON maintenance (to_ms);

-- What somebody wrote about an incident.
CREATE TABLE remark (
  number INTEGER PRIMARY KEY,
  incident INTEGER NOT NULL,
  actor TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  text TEXT NOT NULL,
  is_public INTEGER NOT NULL CHECK (is_public IN (0, 1))
) STRICT;
CREATE INDEX remark_incident ON remark (incident);
