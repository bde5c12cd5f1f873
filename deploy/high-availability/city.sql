-- once, on the primary: sudo -u postgres psql -f city.sql
CREATE ROLE titik LOGIN PASSWORD 'CITY-PASSWORD';
CREATE DATABASE city OWNER titik;
