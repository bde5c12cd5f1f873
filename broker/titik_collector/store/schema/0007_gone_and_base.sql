-- Two devices may use one name: what one says of the other's run closes nothing for ever.
-- And the ranges of a run are bounded: below `base` only their numbers are kept.

ALTER TABLE run ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;  -- another run's sample held nothing up to this
ALTER TABLE run ADD COLUMN base INTEGER NOT NULL DEFAULT 0;  -- settled for good up to this, without ranges
ALTER TABLE run ADD COLUMN base_stored INTEGER NOT NULL DEFAULT 0;  -- stored of those up to `base`
ALTER TABLE run ADD COLUMN base_refused INTEGER NOT NULL DEFAULT 0;  -- refused of those; the rest is lost

UPDATE run SET gone = highest WHERE closed = 1;

DROP VIEW v_conservation;

ALTER TABLE run DROP COLUMN closed;

-- The conservation law: taken = stored + refused + lost + in_spool, per router and run.
CREATE VIEW v_conservation AS
WITH bound AS (
  SELECT id, max(base, gone, min(floor, highest)) AS seq FROM run
), counted AS (
  SELECT run.id,
    base_stored + coalesce(sum(CASE kind WHEN 'stored' THEN last_seq - first_seq + 1 END), 0)
      AS stored,
    base_refused + coalesce(sum(CASE kind WHEN 'refused' THEN last_seq - first_seq + 1 END), 0)
      AS refused,
    base_stored + base_refused
      + coalesce(sum(max(0, min(last_seq, bound.seq) - first_seq + 1)), 0) AS settled_below_bound
  FROM run JOIN bound ON bound.id = run.id LEFT JOIN settled ON settled.run_id = run.id
  GROUP BY run.id
)
SELECT router.name AS router, run.token AS run, run.highest AS taken, counted.stored,
  counted.refused, bound.seq - counted.settled_below_bound AS lost,
  run.highest - counted.stored - counted.refused
    - (bound.seq - counted.settled_below_bound) AS in_spool
FROM run JOIN router ON router.id = run.router_id JOIN bound ON bound.id = run.id
JOIN counted ON counted.id = run.id;
