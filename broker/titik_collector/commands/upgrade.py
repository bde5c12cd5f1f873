"""`titik upgrade`: the store becomes one of this version, and goes back."""

import time
from pathlib import Path

import click

from titik_collector.commands import options, plainly
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.store import opening, upgrading
from titik_collector.store.database import StoreHeld


@click.command("upgrade")
@click.option("--back", is_flag=True, help="Go back to the store as it was before the upgrade.")
@click.option("--no-snapshot", is_flag=True, help="Keep no way back, where there is no room.")
@options.CONFIG
def upgrade_command(file: Path, back: bool, no_snapshot: bool) -> None:
    """Bring the store to this version, before the collector starts.

    While a collector of the earlier version works, only the snapshot is made. The next start then
    waits for none.
    """
    with plainly():
        city = model.load(file)
        if back:
            _go_back(city)
        else:
            _upgrade(city, no_snapshot)


def _upgrade(city: Config, no_snapshot: bool) -> None:
    where, beside = city.store, city.beside
    newest, have = opening.newest(where), opening.version(where)
    if have in (0, newest):
        none = "" if have else "no store there yet, "
        click.echo(f"{opening.name(where)}: {none}nothing to upgrade")
        return
    if opening.is_held(where) and not no_snapshot:
        upgrading.keep_now(where, beside, click.echo)
        click.echo("done; restart the collector, which upgrades the store")
        return
    keep = None if no_snapshot else upgrading.keeping(where, beside, click.echo)
    with opening.writing(where, before=keep):
        click.echo(f"{opening.name(where)}: is of schema {newest}")


def _go_back(city: Config) -> None:
    if opening.is_held(city.store):
        raise StoreHeld(f"{opening.name(city.store)}: a collector holds this store; stop it first")
    lost = upgrading.loss(city.store, city.beside)
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(lost.taken_s))
    samples = "all" if lost.samples is None else lost.samples
    click.echo(
        f"lost on the way back: {samples} samples that were stored since {since}, and every"
        " outage, change and rollup since then; routers no longer have these samples"
    )
    click.confirm("go back", abort=True)
    kept = upgrading.back(city.store, city.beside, lost.version)
    click.echo(
        f"{opening.name(city.store)}: is of schema {lost.version} again; install the version"
        f" before, then start it; the newer store is kept: {kept}"
    )
