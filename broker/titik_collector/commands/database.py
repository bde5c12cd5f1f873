"""`titik db`: is the store whole."""

import sys
from pathlib import Path

import click

from titik_collector.commands import options
from titik_collector.store import conservation
from titik_collector.timeline import pruning


@click.group()
def db() -> None:
    """Look after the store."""


@db.command(name="check")
@options.CONFIG
def check_command(file: Path) -> None:
    """Is the store whole, and is nothing lost silently?

    Exit status 1 if not.
    """
    with options.opened(file) as (settings, store), store.snapshot():
        found = conservation.findings(store)
        taken, stored, refused, lost, in_spool = conservation.totals(store)
        restored = conservation.restored(store)
        kept = pruning.of_before(store, settings.store)
    click.echo(
        f"samples taken {taken} = stored {stored} + refused {refused} + lost {lost}"
        f" + in spool {in_spool}"
    )
    if restored:
        click.echo(
            f"{restored} had been acknowledged by a newer state of this store, which was restored"
            f" from a backup; at most {min(restored, lost)} of them are lost, routers sent the rest"
            " again"
        )
    if kept:
        click.echo(kept)
    for finding in found:
        click.echo(finding)
    click.echo("the store is whole" if not found else f"{len(found)} findings")
    sys.exit(1 if found else 0)
