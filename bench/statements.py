"""How many statements a store is asked.

Rule: an executemany counts once, however many its rows are, and not at all without any. BEGIN and
COMMIT are statements, too.
"""

from collections.abc import Iterable
from typing import Any

from titik_collector.store.database import Values


class Statements:
    """Counts those of one open database, from now on."""

    def __init__(self, db: Any) -> None:
        self.number = 0
        execute, executemany = db.execute, db.executemany

        def counted(sql: str, values: Values = ()) -> Any:
            self.number += 1
            return execute(sql, values)

        def counted_many(sql: str, rows: Iterable[Values]) -> None:
            rows = list(rows)
            then = self.number + bool(rows)
            executemany(sql, rows)
            self.number = then  # whatever an engine makes of it

        db.execute, db.executemany = counted, counted_many
