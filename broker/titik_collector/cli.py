"""The `titik` command: every command of it, in one group; each lives in `commands`.

Rule: the file of a command is read when it is typed. So none pays for what only others need.
"""

import codecs
from importlib import import_module

import click

from titik_collector.wording import clean
from titik_collector.wording.signs import PLAIN
from titik_wire import __version__

# By name: where in `commands` it is, and the first sentence of its help.
COMMANDS = {
    "ack": (
        "ack.ack_command",
        "Acknowledge an incident: nobody else is asked to handle it.",
    ),
    "alerts": ("alerts.alerts_command", "What is wrong now, and what was."),
    "backup": (
        "backup.backup_command",
        "Write all of the city into FILE, while it runs; or look into a backup.",
    ),
    "broker": ("broker.broker", "A private mosquitto for the city's reports."),
    "collect": ("collect.collect_command", "Run the collector until a signal stops it."),
    "db": ("database.db", "Look after the store."),
    "demo": ("demo.demo", "Broker, collector, this machine's agent and ten hotspots, live."),
    "drill": (
        "drill.drill_command",
        "Play the loss of the city's machine: another one takes over, and what is lost is counted.",
    ),
    "engineer": ("engineer.engineer", "Read-only users of the broker."),
    "events": (
        "events.events_command",
        "Outages with cause, routers added or removed, samples lost.",
    ),
    "export": (
        "export.export_command",
        "Write rollups of these, or of everything, for other programs.",
    ),
    "feed": ("feed.feed", "The feed that the city's routers install the agent from."),
    "fleet": ("fleet.fleet", "How far the upgrade is: each wave, who failed, and why."),
    "history": (
        "history.history_command",
        "The past of a site, a router or the city, window by window.",
    ),
    "maintenance": (
        "maintenance.maintenance",
        "Planned work: no message is sent, and no outage counts.",
    ),
    "notify": (
        "notify.notify_command",
        "Messages to people; without a command they are delivered until a signal.",
    ),
    "public": ("public.public", "The public page: suppressed figures as plain files."),
    "remark": (
        "ack.remark_command",
        "Write something about an incident, for those who read it later.",
    ),
    "report": (
        "report.report_command",
        "How a month or a year was: availability, devices, traffic, interruptions.",
    ),
    "restore": ("backup.restore_command", "Put a backup on an empty machine."),
    "router": ("router.router", "The routers that the configuration file registers."),
    "serve": ("serve.serve_command", "Run the collector and the page until a signal stops them."),
    "silence": (
        "silence.silence",
        "No message about some alerts for a while; they are shown all the same.",
    ),
    "simulate": (
        "simulate.simulate",
        "Run the routers of a configuration, with made-up radios.",
    ),
    "status": ("status.status_command", "Every site and router now, problems first."),
    "store": ("store.store", "Move the store, or begin a new one."),
    "top": ("status.top", "The status screen, live."),
    "upgrade": (
        "upgrade.upgrade_command",
        "Bring the store to this version, before the collector starts.",
    ),
    "web": ("web.web_command", "The page; without a command it is served until a signal."),
}


class Commands(click.Group):
    """Lists commands that are not read yet, and reads the one that is typed."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command itself, in place of what stands for it."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in COMMANDS:
            file, _, attribute = COMMANDS[name][0].partition(".")
            command = getattr(import_module(f"titik_collector.commands.{file}"), attribute)
        return name, command, rest


@click.group(
    cls=Commands,
    commands=[click.Command(name, short_help=about) for name, (_, about) in COMMANDS.items()],
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(__version__)
def titik() -> None:
    """Collect, store and show what the hotspots' routers report."""


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
    return "".join(PLAIN.get(one, "?") for one in text), error.end
