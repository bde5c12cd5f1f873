"""`titik public`: the page that anybody may see."""

import logging
import re
import signal
import threading
from pathlib import Path

import click

from titik_collector.commands import options, plainly
from titik_collector.config import model
from titik_collector.config.model import Config, ConfigError
from titik_collector.store.database import StoreError

log = logging.getLogger(__name__)
LEAST_S, MOST_S = 10, 3600
RETRY_S = 5  # where it could not be written, as before a city's first store is there


class Interval(click.ParamType[int]):
    """`60s`, `5m`, or seconds."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """In seconds."""
        found = re.fullmatch(r"(\d{1,4})([sm]?)", str(value))
        seconds = int(found[1]) * (60 if found[2] == "m" else 1) if found else 0
        if not LEAST_S <= seconds <= MOST_S:
            self.fail(f"{value!r}: give {LEAST_S}s to {MOST_S}s, such as 60s or 5m", param, ctx)
        return seconds


@click.group()
def public() -> None:
    """The public page: suppressed figures as plain files."""


@public.command()
@click.argument("directory", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--every", type=Interval(), help="Write again and again, such as 60s; once without.")
@options.CONFIG
def export(directory: Path | None, every: int | None, file: Path) -> None:
    """Write the public page into DIRECTORY, or as configured."""
    from titik_collector.public.static_export import PublicExport

    with plainly():
        settings = model.load(file)
        folder = directory or _configured(settings)
        page = PublicExport(settings, folder)
        if every is None:
            written = page.write()
            click.echo(f"{written} files are new or changed in {folder}")
            return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stopped = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stopped.set())
    log.info("the public page is written to %s every %d s", folder, every)
    problem = ""
    while not stopped.is_set():
        try:
            page.write()
            problem = ""
        except (StoreError, OSError) as error:
            if str(error) != problem:
                log.warning("the public page stays as it is reason=%s", error)
            problem = str(error)
        stopped.wait(min(every, RETRY_S) if problem else every)


def _configured(settings: Config) -> Path:
    if settings.public.directory is None:
        raise ConfigError(
            settings.file,
            "public.directory",
            "is not given, so there is no public page",
            "give it, or name a folder: titik public export DIRECTORY",
        )
    return settings.public.directory
