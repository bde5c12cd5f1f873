"""What the operator types; each file is one command or group of `titik`."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console, RenderableType

from titik_collector.accounts.users import AccountError
from titik_collector.broker_link.takeover import OtherCollector
from titik_collector.broker_setup.broker_folder import BrokerError, BrokerFolder
from titik_collector.config.model import Config
from titik_collector.config.schema import ConfigError
from titik_collector.enrolment.authority import AuthorityError
from titik_collector.store.database import StoreError

_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
NAME_IT = 'set directory = "DIR" under [broker] to what `titik broker init DIR` made'


_MENDABLE = (
    *(AccountError, AuthorityError, BrokerError, ConfigError),
    *(StoreError, OtherCollector),
)


@contextmanager
def plainly() -> Iterator[None]:
    """What the operator can mend is one line, not a traceback."""
    try:
        yield
    except _MENDABLE as error:
        raise click.ClickException(str(error)) from error
    except BrokenPipeError:  # who reads has seen enough
        raise
    except OSError as error:
        if (folder := _missing_folder(error)) is not None:
            raise click.ClickException(
                f"{folder}: there is no such folder; make it: mkdir -p {folder}"
            ) from error
        raise click.ClickException(_refused(error) or _as_given(error)) from error


def broker_of(city: Config, made_there: str) -> BrokerFolder:
    """The broker that the file names; BrokerError if it names none, with what another makes."""
    if city.broker.directory is None:
        raise BrokerError(
            f"{city.file}: broker.directory is not set, so {made_there} are made at your broker;"
            f" {NAME_IT}"
        )
    return BrokerFolder.open(city.broker.directory)


def show(screen: RenderableType) -> None:
    """On stdout."""
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
