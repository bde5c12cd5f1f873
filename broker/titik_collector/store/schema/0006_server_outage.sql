-- A fault of the server is in no router's outage.

-- When the collector could not hear its routers, and why. What is read afterwards from what
-- routers had spooled is a `line`: they could not reach the server, and the internet was fine.
CREATE TABLE server_outage (
  from_ms INTEGER PRIMARY KEY,
  to_ms INTEGER NOT NULL,
  what TEXT NOT NULL CHECK (what IN ('broker', 'store', 'collector', 'line')),
  reason TEXT NOT NULL  -- in words
) STRICT;

-- From when to when a router had no valid credential.
CREATE TABLE revocation (
  router_id INTEGER NOT NULL REFERENCES router (id),
  from_ms INTEGER NOT NULL,
  to_ms INTEGER,  -- NULL: it is not let in again
  PRIMARY KEY (router_id, from_ms)
) STRICT, WITHOUT ROWID;

DROP VIEW v_outage;

CREATE TABLE outage_with_evidence (
  id INTEGER PRIMARY KEY,
  router_id INTEGER NOT NULL REFERENCES router (id),
  from_ms INTEGER NOT NULL,
  to_ms INTEGER,  -- NULL: not over
  cause TEXT NOT NULL DEFAULT 'unknown' CHECK (cause IN ('unknown', 'power cut', 'reboot',
    'uplink lost', 'agent crash', 'agent restart', 'server')),
  evidence TEXT,  -- in words, where the cause needs more than itself
  UNIQUE (router_id, from_ms)
) STRICT;

INSERT INTO outage_with_evidence SELECT id, router_id, from_ms, to_ms, cause, NULL FROM outage;

DROP TABLE outage;

ALTER TABLE outage_with_evidence RENAME TO outage;

CREATE INDEX outage_by_end ON outage (to_ms);  -- those of the last hour are looked at again

-- When routers were away, and why if it can be known; the time of server outages does not count.
CREATE VIEW v_outage AS
SELECT router.name AS router,
  strftime('%Y-%m-%dT%H:%M:%SZ', outage.from_ms / 1000, 'unixepoch') AS from_at,
  strftime('%Y-%m-%dT%H:%M:%SZ', outage.to_ms / 1000, 'unixepoch') AS to_at,
  max(0, outage.to_ms - outage.from_ms - coalesce((  -- a line and a collector may fail at once
    SELECT sum(min(deaf.to_ms, outage.to_ms) - max(deaf.from_ms, outage.from_ms))
    FROM server_outage AS deaf
    WHERE deaf.to_ms > outage.from_ms AND deaf.from_ms < outage.to_ms), 0)) / 1000 AS length_s,
  cause
FROM outage JOIN router ON router.id = outage.router_id WHERE cause != 'server';

-- When the collector could not hear its routers.
CREATE VIEW v_server_outage AS
SELECT strftime('%Y-%m-%dT%H:%M:%SZ', from_ms / 1000, 'unixepoch') AS from_at,
  strftime('%Y-%m-%dT%H:%M:%SZ', to_ms / 1000, 'unixepoch') AS to_at,
  (to_ms - from_ms) / 1000 AS length_s, what, reason
FROM server_outage;
