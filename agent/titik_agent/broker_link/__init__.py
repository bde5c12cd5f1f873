"""The way to the broker: connect, send what the spool holds, wait longer after each failure."""
