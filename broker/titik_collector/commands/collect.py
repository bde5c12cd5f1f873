"""`titik collect`: the collector, from its start to the signal that stops it.

Rule: on a server's store a second one stands by. It speaks to no broker before the store is its.
"""

import contextlib
import gc
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
from titik_collector.broker_link.takeover import OtherCollector
from titik_collector.broker_setup.login import login
from titik_collector.broker_setup.login import reading as reading_login
from titik_collector.commands import options, plainly
from titik_collector.config import model
from titik_collector.config.model import Config, ConfigError
from titik_collector.desk.desk_reading import DeskReading
from titik_collector.limits import CIRCLES
from titik_collector.live.self_report import forget_past_life, report_waiting
from titik_collector.own_state.systemd import Service
from titik_collector.store import opening, upgrading
from titik_collector.store.database import StoreBusy, StoreError, StoreHeld

log = logging.getLogger(__name__)


@click.command(name="collect")
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
    with plainly():
        settings = model.load(file)
    if password_file is not None:
        settings = replace(settings, broker=replace(settings.broker, password_file=password_file))
    with plainly():
        _check_folder(settings)
        service = Service(os.environ.get("NOTIFY_SOCKET"), time.monotonic)
        with opening.held(settings.store), _started(settings, service) as collector:
            _run(collector, service)


def _check_folder(settings: Config) -> None:
    """A store is made where there is none, a folder never: a slip would begin a second store."""
    folder = settings.beside.parent
    if settings.store.path is not None and not folder.is_dir():
        raise ConfigError(
            settings.file,
            "store.path",
            f"there is no folder {folder}",
            f"correct the path, or make it: mkdir -p {shlex.quote(str(folder))}",
        )


@contextlib.contextmanager
def _started(settings: Config, service: Service) -> Iterator[collect.Collector]:
    """A collector over the open store, as soon as no other collector writes there."""
    since_ms = time.time_ns() // 1_000_000
    keep = upgrading.keeping(settings.store, settings.beside, log.info)
    with contextlib.ExitStack() as stack:
        waits = stood_by = False
        reason = ""
        while True:
            try:
                opened = opening.open_writer(settings.store, before=keep)
                db = stack.enter_context(contextlib.closing(opened))
                door = reading_login(settings)
                desk = stack.enter_context(
                    contextlib.closing(DeskReading(settings.store, settings.city.timezone))
                )
                parts = Parts(settings, db, login(settings), reading=door, desk=desk.facts)
                break
            except StoreHeld as error:
                stack.close()
                _stand_by(settings, service, error)
                stood_by = True
            except StoreError as error:
                stack.close()
                if stood_by:  # its server may be gone with the other collector
                    if str(error) != reason:
                        log.warning("store cannot be taken over yet reason=%s", error)
                    reason = str(error)
                    service.lives()
                    report_waiting(settings, str(error), since_ms)
                    time.sleep(collect.RETRY_S)
                    continue
                if not isinstance(error, StoreBusy):
                    raise
                if not waits:
                    log.warning("store is busy, waiting reason=%s", error)
                waits = True
                report_waiting(settings, str(error), since_ms)
                time.sleep(collect.RETRY_S)
        yield collect.Collector(parts)


def _stand_by(settings: Config, service: Service, held: StoreHeld) -> None:
    """Until the other collector is gone; a service manager may rely on this one meanwhile."""
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda _number, _frame: sys.exit(0))
    log.info("stands by until the store is free reason=%s", held)

    def each() -> None:
        service.lives()
        forget_past_life(settings)

    opening.stand_by(settings.store, each)
    log.info("takes over, no other collector holds the store")


def _run(collector: collect.Collector, service: Service) -> None:
    gc.set_threshold(*CIRCLES)
    stopped = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, _frame: stopped.append(number))
    try:
        while not stopped:
            collector.turn()
            service.lives()
    except (OtherCollector, StoreHeld):
        collector.abandon()
        raise
    log.info("stops signal=%s", signal.Signals(stopped[0]).name)
    collector.close()
