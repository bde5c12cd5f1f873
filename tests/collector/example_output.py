"""The smallest output: a line for each router whose presence changed."""

from typing import TextIO

from titik_collector.outputs.output import Output, PresenceChange


class Lines(Output):
    """Writes to a file that is open for writing."""

    name = "lines"

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def presence_changed(self, change: PresenceChange) -> None:
        """As soon as it is known."""
        print(f"{change.router} is {change.state}", file=self._file, flush=True)
