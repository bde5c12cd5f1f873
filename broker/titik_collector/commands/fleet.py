"""`titik fleet`: an upgrade of the city's routers, wave by wave."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

import click

from titik_collector.accounts.audit import Actor
from titik_collector.alerts.desk_facts import RolloutOrder
from titik_collector.commands import options, router_choice
from titik_collector.commands.desk_entering import entering
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.config.settings_tables import SettingsOf
from titik_collector.config.site_tables import Router
from titik_collector.desk import rollouts
from titik_collector.desk.desk_reading import DeskReading
from titik_collector.limits import MAX_CANARIES
from titik_collector.queries import rollout_status
from titik_collector.queries.rollout_status import RolloutStatus
from titik_collector.screens import rollout_screen
from titik_collector.store import opening, presence_rows, rollout_rows
from titik_collector.store.database import Database
from titik_collector.wishes import versions
from titik_collector.wording.names import named


def _percent(_: click.Context, __: click.Parameter, text: str) -> int:
    """`20%`."""
    number = text.removesuffix("%")
    if not number.isdecimal() or not 1 <= int(number) <= 100:
        raise click.BadParameter(f"{text}: use a share from 1% to 100%, such as 20%")
    return int(number)


@click.group(invoke_without_command=True)
@options.CONFIG
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def fleet(context: click.Context, file: Path, as_json: bool) -> None:
    """How far the upgrade is: each wave, who failed, and why."""
    if context.invoked_subcommand is not None:
        return
    with options.opened(file) as (settings, db):
        found = rollout_status.look(db, settings.city.name)
        now_ms = round(time.time() * 1000)
        with closing(DeskReading(settings.store, settings.city.timezone)) as desk:
            order = desk.facts(now_ms).rollout
        asked = rollout_status.pending(db, order)
        if as_json:
            plain = rollout_status.document(found, asked)
            click.echo(json.dumps(plain, indent=1, ensure_ascii=False))
            return
        if asked is not None:
            click.echo(asked)
        if asked is None or found is not None:
            _show(found, settings)


@fleet.command()
@click.argument("version")
@click.option(
    "--canary",
    "canaries",
    type=click.IntRange(1, MAX_CANARIES),
    default=model.CANARIES,
    help="Routers that are first, one of each kind.",
)
@click.option(
    "--wave",
    "percent",
    callback=_percent,
    metavar="SHARE",
    default=model.WAVE,
    help="Of the routers, at a time.",
)
@click.option("--site", help="Only those of a site.")
@click.option("--tag", help="Only those with a tag.")
@click.option("--watch", is_flag=True, help="Stay, and show what changes.")
@options.CONFIG
def upgrade(
    version: str,
    canaries: int,
    percent: int,
    site: str | None,
    tag: str | None,
    watch: bool,
    file: Path,
) -> None:
    """Bring routers to VERSION from the city's feed, wave by wave.

    It halts by itself when routers do not come back, restart, refuse it or go back.
    """
    if site is not None and tag is not None:
        raise click.UsageError("give --site or --tag, not both")
    if not versions.is_version(version):
        raise click.BadParameter(
            f"{version!r}: is no version; one looks like 0.2.0, or 0.2.0-r2", param_hint="VERSION"
        )
    with entering(file) as desk:
        of = router_choice.chosen([], site, tag, site is None and tag is None)
        chosen = router_choice.some_routers(desk.config, of)
        wanted = _wanted(version, of)._replace(canaries=canaries, percent=percent)
        with opening.reading(desk.config.page_store, file) as db:
            _check_newer(version, chosen, presence_rows.versions(db))
            made = rollouts.order(desk.db, wanted, desk.actor, _ended(db))
    click.echo(f"the upgrade to {version} begins within seconds; see: titik fleet")
    if watch:
        _watch(file, made.number)


def _set(change: Callable[[Database, Actor], RolloutOrder], words: str, file: Path) -> None:
    with entering(file) as desk:
        one = change(desk.db, desk.actor)
    click.echo(f"the upgrade to {one.version} {words}")


@fleet.command()
@options.CONFIG
def pause(file: Path) -> None:
    """Ask no other router; those that were asked go on."""
    _set(rollouts.pause, "is paused; titik fleet resume lets it go on", file)


@fleet.command()
@options.CONFIG
def resume(file: Path) -> None:
    """Let it go on, also where it halted by itself: what failed until now is accepted."""
    _set(rollouts.resume, "goes on", file)


@fleet.command()
@options.CONFIG
def stop(file: Path) -> None:
    """End it: who has not begun keeps the version that it has."""
    _set(rollouts.stop, "is stopped; routers that run it keep it", file)


def _wanted(version: str, of: SettingsOf) -> RolloutOrder:
    scope: Literal["city", "site", "tag"] = "city"
    if of.scope != "all":
        scope = "site" if of.scope == "site" else "tag"
    return RolloutOrder(0, version, scope, of.name, 0, 0, "", 0)


def _check_newer(version: str, chosen: Sequence[Router], known: Mapping[str, str]) -> None:
    """click.BadParameter if none can take it; who was never heard may lack the newest."""
    running = sorted({known[one.name] for one in chosen if one.name in known})
    is_newest = versions.plain(version) in running and not any(
        versions.may_be_newer(one, version) for one in running
    )
    is_lacked = any(one.name not in known and one.revoked is None for one in chosen)
    if not (is_newest and is_lacked) and not versions.can_be_taken(version, running):
        raise click.BadParameter(
            f"{version}: is not newer than what runs: {named(running)};"
            " routers go back to an older version by hand: docs/fleet.md",
            param_hint="VERSION",
        )


def _ended(db: Database) -> int | None:
    row = rollout_rows.read(db)
    return None if row is None or row.state in ("runs", "paused") else row.number


def _show(found: RolloutStatus | None, settings: Config) -> None:
    for line in rollout_screen.lines(found, settings.city.timezone):
        click.echo(line)


def _watch(file: Path, number: int) -> None:
    """Until it is over, or something is to be decided."""
    before: RolloutStatus | None = None
    while before is None or before.row.state in ("runs", "paused"):
        time.sleep(model.SCREEN_S)
        with options.opened(file) as (settings, db):
            found = rollout_status.look(db, settings.city.name)
        if found is not None and found.row.number == number and found != before:
            _show(found, settings)
            before = found
