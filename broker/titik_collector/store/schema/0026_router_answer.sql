-- What each router was asked last, and what it answered.

CREATE TABLE router_answer (
  router_id INTEGER PRIMARY KEY REFERENCES router (id),
  question TEXT NOT NULL,  -- its id
  sent_ms INTEGER NOT NULL,  -- when the collector sent it, or saw that it could not
  ended_ms INTEGER,  -- answered or given up; NULL: neither yet
  why TEXT CHECK (why = 'offline' OR why = 'silent' OR why = 'not offered'),  -- there is no answer
  body TEXT  -- JSON of the answer
) STRICT;
