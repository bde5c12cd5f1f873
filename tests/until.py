"""Waiting for what comes to be so, however busy the machine is."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 60.0


def until(look: Callable[[], T], expected: T) -> T:
    """What `look` gives as soon as it is what is expected; if it never is, the last it gave."""
    deadline = time.monotonic() + PATIENCE_S
    while (seen := look()) != expected and time.monotonic() < deadline:
        time.sleep(0.01)
    return seen
