"""What the operator types; each file is one command or group of `titik`."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from titik_collector.wording.mendable import Mendable

if TYPE_CHECKING:
    from rich.console import RenderableType

_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def plainly() -> Iterator[None]:
    """What the operator can mend is one line, not a traceback."""
    try:
        yield
    except Mendable as error:
        raise click.ClickException(str(error)) from error
    except BrokenPipeError:  # who reads has seen enough
        raise
    except OSError as error:
        if (folder := _missing_folder(error)) is not None:
            raise click.ClickException(
                f"{folder}: there is no such folder; make it: mkdir -p {folder}"
            ) from error
        raise click.ClickException(_refused(error) or _as_given(error)) from error


def show(screen: "RenderableType") -> None:
    """On stdout."""
    from rich.console import Console  # what only prints lines does without

    with plainly():
        Console().print(screen)


def _as_given(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    remedy = "; free the disk, or choose a place on another" if error.errno == errno.ENOSPC else ""
    return f"{where}{error.strerror or error}{remedy}"


def _refused(error: OSError) -> str | None:
    """What this user may not do, by a name that he knows: new files have names of our own."""
    if error.errno not in _REFUSED or not isinstance(error.filename, str):
        return None
    place = Path(error.filename).absolute()
    if error.errno == errno.EROFS:
        refused = f"{place.parent}: nothing can be written there ({error.strerror})"
        return f"{refused}; choose another folder, or mount it for writing"
    if os.path.lexists(place):
        return f"{place}: {error.strerror}; run as its owner or as root"
    return f"{place.parent}: this user may not write there; run as its owner or as root"


def _missing_folder(error: OSError) -> Path | None:
    """What the operator named wrongly, where a file of ours could not be made in it."""
    if not isinstance(error, FileNotFoundError) or not isinstance(error.filename, str):
        return None
    folder = Path(error.filename).parent
    return None if folder.is_dir() else folder
