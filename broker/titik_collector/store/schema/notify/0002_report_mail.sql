-- Mails with the report of a month: one row before the first try, which is never changed. What
-- became of the tries is in `delivery`, with box 'own'; numbers of own_message are far above these.
CREATE TABLE report_mail (
  number INTEGER PRIMARY KEY,
  period TEXT NOT NULL,  -- such as `2026-11`
  revision INTEGER NOT NULL,  -- 0: provisional
  receiver TEXT NOT NULL,
  made_ms INTEGER NOT NULL,
  headline TEXT NOT NULL  -- JSON: the figures that it has
) STRICT;
