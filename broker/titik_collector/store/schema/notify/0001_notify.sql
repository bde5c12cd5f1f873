-- What `titik notify` did, and what it has to say itself. Times are milliseconds since 1970 UTC.

-- One try to hand a message over, or why there is none. A row is added, and deleted when it is old.
CREATE TABLE delivery (
  number INTEGER PRIMARY KEY,
  box TEXT NOT NULL CHECK (box IN ('store', 'own')),  -- of the collector, or own_message
  message INTEGER NOT NULL,  -- its number there
  made_ms INTEGER NOT NULL,  -- of the message: a store that was restored gives numbers again
  incident INTEGER,
  receiver TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN
    ('delivered', 'failed', 'refused', 'ended', 'expired', 'merged', 'capped')),
  detail TEXT  -- why, in words
) STRICT;
CREATE INDEX delivery_at ON delivery (at_ms);

-- Messages about the server that no collector could write: the outbox of `titik notify` itself.
CREATE TABLE own_message (
  number INTEGER PRIMARY KEY,  -- given when it was made, before it could be written
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  what TEXT NOT NULL,
  from_ms INTEGER NOT NULL,
  receiver TEXT NOT NULL,
  made_ms INTEGER NOT NULL,
  message TEXT NOT NULL  -- JSON: see own_messages.py
) STRICT;
CREATE INDEX own_message_made ON own_message (made_ms);

-- Such as which store was served last.
CREATE TABLE remembered (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
