-- What the city wishes of its routers, and what each reported last of what it made of it.

CREATE TABLE router_wish (
  router_id BIGINT NOT NULL REFERENCES router (id),
  kind TEXT COLLATE "C" NOT NULL
    CHECK (kind = 'settings' OR kind = 'certificate' OR kind = 'upgrade'),
  revision BIGINT NOT NULL,  -- stays when a wish is withdrawn, so that none ever falls
  body TEXT COLLATE "C",  -- JSON of the message as of revision 1; NULL: withdrawn
  since_ms BIGINT NOT NULL,
  PRIMARY KEY (router_id, kind)
);

CREATE TABLE router_running (
  router_id BIGINT PRIMARY KEY REFERENCES router (id),
  body TEXT COLLATE "C" NOT NULL,  -- JSON of the message
  arrived_ms BIGINT NOT NULL  -- when a message of this content first came
);
