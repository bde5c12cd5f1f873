-- For IN with three values SQLite builds a table for every row that is written, which took longer
-- than the row. The same written with OR; only the text of the schema changes.
PRAGMA writable_schema = ON;

UPDATE sqlite_schema SET sql = replace(replace(replace(sql,
  'scope IN (''router'', ''site'', ''city'')', 'scope = ''router'' OR scope = ''site'' OR scope = ''city'''),
  'window IN (''1m'', ''1h'', ''1d'')', 'window = ''1m'' OR window = ''1h'' OR window = ''1d'''),
  'quality IN (''ntp'', ''arrival'', ''bounded'')', 'quality = ''ntp'' OR quality = ''arrival'' OR quality = ''bounded''')
WHERE type = 'table';

PRAGMA writable_schema = RESET;
