-- What people are told: alerts as they stand, their history, incidents, and the outbox.

CREATE TABLE incident (
  id INTEGER PRIMARY KEY,
  scope TEXT NOT NULL CHECK (scope IN ('router', 'site', 'group', 'city', 'server')),
  subject TEXT NOT NULL,  -- the name within the scope
  kind TEXT NOT NULL,  -- of the alert that it is named after
  severity TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
  from_ms INTEGER NOT NULL,
  opened_ms INTEGER NOT NULL,
  resolved_ms INTEGER,  -- NULL: it goes on
  message_ms INTEGER  -- when its first message was planned; NULL: it has none
) STRICT;

CREATE INDEX incident_by_end ON incident (resolved_ms);

-- Without a row an alert is inactive.
CREATE TABLE alert (
  kind TEXT NOT NULL,
  scope TEXT NOT NULL CHECK (scope IN ('router', 'site', 'group', 'city', 'server')),
  subject TEXT NOT NULL,
  phase TEXT NOT NULL CHECK (phase IN ('inactive', 'pending', 'firing', 'recovering')),
  known INTEGER NOT NULL CHECK (known IN (0, 1)),  -- 0: its condition is not known now
  since_ms INTEGER NOT NULL,
  from_ms INTEGER,  -- when what it is about began
  seen_ms INTEGER,  -- when its condition was last known
  held_ms INTEGER NOT NULL,  -- for how long `for` or `keep` has run
  incident_id INTEGER REFERENCES incident (id),
  value REAL,
  PRIMARY KEY (kind, scope, subject)
) STRICT, WITHOUT ROWID;

-- Each change of an alert; kept for ever.
CREATE TABLE alert_event (
  id INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  kind TEXT NOT NULL,
  scope TEXT NOT NULL,
  subject TEXT NOT NULL,
  was TEXT NOT NULL,
  became TEXT NOT NULL,
  why TEXT NOT NULL,
  incident_id INTEGER REFERENCES incident (id)  -- that the alert was part of then
) STRICT;

CREATE INDEX alert_event_by_time ON alert_event (at_ms);

CREATE INDEX alert_event_by_incident ON alert_event (incident_id);

-- The outbox: a message to one receiver, not before a moment. A number is never given twice,
-- because deliveries and mails refer to it.
CREATE TABLE notification (
  id INTEGER PRIMARY KEY,
  incident_id INTEGER REFERENCES incident (id),  -- NULL: a digest or a test
  receiver TEXT NOT NULL,
  made_ms INTEGER NOT NULL,
  due_ms INTEGER NOT NULL,
  message TEXT NOT NULL,  -- JSON: see outbox_rows.py
  is_uncapped INTEGER NOT NULL CHECK (is_uncapped IN (0, 1)),
  withdrawn_ms INTEGER  -- since when it is not to be sent; NULL: it is
) STRICT;

CREATE INDEX notification_by_time ON notification (due_ms);

CREATE INDEX notification_by_incident ON notification (incident_id);

-- Who works, and the last sign of life of each.
CREATE TABLE beat (
  name TEXT PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  detail TEXT
) STRICT, WITHOUT ROWID;

-- A router may be away because its firmware was changed.
PRAGMA writable_schema = ON;

UPDATE sqlite_schema SET sql = replace(sql, '''agent restart'', ''server'')',
  '''agent restart'', ''firmware upgrade'', ''server'')')
WHERE type = 'table' AND name = 'outage';

PRAGMA writable_schema = RESET;
