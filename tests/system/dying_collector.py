"""`titik collect` that kills itself once it holds samples, at the moment that is named.

    python -m tests.system.dying_collector MOMENT collect --config FILE

received: before they are committed. committed: before the broker gets its acknowledgement.
acknowledged: after that, before the routers get their acks.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from titik_collector.broker_link import connection
from titik_collector.broker_link.inbox import ReceivedMessage
from titik_collector.cli import titik
from titik_collector.ingest import batch, ingest
from titik_collector.ingest.saved import Saved
from titik_collector.received import Arrived, Item

MOMENTS = ("received", "committed", "acknowledged")


def die() -> NoReturn:
    """SIGKILL: nothing is closed, nothing is reported."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


class DyingWriter(batch.BatchWriter):
    def save(self, items: Sequence[Item]) -> Saved:
        """Dies before the transaction."""
        if any(isinstance(one, Arrived) for one in items):
            die()
        return super().save(items)


class DyingLink(connection.Link):
    def acknowledge(self, letters: Sequence[ReceivedMessage]) -> None:
        """Dies after the transaction."""
        if any(not one.topic.endswith("/status") for one in letters):
            die()
        super().acknowledge(letters)


class DyingIngest(ingest.Ingest):
    def _acknowledge_routers(self, routers: Mapping[int, str]) -> None:
        """Dies once the broker knows; what it sent has left this process."""
        if routers:
            assert isinstance(self._inbox, connection.Link)
            self._inbox.close()
            die()
        super()._acknowledge_routers(routers)


def main() -> None:
    """Put the dying part in its place and run the command."""
    from titik_collector import assemble

    moment = sys.argv.pop(1)
    assert moment in MOMENTS
    if moment == "received":
        assemble.BatchWriter = DyingWriter  # type: ignore[attr-defined]
    elif moment == "committed":
        assemble.Link = DyingLink  # type: ignore[attr-defined]
    else:
        assemble.Ingest = DyingIngest  # type: ignore[attr-defined]
    titik()


if __name__ == "__main__":
    main()
