"""The smallest output: a line for each router whose presence changed."""

from collections.abc import Sequence
from typing import TextIO

from titik_collector.outputs.output import Output, PresenceChange


class Lines(Output):
    """Writes to a file that is open for writing."""

    name = "lines"

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def presence_changed(self, changes: Sequence[PresenceChange]) -> None:
        """As soon as it is known."""
        for one in changes:
            print(f"{one.router} is {one.state}", file=self._file, flush=True)

    def close(self) -> None:
        """The collector ends."""
        self._file.close()
