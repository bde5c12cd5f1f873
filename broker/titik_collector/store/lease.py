"""The store's lease: only one collector writes acks, rollups and `now` over one store."""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from titik_collector.store.database import StoreError, StoreHeld

LEASE_TRIES, LEASE_RETRY_S = 3, 0.02  # somebody may just look whether it is held


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lease of a store until the end of the block; StoreHeld: another collector has it."""

    def busy(holder: str) -> StoreHeld:
        return StoreHeld(
            f"{path}: another collector (process {holder}) holds this store; stop it, or give each"
            " a store.path of its own"
        )

    with ExitStack() as stack:
        try:
            stack.enter_context(lease(path.with_name(path.name + ".lease"), busy))
        except OSError as error:
            raise StoreError(
                f"store.path: {error.filename or path}: {error.strerror}; {_remedy(error)}"
            ) from error
        yield


def _remedy(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "free the disk, or choose a folder on another"
    return "run as its owner, or choose a folder that can be written"


@contextmanager
def lease(path: Path, busy: Callable[[str], Exception]) -> Iterator[None]:
    """Hold a lock file until the end of the block or of the process; else raise `busy(holder)`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="ascii", opener=_unlinked) as file:
        if not any(_locks(file) for _ in range(LEASE_TRIES)):
            file.seek(0)
            raise busy(file.read().strip() or "unknown")
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def is_held(path: Path) -> bool | None:
    """Whether a collector holds the store's lease; None if that is not ours to see."""
    try:
        with open(path.with_name(path.name + ".lease"), encoding="ascii") as file:
            # Shared, and for a moment: others who look do not see us, and a collector waits.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return False


def _unlinked(path: str, flags: int) -> int:
    """No link is followed: root may collect in a folder that is the collector's user's."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o644)


def _locks(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(LEASE_RETRY_S)
        return False
    return True
