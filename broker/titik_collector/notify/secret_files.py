"""Secrets are files that one user may read, and nothing that is logged.

Rule: a file that others may read is refused: who can read it can send in the city's name.
"""

import os
import stat
from pathlib import Path

from titik_collector.limits import MAX_SECRET_FILE
from titik_collector.notify.undelivered import Undelivered


def read(file: Path, what: str) -> str:
    """Its first line; Undelivered if there is none, or others may read it.

    `what`: what belongs into it, for the remedy.
    """
    try:
        with open(file, encoding="utf-8") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            text = opened.read(MAX_SECRET_FILE + 1)
    except FileNotFoundError as error:
        raise _wrong(file, "is not there", f"write {what} into it, and chmod 600 it") from error
    except PermissionError as error:
        remedy = "give it to the user that `titik notify` runs as: chown titik-notify"
        raise _wrong(file, "may not be read", f"{remedy} {file}") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no text"
        raise _wrong(file, f"cannot be read ({reason})", f"write {what} into it") from error
    if stat.S_IMODE(mode) & 0o077:
        wrong = f"can be read by others (mode {stat.S_IMODE(mode):04o})"
        raise _wrong(file, wrong, f"type: chmod 600 {file}")
    lines = text.strip().splitlines()
    if len(lines) != 1 or len(text) > MAX_SECRET_FILE:
        raise _wrong(file, "does not have one line", f"write {what} into it, and nothing else")
    return lines[0]


def _wrong(file: Path, wrong: str, remedy: str) -> Undelivered:
    # It may be mended while a message waits, so the message is tried again.
    return Undelivered("secret", f"{file} {wrong}", remedy=remedy)
