"""`titik store`: where the store is."""

from contextlib import closing
from pathlib import Path

import click

from titik_collector.commands import options, plainly
from titik_collector.config import model
from titik_collector.own_state import systemd
from titik_collector.store import copying, identity, noting, opening, sqlite

_UNTIL_STOPPED = """\
copied, but for what changes from now on. This is no store yet. To finish it,
  1. stop the collector: {stop}
  2. type this command again: it takes seconds, and prints what to do then\
"""


@click.group()
def store() -> None:
    """Move the store, or begin a new one."""


@store.command(name="copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def copy_command(source: str, target: str) -> None:
    """Copy a store to another place.

    FROM and TO: a file of SQLite, a postgresql:// url, or a titik.toml, for the store that it
    names. Typed again after an interruption, it goes on.

    The collector of a file may go on. When all is copied but what changes, the command ends. Stop
    the collector then, and type the command again: that takes seconds.
    """
    with plainly():
        here = copying.StorePair(*model.stores_at(source))
        there = copying.StorePair(*model.stores_at(target))
        totals, rows = copying.copy_city(here, there, click.echo)
    for table, number in rows.items():
        if number:
            click.echo(f"{table}: {number}")
    if totals is None:
        click.echo(_UNTIL_STOPPED.format(stop=systemd.stop(here.store.path)))
        return
    taken, stored, refused, lost, in_spool = totals
    click.echo(
        f"samples taken {taken} = stored {stored} + refused {refused} + lost {lost}"
        f" + in spool {in_spool}"
    )
    click.echo(f"copied; name it under [store] of titik.toml: {opening.name(there.store)}")


@store.command(name="give-up")
@click.argument("source", metavar="FROM")
def give_up_command(source: str) -> None:
    """End a copy that was begun from a running collector and is not wanted any more.

    What changes in FROM is noted no more. Remove what was copied by hand.
    """
    with plainly():
        where = model.stores_at(source)[0]
        if where.path is not None and where.path.exists():
            with closing(sqlite.open_beside(where.path)) as db:
                noting.end(db)
    click.echo(f"{opening.name(where)}: notes no changes")


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
