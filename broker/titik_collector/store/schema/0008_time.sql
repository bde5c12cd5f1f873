-- What the collector knows of the time; one row, see server_clock.py.
CREATE TABLE server_clock (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  boot TEXT NOT NULL,  -- the server's boot_id, within which its uptime counts
  offset_ms INTEGER NOT NULL,  -- time minus the server's uptime
  sure INTEGER NOT NULL CHECK (sure IN (0, 1)),  -- 1: routers agreed in this boot
  unsure_ms INTEGER NOT NULL,  -- stamps since then were never agreed to
  forget_ms INTEGER NOT NULL,  -- what deletes goes by this; 0: nothing is known yet
  agreed_ms INTEGER,  -- when routers last agreed; NULL: never
  ahead_ms INTEGER NOT NULL,  -- how far the server's own clock is ahead of time
  since_ms INTEGER  -- since when it is wrong; NULL: it is right
) STRICT;

-- Smallest arrival minus uptime of samples that came as they were taken; NULL: not known yet.
ALTER TABLE boot ADD COLUMN prompt_ms INTEGER;

-- The router's NTP clock where it is not believed; NULL where it is, or where there is none.
-- ALTER TABLE does no more, but from SQLite 3.41 on it reads all rows of a STRICT table first.
PRAGMA writable_schema = ON;

UPDATE sqlite_schema SET sql = replace(sql, ' VIRTUAL', ' VIRTUAL, claim_ms INTEGER')
WHERE type = 'table' AND name = 'sample';

PRAGMA writable_schema = RESET;

-- The highest connection of a run that another run followed; NULL of the newest run.
ALTER TABLE run ADD COLUMN connection INTEGER;
