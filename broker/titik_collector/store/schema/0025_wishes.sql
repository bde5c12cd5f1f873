-- What the city wishes of its routers, and what each reported last of what it made of it.

CREATE TABLE router_wish (
  router_id INTEGER NOT NULL REFERENCES router (id),
  kind TEXT NOT NULL CHECK (kind = 'settings' OR kind = 'certificate' OR kind = 'upgrade'),
  revision INTEGER NOT NULL,  -- stays when a wish is withdrawn, so that none ever falls
  body TEXT,  -- JSON of the message as of revision 1; NULL: withdrawn
  since_ms INTEGER NOT NULL,
  PRIMARY KEY (router_id, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE router_running (
  router_id INTEGER PRIMARY KEY REFERENCES router (id),
  body TEXT NOT NULL,  -- JSON of the message
  arrived_ms INTEGER NOT NULL  -- when a message of this content first came
) STRICT;
