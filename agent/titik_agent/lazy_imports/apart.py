"""Work in a child process, with which goes all that it loaded and allocated.

Rule: only before the first thread; a fork takes one of them along, and every lock as it is held.
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def call(work: Callable[[], Any]) -> Any:
    """What it returned, as JSON gives it back; None if the child ended without an answer.

    OSError: there is no room for a child. ValueError: it was killed in the midst of its answer.
    """
    reader, writer = os.pipe()
    try:
        child = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
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
        with suppress(ChildProcessError):  # who started us lets children go unasked
            os.waitpid(child, 0)
    return json.loads(text) if text else None
