"""`titik serve`: everything that a small city needs beside its broker."""

import logging
import signal
from pathlib import Path

import click

from titik_collector import serve
from titik_collector.commands import options, plainly
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.store import opening
from titik_collector.store.database import StoreError


@click.command(name="serve")
@options.CONFIG
def serve_command(file: Path) -> None:
    """Run the collector and the page until a signal stops them.

    Messages to people too, and the public page where it is configured. Each is a process of its
    own, and one that ends is started again.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with plainly():
        settings = model.load(file)
    commands: list[tuple[str, ...]] = [serve.COLLECTOR, serve.PAGE, serve.NOTIFIER]
    if settings.public.directory is not None:
        commands.append(serve.PUBLIC_PAGE)
    stopped: list[int] = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, _frame: stopped.append(number))
    serve.run(file, commands, lambda: bool(stopped), lambda: _has_store(settings))


def _has_store(settings: Config) -> bool:
    """It can be read; why it cannot is the collector's to report."""
    try:
        with opening.reading(settings.store, settings.file):
            return True
    except StoreError:
        return False
