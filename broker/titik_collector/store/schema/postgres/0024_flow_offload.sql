-- For how long flow offload was on, so that bytes may be counted too low. In a sample it is a bit of
-- `sections`.

ALTER TABLE rollup ADD COLUMN flow_offload_ms BIGINT NOT NULL DEFAULT 0;
