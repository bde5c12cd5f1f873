-- In a flood samples are committed and acknowledged as they came, and placed in time afterwards.

CREATE TABLE waiting (
  id INTEGER PRIMARY KEY,  -- in order of acceptance, which is the order of placing
  run_id INTEGER NOT NULL REFERENCES run (id),
  boot_id INTEGER NOT NULL REFERENCES boot (id),
  arrived_ms INTEGER NOT NULL,
  covered INTEGER NOT NULL,  -- 1: all of its seqs were stored before
  payload BLOB NOT NULL  -- the message as received
) STRICT;
