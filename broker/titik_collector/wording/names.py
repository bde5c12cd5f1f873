"""Names in a line: the first of them, where those of a city would fill the screen."""

from collections.abc import Sequence

from titik_collector.limits import MAX_NAMED


def named(names: Sequence[str]) -> str:
    """With dots where there are more."""
    return ", ".join(names[:MAX_NAMED]) + ", ..." * (len(names) > MAX_NAMED)
