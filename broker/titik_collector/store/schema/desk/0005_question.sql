-- What a router was asked last, by people; the collector sends it. A later question takes its place.
CREATE TABLE question (
  router TEXT PRIMARY KEY,
  id TEXT NOT NULL,  -- of the question, as it is on the wire
  actor TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
