-- The collector's store, as the first version that others installed made it. Times are milliseconds since 1970 UTC, durations milliseconds.
-- A sample is identified by (router, run, first_seq, seq); ranges of one run nest or are disjoint.

CREATE TABLE router (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  registered INTEGER NOT NULL CHECK (registered IN (0, 1)),  -- 0: removed; its history stays
  registered_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE site (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,  -- slug
  title TEXT NOT NULL,
  latitude REAL,
  longitude REAL,
  capacity INTEGER,
  uplink_mbps REAL,
  registered INTEGER NOT NULL CHECK (registered IN (0, 1))
) STRICT;

-- Which site a router belonged to from when; a move adds a row and rewrites no history.
CREATE TABLE membership (
  router_id INTEGER NOT NULL REFERENCES router (id),
  from_ms INTEGER NOT NULL,
  site_id INTEGER REFERENCES site (id),  -- NULL: removed from that moment
  PRIMARY KEY (router_id, from_ms)
) STRICT, WITHOUT ROWID;

CREATE TABLE boot (
  id INTEGER PRIMARY KEY,
  router_id INTEGER NOT NULL REFERENCES router (id),
  token TEXT NOT NULL,
  online INTEGER NOT NULL DEFAULT 0,  -- 1: the router spoke while this boot was running
  UNIQUE (router_id, token)
) STRICT;

CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  router_id INTEGER NOT NULL REFERENCES router (id),
  token TEXT NOT NULL,
  boot_id INTEGER REFERENCES boot (id),  -- NULL while only heard of
  highest INTEGER NOT NULL DEFAULT 0,  -- highest seq learnt of
  floor INTEGER NOT NULL DEFAULT 0,  -- the spool has let go of every seq up to this
  closed INTEGER NOT NULL DEFAULT 0,  -- 1: the spool has let go of the whole run
  UNIQUE (router_id, token)
) STRICT;

-- Runs that acks list: from a run's last message until its router says it holds nothing of it.
CREATE TABLE open_run (
  run_id INTEGER PRIMARY KEY REFERENCES run (id),
  touched_ms INTEGER NOT NULL
) STRICT;

-- The duplicate check and the conservation law, kept for ever: disjoint, maximal ranges per kind.
-- Lost is not stored: it is what lies below the floor (closed: below highest) and is not here.
CREATE TABLE settled (
  run_id INTEGER NOT NULL REFERENCES run (id),
  kind TEXT NOT NULL CHECK (kind IN ('stored', 'refused')),
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  PRIMARY KEY (run_id, kind, first_seq)
) STRICT, WITHOUT ROWID;

