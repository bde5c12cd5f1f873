-- What people enter, apart from what routers report. Times are milliseconds since 1970 UTC.

-- Who may look at the page, and do what.
CREATE TABLE account (
  name TEXT PRIMARY KEY,
  password TEXT,  -- salted and hashed; NULL: this user comes through a proxy that names it
  role TEXT NOT NULL CHECK (role IN ('viewer', 'operator')),
  language TEXT,  -- NULL: the browser's
  end_ms INTEGER,  -- from then on it opens nothing; NULL: it does not end
  added_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A login in one browser. The secret is in its cookie alone.
CREATE TABLE session (
  secret_hash BLOB PRIMARY KEY,
  account TEXT NOT NULL,
  begun_ms INTEGER NOT NULL,
  seen_ms INTEGER NOT NULL  -- to a few minutes
) STRICT, WITHOUT ROWID;
CREATE INDEX session_account ON session (account, begun_ms);

-- A program or a screen on a wall.
CREATE TABLE token (
  name TEXT PRIMARY KEY,
  secret_hash BLOB NOT NULL UNIQUE,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'operator')),
  added_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who changed what. A row is never changed, and deleted only when it is old.
CREATE TABLE audit (
  number INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  actor TEXT NOT NULL,
  address TEXT,  -- NULL: a command on the server
  action TEXT NOT NULL,
  subject TEXT NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at_ms);

CREATE TRIGGER audit_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'a row of the audit is never changed'); END;
-- Else REPLACE would change a row.
CREATE TRIGGER audit_insert BEFORE INSERT ON audit
WHEN NEW.number IN (SELECT number FROM audit)
BEGIN SELECT RAISE(ABORT, 'a row of the audit is never changed'); END;
-- 30 days are the least that web.audit_days allows.
CREATE TRIGGER audit_delete BEFORE DELETE ON audit
WHEN OLD.at_ms > (CAST(strftime('%s', 'now') AS INTEGER) - 30 * 86400) * 1000
BEGIN SELECT RAISE(ABORT, 'the audit is kept for at least 30 days'); END;
