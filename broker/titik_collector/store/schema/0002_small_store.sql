-- A sample's figures are kept for long and its message for a day; counters are part of the sample.

-- The messages as received, in order of arrival, so that the oldest go first and leave no holes.
CREATE TABLE body (
  id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  arrived_ms INTEGER NOT NULL,
  packed BLOB NOT NULL,  -- raw deflate with the preset dictionary
  UNIQUE (run_id, seq)
) STRICT;

INSERT INTO body (run_id, seq, arrived_ms, packed)
SELECT run_id, seq, arrived_ms, body FROM sample ORDER BY arrived_ms;

-- Bytes received and sent by interface, those of every BSS and of the uplink.
ALTER TABLE sample ADD COLUMN counters BLOB NOT NULL DEFAULT x'';

UPDATE sample SET counters = coalesce((
  SELECT pack_counters(interface_id, rx_bytes, tx_bytes) FROM counter
  WHERE counter.run_id = sample.run_id AND counter.seq = sample.seq), x'');

DROP TABLE counter;

ALTER TABLE sample DROP COLUMN body;

-- A believed clock says where the sample is, so its time need not stand there twice.
ALTER TABLE sample ADD COLUMN clocked INTEGER NOT NULL DEFAULT 0 CHECK (clocked IN (0, 1));

UPDATE sample SET clocked = 1 WHERE taken_ms IS NOT NULL;

DROP INDEX sample_unclocked;

ALTER TABLE sample DROP COLUMN taken_ms;

ALTER TABLE sample ADD COLUMN taken_ms INTEGER
  GENERATED ALWAYS AS (CASE clocked WHEN 1 THEN at_ms END) VIRTUAL;
