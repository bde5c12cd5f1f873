-- Minutes are rows until they are removed: nothing packs them any more. A job puts the packed ones
-- back, newest first, and a collector drops the table when it is empty (see packed_minutes.py).

DELETE FROM setting WHERE name = 'cold_before_ms';

INSERT INTO setting (name, value)
SELECT 'packed_before_ms', day_ms + 86400000 FROM cold ORDER BY day_ms DESC LIMIT 1;

-- The defaults are shorter than they were. A store that is in use keeps its days until its operator
-- names others, so an upgrade deletes nothing.
INSERT INTO setting (name, value) SELECT 'samples_days', '30' WHERE EXISTS (SELECT 1 FROM router);

INSERT INTO setting (name, value) SELECT 'minutes_days', '90' WHERE EXISTS (SELECT 1 FROM router);
