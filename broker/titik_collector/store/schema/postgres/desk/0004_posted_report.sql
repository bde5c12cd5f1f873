-- The table of schema/desk, as PostgreSQL has it.

CREATE TABLE posted_report (
  period TEXT NOT NULL,
  revision BIGINT NOT NULL,
  language TEXT NOT NULL,
  made_ms BIGINT NOT NULL,
  body BYTEA NOT NULL,
  pdf BYTEA,
  PRIMARY KEY (period, revision, language)
);
