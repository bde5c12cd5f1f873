-- The table of schema/desk, as PostgreSQL has it.

CREATE TABLE question (
  router TEXT PRIMARY KEY,
  id TEXT NOT NULL,
  actor TEXT NOT NULL,
  at_ms BIGINT NOT NULL
);
