-- In a flood samples are committed and acknowledged as they came, and placed in time afterwards.

CREATE TABLE waiting (
  id INTEGER PRIMARY KEY,  -- in order of acceptance, which is the order of placing
  samples INTEGER NOT NULL,
  packed BLOB NOT NULL  -- the messages as received, see placing.py
) STRICT;
