"""The `titik` command: every command of it, in one group; each lives in `commands`."""

import codecs

import click

from titik_collector.commands.backup import backup_command, restore_command
from titik_collector.commands.broker import broker
from titik_collector.commands.collect import collect_command
from titik_collector.commands.database import db
from titik_collector.commands.demo import demo
from titik_collector.commands.engineer import engineer
from titik_collector.commands.events import events_command
from titik_collector.commands.export import export_command
from titik_collector.commands.history import history_command
from titik_collector.commands.public import public
from titik_collector.commands.router import router
from titik_collector.commands.serve import serve_command
from titik_collector.commands.simulate import simulate
from titik_collector.commands.status import status_command, top
from titik_collector.commands.store import store
from titik_collector.commands.upgrade import upgrade_command
from titik_collector.commands.web import web_command
from titik_collector.screens import history_screen, status_screen
from titik_collector.wording import clean
from titik_wire import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__)
def titik() -> None:
    """Collect, store and show what the hotspots' routers report."""


titik.add_command(collect_command)
titik.add_command(db)
titik.add_command(store)
titik.add_command(backup_command)
titik.add_command(restore_command)
titik.add_command(upgrade_command)
titik.add_command(broker)
titik.add_command(engineer)
titik.add_command(router)
for command in (status_command, top, history_command, export_command, events_command):
    titik.add_command(command)
titik.add_command(web_command)
titik.add_command(serve_command)
titik.add_command(public)
titik.add_command(simulate)
titik.add_command(demo)


@titik.command(hidden=True)
def check() -> None:
    """Somebody looks for one of these."""
    raise click.UsageError(
        "check what? titik status --check, titik broker check, titik db check; on a router:"
        " titik-agent check"
    )


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
