-- The table of schema/notify, as PostgreSQL has it.

CREATE TABLE report_mail (
  number BIGINT PRIMARY KEY,
  period TEXT NOT NULL,
  revision BIGINT NOT NULL,
  receiver TEXT NOT NULL,
  made_ms BIGINT NOT NULL,
  headline TEXT NOT NULL
);
