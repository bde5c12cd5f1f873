-- The report of the last month as it is mailed, for `titik notify`; a later month takes its place.
CREATE TABLE posted_report (
  period TEXT NOT NULL,  -- such as `2026-11`
  revision INTEGER NOT NULL,  -- 0: provisional
  language TEXT NOT NULL,
  made_ms INTEGER NOT NULL,
  body BLOB NOT NULL,  -- deflated JSON of the report
  pdf BLOB,  -- NULL: none could be made
  PRIMARY KEY (period, revision, language)
) STRICT, WITHOUT ROWID;
