"""The `titik` command: where the server half is put together.

One place builds the objects and knows the concrete classes; the commands live beside it.
"""

import codecs
import contextlib
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from titik_collector import collect
from titik_collector.assemble import Parts
from titik_collector.broker_link.retained import TwinRunning
from titik_collector.commands import options, plainly
from titik_collector.commands.backup import backup_command, restore_command
from titik_collector.commands.broker import broker
from titik_collector.commands.demo import demo
from titik_collector.commands.engineer import engineer
from titik_collector.commands.events import events_command
from titik_collector.commands.export import export_command
from titik_collector.commands.history import history_command
from titik_collector.commands.router import router
from titik_collector.commands.simulate import simulate
from titik_collector.commands.status import status_command, top
from titik_collector.config import model
from titik_collector.config.model import Config, ConfigError
from titik_collector.enrolment.login import login
from titik_collector.enrolment.login import reading as reading_login
from titik_collector.live.self_report import report_waiting
from titik_collector.own_state.systemd import Service
from titik_collector.screens import history_screen, status_screen
from titik_collector.store import conservation
from titik_collector.store.database import StoreBusy, held, open_writer, reading, worded
from titik_collector.wording import clean
from titik_wire import __version__

log = logging.getLogger(__name__)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def titik() -> None:
    """Collect, store and show what the hotspots' routers report."""


@titik.command(name="collect")
@options.CONFIG
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The password at the broker, in place of broker.password_file.",
)
def collect_command(file: Path, password_file: Path | None) -> None:
    """Run the collector until a signal stops it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = _load(file)
    if password_file is not None:
        settings = replace(settings, broker=replace(settings.broker, password_file=password_file))
    with plainly():
        _check_folder(settings)
        with held(settings.store.path), _started(settings) as collector:
            _run(collector)


def _check_folder(settings: Config) -> None:
    """A store is made where there is none, a folder never: a slip would begin a second store."""
    folder = settings.store.path.parent
    if not folder.is_dir():
        raise ConfigError(
            settings.file,
            "store.path",
            f"there is no folder {folder}",
            f"mend the path, or make it: mkdir -p {shlex.quote(str(folder))}",
        )


@contextlib.contextmanager
def _started(settings: Config) -> Iterator[collect.Collector]:
    """A collector over the open store, as soon as nobody else writes there."""
    since_ms = time.time_ns() // 1_000_000
    with contextlib.ExitStack() as stack:
        waits = False
        while True:
            try:
                db = stack.enter_context(contextlib.closing(open_writer(settings.store.path)))
                with worded(settings.store.path):
                    door = reading_login(settings)
                    parts = Parts(settings, db, login(settings), reading=door)
                break
            except StoreBusy as error:
                stack.close()
                if not waits:
                    log.warning("store is busy, waiting reason=%s", error)
                waits = True
                report_waiting(settings, str(error), since_ms)
                time.sleep(collect.RETRY_S)
        yield collect.Collector(parts)


def _run(collector: collect.Collector) -> None:
    stopped = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, _frame: stopped.append(number))
    service = Service(os.environ.get("NOTIFY_SOCKET"), time.monotonic)
    try:
        while not stopped:
            collector.turn()
            service.lives()
    except TwinRunning:
        collector.abandon()
        raise
    collector.close()


@titik.group()
def db() -> None:
    """Look after the store."""


@db.command(name="check")
@options.CONFIG
def check_command(file: Path) -> None:
    """Is the store whole, and is nothing lost silently?

    Exit status 1 if not.
    """
    settings = _load(file)
    with plainly(), reading(settings.store.path) as store:
        found = conservation.findings(store)
        taken, stored, refused, lost, in_spool = conservation.totals(store)
        restored = conservation.restored(store)
    click.echo(
        f"samples taken {taken} = stored {stored} + refused {refused} + lost {lost}"
        f" + in spool {in_spool}"
    )
    if restored:
        click.echo(
            f"of the lost, {restored} had been acknowledged by a newer state of this store, which"
            " was restored from a backup"
        )
    for finding in found:
        click.echo(finding)
    click.echo("the store is whole" if not found else f"{len(found)} findings")
    sys.exit(1 if found else 0)


titik.add_command(backup_command)
titik.add_command(restore_command)
titik.add_command(broker)
titik.add_command(engineer)
titik.add_command(router)
for command in (status_command, top, history_command, export_command, events_command):
    titik.add_command(command)
titik.add_command(simulate)
titik.add_command(demo)


def _load(file: Path) -> Config:
    with plainly():
        return model.load(file)


def main() -> None:
    """Run the command; a terminal without Unicode gets something to read too."""
    codecs.register_error("plain", _plain)
    clean.clean_all("plain")
    titik()


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What a terminal without Unicode shows instead; gaps and curves stay apart."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(one, "?") for one in text), error.end


_PLAIN = {
    status_screen.UNKNOWN: ".",
    **{bar: str(n) for n, bar in enumerate(history_screen.BARS, 1)},
}
