-- once, on the primary: sudo -u postgres psql -f city.sql
CREATE ROLE titik LOGIN PASSWORD 'CITY-PASSWORD';
CREATE DATABASE city OWNER titik;
GRANT pg_read_all_stats TO titik;  -- else a server that follows is a row without a state
