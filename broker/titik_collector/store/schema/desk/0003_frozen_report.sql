-- Reports as they were frozen. A later revision stands beside the earlier ones.
CREATE TABLE frozen_report (
  period TEXT NOT NULL,  -- `2026-11`, or `2026`
  kind TEXT NOT NULL CHECK (kind IN ('city', 'provider', 'district', 'site')),
  name TEXT NOT NULL,  -- of the provider, district or site in lower case; of the city empty
  revision INTEGER NOT NULL,
  frozen_ms INTEGER NOT NULL,
  body BLOB NOT NULL,  -- deflated JSON of the report
  PRIMARY KEY (period, kind, name, revision)
) STRICT, WITHOUT ROWID;
