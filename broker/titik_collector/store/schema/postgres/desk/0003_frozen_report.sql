-- The table of schema/desk, as PostgreSQL has it.

CREATE TABLE frozen_report (
  period TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('city', 'provider', 'district', 'site')),
  name TEXT NOT NULL,
  revision BIGINT NOT NULL,
  frozen_ms BIGINT NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (period, kind, name, revision)
);
