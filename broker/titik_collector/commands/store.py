"""`titik store`: where the store is."""

from pathlib import Path

import click

from titik_collector.commands import options, plainly
from titik_collector.config import model
from titik_collector.store import copying, identity, opening


@click.group()
def store() -> None:
    """Move the store, or begin a new one."""


@store.command(name="copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def copy_command(source: str, target: str) -> None:
    """Copy a store to another place, while its collector is stopped.

    FROM and TO: a file of SQLite, a postgresql:// url, or a titik.toml, for the store that it
    names. Typed again after an interruption, it goes on.
    """
    with plainly():
        there = copying.StorePair(*model.stores_at(target))
        taken, stored, refused, lost, in_spool = copying.copy_city(
            copying.StorePair(*model.stores_at(source)), there, _report, click.echo
        )
    click.echo(
        f"samples taken {taken} = stored {stored} + refused {refused} + lost {lost}"
        f" + in spool {in_spool}"
    )
    click.echo(f"copied; name it under [store] of titik.toml: {opening.name(there.store)}")


@store.command(name="begin")
@options.CONFIG
def begin_command(file: Path) -> None:
    """Let the collector begin an empty store for this city.

    What an earlier store of the city acknowledged counts as lost.
    """
    with plainly():
        where = model.load(file).store
        with opening.writing(where) as db:
            identity.begin(db)
    click.echo(f"{opening.name(where)}: the collector begins here; start it")


def _report(table: str, rows: int) -> None:
    if rows:
        click.echo(f"{table}: {rows}")
