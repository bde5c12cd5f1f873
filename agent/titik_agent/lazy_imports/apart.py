"""Work in a child process, with which goes all that it loaded and allocated.

Rule: only before the first thread; a fork takes one of them along, and every lock as it is held.
"""

import json
import os
from collections.abc import Callable
from typing import Any


def call(work: Callable[[], Any]) -> Any:
    """What it returned, as JSON gives it back; None if the child ended without an answer."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            text = json.dumps(work())
            with open(writer, "w", encoding="utf-8") as file:
                file.write(text)
        finally:
            os._exit(0)  # as another program would: nothing of ours is flushed or closed twice
    os.close(writer)
    try:
        with open(reader, encoding="utf-8") as file:
            text = file.read()
    finally:
        os.waitpid(child, 0)
    return json.loads(text) if text else None
