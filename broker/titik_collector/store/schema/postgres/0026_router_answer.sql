-- What each router was asked last, and what it answered.

CREATE TABLE router_answer (
  router_id BIGINT PRIMARY KEY REFERENCES router (id),
  question TEXT COLLATE "C" NOT NULL,  -- its id
  sent_ms BIGINT NOT NULL,  -- when the collector sent it, or saw that it could not
  ended_ms BIGINT,  -- answered or given up; NULL: neither yet
  why TEXT COLLATE "C"  -- there is no answer
    CHECK (why = 'offline' OR why = 'silent' OR why = 'not offered'),
  body TEXT COLLATE "C"  -- JSON of the answer
);
