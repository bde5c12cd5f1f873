"""On a server: the right of the collector's role to read what people entered about alerts.

Rule: it reads the tables that it needs and no other, so hashes of passwords stay the page's.
Rule: whoever owns the desk gives it, so an operator need not.
"""

from titik_collector.store.database import Database

READ = ("acknowledgement", "silence", "maintenance", "question", "rollout")
READ_OF_DELIVERIES = ("delivery",)


def give(db: Database, store_schema: str, desk_schema: str, tables: tuple[str, ...] = READ) -> bool:
    """Whether something was given; nothing is where one role has both, or this one owns neither."""
    found = db.execute(
        "SELECT r.rolname FROM pg_namespace AS n JOIN pg_roles AS r ON r.oid = n.nspowner"
        " WHERE n.nspname = ? AND NOT pg_has_role(r.oid, (SELECT nspowner FROM pg_namespace"
        " WHERE nspname = ?), 'USAGE')",
        (store_schema, desk_schema),
    ).fetchone()
    if found is None:
        return False
    role = str(found[0])
    missing = [one for one in tables if not _may_read(db, role, desk_schema, one)]
    if not missing or not _is_owner(db, desk_schema):
        return False
    quoted = '"' + role.replace('"', '""') + '"'
    named = ", ".join(f'"{desk_schema}".{one}' for one in missing)
    with db.transaction():
        db.execute(f'GRANT USAGE ON SCHEMA "{desk_schema}" TO {quoted}')
        db.execute(f"GRANT SELECT ON {named} TO {quoted}")
    return True


def _may_read(db: Database, role: str, schema: str, table: str) -> bool:
    sql = (
        "SELECT has_schema_privilege(?, ?, 'USAGE') AND has_table_privilege(?, c.oid, 'SELECT')"
        " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = ? AND c.relname = ?"
    )
    found = db.execute(sql, (role, schema, role, schema, table)).fetchone()
    return found is None or bool(found[0])


def _is_owner(db: Database, schema: str) -> bool:
    sql = "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = ?"
    found = db.execute(sql, (schema,)).fetchone()
    return found is not None and bool(found[0])
