"""`titik web`: the page, and below it who may look at it."""

import logging
from pathlib import Path

import click
from click.core import ParameterSource

from titik_collector.commands import options, plainly
from titik_collector.commands.web_audit import audit_command
from titik_collector.commands.web_token import token
from titik_collector.commands.web_user import user
from titik_collector.config import model
from titik_collector.config.page_tables import page_address

log = logging.getLogger(__name__)


@click.group(name="web", invoke_without_command=True)
@options.CONFIG
@click.pass_context
def web_command(context: click.Context, file: Path) -> None:
    """The page; without a command it is served until a signal."""
    if context.invoked_subcommand is not None:
        if context.get_parameter_source("file") is ParameterSource.COMMANDLINE:
            raise click.UsageError("write --config after the command, at the end")
        return
    from titik_collector.reports.hourly import PROGRAM, Hourly
    from titik_collector.web import app, serving
    from titik_collector.web.city_view import watching

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    serving.share_memory()
    with plainly():
        settings = model.load(file)
        with watching(settings) as city:
            server = serving.server(app.build(city), settings, lambda: _listens(settings))
            city.listen(Hourly([*PROGRAM, "report", "--freeze", "--config", str(file)]).look)
            server.run()


def _listens(settings: model.Config) -> None:
    log.info("the page is at %s", page_address(settings.web))


for command in (user, token, audit_command):
    web_command.add_command(command)
