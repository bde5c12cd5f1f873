"""The database: every statement, the schema and its rules; what is committed survives."""
