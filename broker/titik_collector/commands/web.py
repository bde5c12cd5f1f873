"""`titik web`: the page."""

import logging
from pathlib import Path

import click

from titik_collector.commands import options, plainly
from titik_collector.config import model

log = logging.getLogger(__name__)


@click.command(name="web")
@options.CONFIG
def web_command(file: Path) -> None:
    """Serve the page until a signal stops it."""
    from titik_collector.web import app, serving
    from titik_collector.web.city_view import watching

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with plainly():
        settings = model.load(file)
        with watching(settings) as city:
            server = serving.server(app.build(city), settings)
            log.info("the page is at %s", model.page_address(settings))
            server.run()
