"""Table `report_mail` of `titik notify`: which report was mailed to which receiver, and what of it.

Rule: what became of a mail is read from the tries in `delivery`.
"""

from typing import NamedTuple

from titik_collector.store.database import Database, insert
from titik_collector.store.delivery_rows import Outcome


class ReportMailRow(NamedTuple):
    """One mail to one receiver."""

    number: int
    period: str
    revision: int  # 0: provisional
    receiver: str
    made_ms: int
    headline: str  # JSON


class KnownReportMail(NamedTuple):
    """The same, with what became of it."""

    row: ReportMailRow
    outcome: Outcome | None  # None: nothing that is final


_COLUMNS = ", ".join(f"m.{name}" for name in ReportMailRow._fields)
# Numbers of own messages are milliseconds since 1970, so that none of them is one of these.
_ALL = (
    f"SELECT {_COLUMNS}, (SELECT min(d.outcome) FROM delivery AS d WHERE d.box = 'own'"
    " AND d.message = m.number AND d.made_ms = m.made_ms AND d.outcome <> 'failed')"
    " FROM report_mail AS m ORDER BY m.number"
)


def add(db: Database, row: ReportMailRow) -> None:
    """Part of the caller's transaction."""
    db.execute(insert("report_mail", ReportMailRow._fields), row)


def all_of(db: Database) -> list[KnownReportMail]:
    """Those that are kept, the oldest first."""
    return [KnownReportMail(ReportMailRow(*row[:-1]), row[-1]) for row in db.execute(_ALL)]


def prune(db: Database, before_ms: int) -> None:
    """Part of the caller's transaction."""
    db.execute("DELETE FROM report_mail WHERE made_ms < ?", (before_ms,))
