"""What the operator types; each file is one command or group of `titik`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from titik_collector.broker_dir import BrokerError
from titik_collector.database import StoreError
from titik_collector.schema import ConfigError


@contextmanager
def plainly() -> Iterator[None]:
    """What the operator can mend is one line, not a traceback."""
    try:
        yield
    except (BrokerError, ConfigError, StoreError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        if (folder := _missing_folder(error)) is not None:
            raise click.ClickException(f"{folder}: there is no such folder") from error
        where = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{where}{error.strerror or error}") from error


def _missing_folder(error: OSError) -> Path | None:
    """What the operator named wrongly, where a file of ours could not be made in it."""
    if not isinstance(error, FileNotFoundError) or not isinstance(error.filename, str):
        return None
    folder = Path(error.filename).parent
    return None if folder.is_dir() else folder
