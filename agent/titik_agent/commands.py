"""What the installer types, read by click; `assemble` does the work.

Rule: nothing here is loaded by `titik-agent run` as an init script calls it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from titik_agent import assemble, config
from titik_wire import __version__


class _Plainly(click.Group):
    """What is typed wrong is printed in one line, with where to look."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **more: Any) -> Any:
        if not args:  # the help, which is no error
            return super().make_context(info_name, args, *rest, **more)
        with _one_line():
            return super().make_context(info_name, args, *rest, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with _one_line():
            return super().invoke(ctx)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        path = "titik-agent" if error.ctx is None else error.ctx.command_path
        reason = error.format_message().rstrip(".")
        stop = "" if reason.endswith("?") else "."
        raise click.UsageError(f"{reason}{stop} Try '{path} --help'.") from error


@click.group(cls=_Plainly, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def titik_agent() -> None:
    """Report this router's clients and throughput to a Titik broker."""


def _options(command: Any) -> Any:
    """What every command takes; flags win over the file."""
    for option in (
        click.option("--config", "file", help=f"TOML file [default: {config.DEFAULT_FILE}]"),
        click.option("--router", help="This router's name, over the file's."),
        click.option("--broker", metavar="HOST[:PORT]", help="The broker, over the file's."),
    ):
        command = option(command)
    return command


@titik_agent.command()
@_options
def run(file: str | None, router: str | None, broker: str | None) -> None:
    """Sample and report until a signal stops it."""
    assemble.run(file, router, broker)


@titik_agent.command()
@_options
def once(file: str | None, router: str | None, broker: str | None) -> None:
    """Take one sample and print it as JSON; nothing is sent."""
    assemble.once(file, router, broker)


@titik_agent.command(name="check")
@_options
@click.option("--config-only", is_flag=True, help="Read the settings, and try nothing else.")
@click.option("--beside", is_flag=True, help="Beside the agent that runs: all but its login.")
def check_command(
    file: str | None, router: str | None, broker: str | None, config_only: bool, beside: bool
) -> None:
    """Try every step from the radio to the collector's ack; a remedy where one fails."""
    sys.exit(0 if assemble.check_all(file, router, broker, config_only, beside) else 1)


@titik_agent.command()
@_options
@click.option("--every", "every_s", type=click.IntRange(10, 86400), help="Go on, so often (s).")
def probe(file: str | None, router: str | None, broker: str | None, every_s: int | None) -> None:
    """Ask the LAN and the uplink with raw sockets; writes the result the agent reads."""
    sys.exit(assemble.probe(file, router, broker, every_s))
