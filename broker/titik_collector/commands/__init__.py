"""What the operator types; each file is one command or group of `titik`."""

from collections.abc import Iterator
from contextlib import contextmanager

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
        where = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{where}{error.strerror or error}") from error