-- While a boot ran, the spool still held an older run: places boots that were never online.
CREATE TABLE succession (
  older_run_id INTEGER NOT NULL REFERENCES run (id),
  newer_boot_id INTEGER NOT NULL REFERENCES boot (id),
  PRIMARY KEY (older_run_id, newer_boot_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX succession_by_newer ON succession (newer_boot_id);

-- How the samples of a boot are placed in time; written with them.
CREATE TABLE boot_time (
  boot_id INTEGER PRIMARY KEY REFERENCES boot (id),
  router_id INTEGER NOT NULL,
  quality TEXT NOT NULL CHECK (quality = 'ntp' OR quality = 'arrival' OR quality = 'bounded'),
  offset_ms INTEGER,  -- at = uptime + this; NULL where each sample has its own ('ntp')
  arrival_ms INTEGER,  -- smallest arrival minus uptime; NULL where it does not matter ('ntp')
  has INTEGER NOT NULL,  -- what any of its samples has: bits of sections, and 4: client time
  first_ms INTEGER NOT NULL,  -- no figure of the boot is of a time before this
  last_ms INTEGER NOT NULL  -- nor after this; both may be wider than they need to be
) STRICT;

CREATE INDEX boot_time_by_router ON boot_time (router_id, last_ms);

CREATE TABLE sample (
  run_id INTEGER NOT NULL REFERENCES run (id),
  seq INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  router_id INTEGER NOT NULL,
  boot_id INTEGER NOT NULL,
  uptime_ms INTEGER NOT NULL,
  arrived_ms INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,  -- where time resolution places it
  quality TEXT NOT NULL CHECK (quality = 'ntp' OR quality = 'arrival' OR quality = 'bounded'),
  covers_ms INTEGER NOT NULL,
  -- bit 1: has the byte counters of every BSS; bit 2: has those of an uplink
  sections INTEGER NOT NULL,
  clients INTEGER,
  clients_min INTEGER,
  clients_max INTEGER,
  active INTEGER,
  weak INTEGER,
  client_ms INTEGER,
  observed_ms INTEGER,
  visitors INTEGER,
  visitors_since_ms INTEGER,
  airtime_busy_ms INTEGER,
  airtime_active_ms INTEGER,
  counters BLOB NOT NULL DEFAULT x'',  -- bytes received and sent by interface, see counters.py
  clocked INTEGER NOT NULL DEFAULT 0 CHECK (clocked IN (0, 1)),  -- 1: the router's clock is believed
  -- What it shows, if it is believed: it says where the sample is.
  taken_ms INTEGER GENERATED ALWAYS AS (CASE clocked WHEN 1 THEN at_ms END) VIRTUAL,
  PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX sample_by_time ON sample (router_id, at_ms);
CREATE INDEX sample_by_boot ON sample (boot_id, uptime_ms);

-- The messages as received, in order of arrival, so that the oldest go first and leave no holes.
CREATE TABLE body (
  id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  arrived_ms INTEGER NOT NULL,
  packed BLOB NOT NULL,  -- raw deflate with the preset dictionary
  UNIQUE (run_id, seq)
) STRICT;

-- What carries traffic that is accounted.
CREATE TABLE interface (
  id INTEGER PRIMARY KEY,
  router_id INTEGER NOT NULL REFERENCES router (id),
  role TEXT NOT NULL CHECK (role IN ('bss', 'uplink', 'lan')),
  ifname TEXT NOT NULL,
  since TEXT NOT NULL,
  UNIQUE (router_id, role, ifname, since)
) STRICT;

-- Stretches of a router's time whose rollups must be computed again; written with the samples.
CREATE TABLE dirty (
  router_id INTEGER NOT NULL,
  from_ms INTEGER NOT NULL,
  to_ms INTEGER NOT NULL,
  PRIMARY KEY (router_id, from_ms, to_ms)
) STRICT, WITHOUT ROWID;

CREATE INDEX dirty_by_time ON dirty (from_ms);

-- OR, because for IN with three values SQLite builds a table for every row that is written.
-- Additive figures are integers, so that an hour is exactly the sum of its minutes.
CREATE TABLE rollup (
  scope TEXT NOT NULL CHECK (scope = 'router' OR scope = 'site' OR scope = 'city'),
  scope_id INTEGER NOT NULL,  -- router.id, site.id, 0 for the city
  window TEXT NOT NULL CHECK (window = '1m' OR window = '1h' OR window = '1d'),
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  routers INTEGER NOT NULL,  -- most that belonged to the scope at once in the window, 1 for a router
  covered_ms INTEGER NOT NULL,  -- summed over routers, as every additive figure
  up_ms INTEGER NOT NULL,
  observed_ms INTEGER NOT NULL,
  client_ms INTEGER NOT NULL,
  clients_mean REAL,  -- of a site the sum of its routers' means
  clients_min INTEGER,
  clients_max INTEGER,
  active_ms INTEGER NOT NULL,
  active_observed_ms INTEGER NOT NULL,
  active_mean REAL,
  weak_ms INTEGER NOT NULL,
  weak_observed_ms INTEGER NOT NULL,  -- client time in which it was known how many are weak
  wifi_down_bytes INTEGER NOT NULL,
  wifi_up_bytes INTEGER NOT NULL,
  wifi_known_ms INTEGER NOT NULL,
  uplink_down_bytes INTEGER NOT NULL,
  uplink_up_bytes INTEGER NOT NULL,
  uplink_known_ms INTEGER NOT NULL,
  wifi_down_peak_bps INTEGER,
  uplink_down_peak_bps INTEGER,
  visitors_min INTEGER,
  visitors_max INTEGER,
  airtime_busy_ms INTEGER NOT NULL,
  airtime_active_ms INTEGER NOT NULL,
  PRIMARY KEY (scope, scope_id, window, start_ms)
) STRICT, WITHOUT ROWID;

-- Minutes of one day that an earlier version packed; `rollup` has all others (packed_minutes.py).
CREATE TABLE cold (
  id INTEGER PRIMARY KEY,
  scope TEXT NOT NULL CHECK (scope = 'router' OR scope = 'site' OR scope = 'city'),
  scope_id INTEGER NOT NULL,
  day_ms INTEGER NOT NULL,  -- of UTC
  packed BLOB NOT NULL,  -- deflated JSON: every column's values
  UNIQUE (scope, scope_id, day_ms)
) STRICT;

-- What an earlier version acknowledged and had not placed in time, see ingest/waiting.py.
CREATE TABLE waiting (
  id INTEGER PRIMARY KEY,  -- in order of acceptance, which is the order of placing
  samples INTEGER NOT NULL,
  packed BLOB NOT NULL  -- the messages as received
) STRICT;

-- Minutes of a site or the city, within one hour, to be summed again: those of a router changed.
CREATE TABLE stale (
  scope TEXT NOT NULL CHECK (scope IN ('site', 'city')),
  scope_id INTEGER NOT NULL,
  hour_ms INTEGER NOT NULL,
  from_ms INTEGER NOT NULL,
  to_ms INTEGER NOT NULL,
  PRIMARY KEY (scope, scope_id, hour_ms)
) STRICT, WITHOUT ROWID;

-- Rollups not yet published.
CREATE TABLE rollup_news (
  scope TEXT NOT NULL,
  scope_id INTEGER NOT NULL,
  window TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  PRIMARY KEY (scope, scope_id, window, start_ms)
) STRICT, WITHOUT ROWID;

-- One row per router: what `titik status` shows.
CREATE TABLE presence (
  router_id INTEGER PRIMARY KEY REFERENCES router (id),
  state TEXT NOT NULL CHECK (state IN ('online', 'silent', 'offline', 'unknown')),
  said TEXT NOT NULL CHECK (said IN ('online', 'stopping', 'offline', 'unknown')),
  since_ms INTEGER NOT NULL,
  run TEXT,
  connection INTEGER,
  boot TEXT,
  version TEXT,
  model TEXT,
  firmware TEXT,
  heard_ms INTEGER  -- last live sample or status
) STRICT;

CREATE TABLE outage (
  id INTEGER PRIMARY KEY,
  router_id INTEGER NOT NULL REFERENCES router (id),
  from_ms INTEGER NOT NULL,
  to_ms INTEGER,  -- NULL: not over
  cause TEXT NOT NULL DEFAULT 'unknown'
    CHECK (cause IN ('unknown', 'power cut', 'reboot', 'uplink lost', 'agent crash', 'agent restart')),
  UNIQUE (router_id, from_ms)
) STRICT;

-- Malformed messages, newest kept, bounded in number and size.
CREATE TABLE quarantine (
  id INTEGER PRIMARY KEY,
  arrived_ms INTEGER NOT NULL,
  topic TEXT NOT NULL,
  rule TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  head BLOB NOT NULL  -- the first bytes of the payload
) STRICT;

-- At most a few names of unknown routers, for `titik status`.
CREATE TABLE knock (
  name TEXT PRIMARY KEY,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL,
  messages INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Counts that outlive the process: poison, unknown_version, capped, unregistered, sealed, ...
CREATE TABLE tally (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Samples older than this are pruned and their buckets sealed (name 'sealed_before_ms').
CREATE TABLE setting (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Views: what an engineer asks for. docs/operating.md describes them.

-- Every sample that is kept, with names; time as text.
CREATE VIEW v_sample AS
SELECT router.name AS router, run.token AS run, sample.first_seq, sample.seq,
  strftime('%Y-%m-%dT%H:%M:%fZ', sample.at_ms / 1000.0, 'unixepoch') AS at,
  sample.quality, sample.covers_ms, sample.clients, sample.clients_min, sample.clients_max,
  sample.active, sample.weak
FROM sample JOIN run ON run.id = sample.run_id JOIN router ON router.id = sample.router_id;

-- Every rollup with the name of what it is of; `scope` is router, site or city.
CREATE VIEW v_rollup AS
SELECT rollup.window, rollup.scope,
  CASE rollup.scope WHEN 'router' THEN router.name WHEN 'site' THEN site.name ELSE 'city' END
    AS name,
  strftime('%Y-%m-%dT%H:%M:%SZ', rollup.start_ms / 1000, 'unixepoch') AS window_start,
  rollup.revision, rollup.clients_mean, rollup.clients_min, rollup.clients_max,
  rollup.wifi_down_bytes, rollup.wifi_up_bytes, rollup.uplink_down_bytes, rollup.uplink_up_bytes,
  round(1.0 * rollup.covered_ms / ((rollup.end_ms - rollup.start_ms) * max(rollup.routers, 1)), 4)
    AS coverage_ratio
FROM rollup
LEFT JOIN router ON rollup.scope = 'router' AND router.id = rollup.scope_id
LEFT JOIN site ON rollup.scope = 'site' AND site.id = rollup.scope_id;

-- The conservation law: taken = stored + refused + lost + in_spool, per router and run.
CREATE VIEW v_conservation AS
WITH bound AS (
  SELECT id, CASE closed WHEN 1 THEN highest ELSE min(floor, highest) END AS seq FROM run
), counted AS (
  SELECT run.id,
    coalesce(sum(CASE kind WHEN 'stored' THEN last_seq - first_seq + 1 END), 0) AS stored,
    coalesce(sum(CASE kind WHEN 'refused' THEN last_seq - first_seq + 1 END), 0) AS refused,
    coalesce(sum(max(0, min(last_seq, bound.seq) - first_seq + 1)), 0) AS settled_below_bound
  FROM run JOIN bound ON bound.id = run.id LEFT JOIN settled ON settled.run_id = run.id
  GROUP BY run.id
)
SELECT router.name AS router, run.token AS run, run.highest AS taken, counted.stored,
  counted.refused, bound.seq - counted.settled_below_bound AS lost,
  run.highest - counted.stored - counted.refused
    - (bound.seq - counted.settled_below_bound) AS in_spool
FROM run JOIN router ON router.id = run.router_id JOIN bound ON bound.id = run.id
JOIN counted ON counted.id = run.id;

-- Which routers are at which site now.
CREATE VIEW v_router AS
SELECT router.name AS router, site.name AS site, site.title, router.registered
FROM router
LEFT JOIN membership ON membership.router_id = router.id AND membership.from_ms = (
  SELECT max(from_ms) FROM membership AS newest WHERE newest.router_id = router.id)
LEFT JOIN site ON site.id = membership.site_id;

-- When routers were away, and why if it can be known.
CREATE VIEW v_outage AS
SELECT router.name AS router,
  strftime('%Y-%m-%dT%H:%M:%SZ', from_ms / 1000, 'unixepoch') AS from_at,
  strftime('%Y-%m-%dT%H:%M:%SZ', to_ms / 1000, 'unixepoch') AS to_at,
  (to_ms - from_ms) / 1000 AS length_s, cause
FROM outage JOIN router ON router.id = outage.router_id;
