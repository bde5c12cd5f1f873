"""The database: every statement, the schema and its rules; what is committed survives.

A file is named after its table, or after the file above that it is for: `x_rows` is for `x`.
Some tables have older names: `dirty` is in changed_span_rows, `rollup_news` in unpublished, `stale`
in waiting_hours, `cold` in packed_minutes. `quarantine` and `tally` are in malformed, `knock` in
unknown_routers.
"""
