"""What a terminal gets: characters that would turn or break its lines are made visible.

Rule: text is cleaned where it is shown. Routers name their SSIDs, boards and firmware themselves.
The contract lets any text pass that has no control character, and an older store may hold others.
"""

import io
import sys
from typing import TextIO

# Line and paragraph separators; embeddings, overrides and isolates of right-to-left text.
UNSEEN = (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_VISIBLE = dict.fromkeys(UNSEEN, "\ufffd")


class CleanStream(io.TextIOWrapper):
    """A text stream in which nothing unseen passes."""

    def write(self, text: str) -> int:
        """As much as was given."""
        super().write(text.translate(_VISIBLE))
        return len(text)


def over(stream: TextIO, errors: str) -> TextIO:
    """The same stream, cleaned; one without bytes below it stays as it is."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    buffered = stream.line_buffering
    return CleanStream(stream.buffer, stream.encoding, errors, line_buffering=buffered)


def clean_all(errors: str) -> None:
    """stdout and stderr, from now on; `errors` handles what a terminal cannot show."""
    sys.stdout, sys.stderr = over(sys.stdout, errors), over(sys.stderr, errors)
