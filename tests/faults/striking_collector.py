"""`titik collect` that a fault of its PostgreSQL session strikes, at the moment that is named.

    python -m tests.faults.striking_collector MOMENT collect --config FILE

received: it stops itself (SIGSTOP), once, when it holds samples and no transaction has begun.
inside: the same within the transaction, when all rows are written.
commits: at every second COMMIT of samples the connection ends before the answer is read; the
server has the COMMIT, or has not, in turn. Each is a line of the log.
"""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from itertools import cycle

from titik_collector.cli import titik
from titik_collector.ingest import batch
from titik_collector.ingest.saved import Saved
from titik_collector.received import Arrived, Item
from titik_collector.store.database import Rows, Values
from titik_collector.store.postgres import PostgresDatabase

MOMENTS = ("received", "inside", "commits")
LOST_ANSWER, LOST_COMMIT = "fault: the answer to a COMMIT is lost", "fault: a COMMIT is lost"


class Struck:
    """What the two parts below have to know of each other."""

    moment = ""
    holds_samples = False
    turns = cycle((LOST_ANSWER, "", LOST_COMMIT, ""))


def _stop() -> None:
    """Once; whoever sends SIGCONT lets it go on."""
    Struck.moment = ""
    os.kill(os.getpid(), signal.SIGSTOP)


class StruckWriter(batch.BatchWriter):
    def save(self, items: Sequence[Item]) -> Saved:
        """Whether its transaction is one of samples."""
        Struck.holds_samples = any(isinstance(one, Arrived) for one in items)
        if Struck.holds_samples and Struck.moment == "received":
            _stop()
        try:
            return super().save(items)
        finally:
            Struck.holds_samples = False


class StruckDatabase(PostgresDatabase):
    def execute(self, sql: str, values: Values = ()) -> Rows:
        """A COMMIT of samples may be struck."""
        if sql == "COMMIT" and Struck.holds_samples:
            if Struck.moment == "inside":
                _stop()
            elif Struck.moment == "commits":
                self._lose(next(Struck.turns))
        return super().execute(sql, values)

    def _lose(self, what: str) -> None:
        """What arrives later, or all that is sent, goes nowhere."""
        if not what:
            return
        print(what, flush=True)
        way = socket.SHUT_RD if what == LOST_ANSWER else socket.SHUT_RDWR
        with socket.socket(fileno=os.dup(self._raw.fileno())) as connection:
            connection.shutdown(way)


def main() -> None:
    """Put the parts in their places and run the command."""
    from titik_collector import assemble
    from titik_collector.store import postgres_schema

    Struck.moment = sys.argv.pop(1)
    assert Struck.moment in MOMENTS
    assemble.BatchWriter = StruckWriter  # type: ignore[attr-defined]
    postgres_schema.PostgresDatabase = StruckDatabase  # type: ignore[attr-defined]
    titik()


if __name__ == "__main__":
    main()
