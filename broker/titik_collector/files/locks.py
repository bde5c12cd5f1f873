"""One command at a time changes the files of a folder: read, edit and replace are one step.

Rule: the folder itself is locked, for it stays while its files are replaced; nothing is left
behind, and the lock ends with the process.
Rule: who holds a folder's lock may ask for it again: a step can be part of a larger one.
"""

import fcntl
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_held: set[tuple[int, int, int]] = set()  # folders, each with the thread that holds it


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait for our turn; a folder that is not there yet is free."""
    if not folder.is_dir():
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    stat = os.fstat(descriptor)
    which = (stat.st_dev, stat.st_ino, threading.get_ident())
    try:
        if which in _held:
            yield
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another command changes {folder}, waiting for it", file=sys.stderr)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        _held.add(which)
        try:
            yield
        finally:
            _held.remove(which)
    finally:
        os.close(descriptor)
