"""`titik router set` and `titik router tag`: what routers run with, from a distance.

Rule: the configuration file is edited, and a running collector takes it in; nothing is sent here.
"""

import difflib
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import click

from titik_collector.commands import options, plainly, router_choice
from titik_collector.config import edit, model, schema
from titik_collector.config.model import WISH_WAIT_S, Config
from titik_collector.config.schema import ConfigError
from titik_collector.config.settings_tables import (
    KEYS,
    SettingsOf,
    SettingsTable,
    effective,
)
from titik_collector.config.site_tables import Router
from titik_collector.queries import status
from titik_collector.queries.settings_status import (
    NONE,
    STATES,
    SettingsOutcomes,
    SettingsState,
    shown,
)
from titik_collector.store import opening, presence_rows, wishes
from titik_collector.timeline import server_clock
from titik_collector.wording.amounts import amount, either
from titik_collector.wording.names import named
from titik_wire.fleet_messages import RouterSettings

LISTS, NUMBERS = ("reach_targets", "reach_names"), ("interval_s", "reach_every_s")
FLAGS = {"true": True, "false": False}
LOOK_S = 0.5  # between two looks at what became of it
OLD_BROKER = "the broker's rights are of an earlier version; bring the new ones: {init}"
AS_BEFORE = "a narrower table counts, or it was so before; see: titik router set NAME"
BAD: tuple[SettingsState, ...] = ("refused", "rolled-back", "not offered")
OLD_AGENTS = "these agents are of an earlier version; install a newer package"


class SettingsChange(NamedTuple):
    """What one router is to run with from now on."""

    router: str
    before: RouterSettings
    after: RouterSettings


@click.command("set")
@click.argument("words", nargs=-1, metavar="[NAME] [KEY=VALUE]...")
@router_choice.options
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option(
    "--wait",
    is_flag=True,
    help="Until routers answer, for up to a minute. The exit status is 1 if one does not take it.",
)
@options.CONFIG
def set_command(
    words: tuple[str, ...],
    site: str | None,
    tag: str | None,
    every: bool,
    dry_run: bool,
    wait: bool,
    file: Path,
) -> None:
    """What routers run with, from a distance; without a KEY what is wished and what runs.

    KEY= takes a key away, so that a wider table or the router's own file counts again. A list has
    commas: reach_targets=1.1.1.1:443,8.8.8.8:443; KEY=none is an empty one. The keys are those of
    [[settings]] in docs/config.md.
    """
    names = [one for one in words if "=" not in one]
    if bare := [one for one in names if one in KEYS]:
        raise click.UsageError(f"{bare[0]}: give its value, as in {bare[0]}=VALUE")
    chosen = router_choice.chosen(names, site, tag, every)
    pairs = [one for one in words if "=" in one]
    if not pairs:
        with plainly():
            city = model.load(file)
            show_settings(city, router_choice.routers(city, chosen))
        return
    with plainly(), edit.editing(file) as city:
        found = router_choice.routers(city, chosen)
        after = edit.put_settings(city, _table(city, chosen, pairs), is_trial=dry_run)
    changes = _changes(city, after, found)
    for one in changes:
        click.echo(f"{one.router}: {_difference(one)}")
    number = f"{len(changes)} of {amount(len(found), 'router')}"
    are = either(len(changes), "is", "are")
    if dry_run:
        click.echo(f"{number} would run with other settings; nothing was changed")
    elif changes:
        click.echo(
            f"{number} {are} to run with other settings; a running collector sends them in seconds"
        )
    else:
        click.echo(f"{number} {are} to run with other settings")
    if len(changes) < len(found):
        click.echo(f"the others stay: {AS_BEFORE}")
    if dry_run:
        return
    if wait and changes:
        with plainly():
            are_good = _wait(after, changes)
        sys.exit(0 if are_good else 1)


@click.command("tag")
@click.argument("names", nargs=-1, metavar="NAME...")
@router_choice.options
@click.option("--add", "added", multiple=True, metavar="TAG", help="May be given again.")
@click.option("--remove", "removed", multiple=True, metavar="TAG", help="May be given again.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@options.CONFIG
def tag_command(
    names: tuple[str, ...],
    site: str | None,
    tag: str | None,
    every: bool,
    added: tuple[str, ...],
    removed: tuple[str, ...],
    dry_run: bool,
    file: Path,
) -> None:
    """Give routers tags, or take some away; settings and other commands pick routers by them."""
    if not (added or removed):
        raise click.UsageError("give --add TAG or --remove TAG")
    with plainly(), edit.editing(file) as city:
        _check_tags(city, added)
        routers = router_choice.many_routers(city, names, site, tag, every)
        tagged = [
            replace(one, tags=tags)
            for one in routers
            for tags in [_tags(one, added, removed)]
            if tags != one.tags
        ]
        edit.add_many(city, [], tagged=tagged, is_trial=dry_run)
    for one in tagged:
        click.echo(f"{one.name}: {' '.join(one.tags) or 'no tags'}")
    words = "would change; nothing was changed" if dry_run else "changed"
    click.echo(f"{len(tagged)} of {amount(len(routers), 'router')} {words}")


def _check_tags(city: Config, tags: Sequence[str]) -> None:
    for one in tags:
        try:
            schema.NAME.read(one, city.file.parent)
        except ValueError as error:
            allowed = f"allowed: {schema.NAME.allowed}"
            raise ConfigError(city.file, "tags", str(error), allowed) from error


def _tags(router: Router, added: Sequence[str], removed: Sequence[str]) -> tuple[str, ...]:
    kept = [one for one in router.tags if one not in removed]
    return tuple(dict.fromkeys([*kept, *(one for one in added if one not in removed)]))


def _table(city: Config, of: SettingsOf, pairs: Sequence[str]) -> SettingsTable:
    """The file's table for these routers, with other keys; ConfigError for one that cannot be."""
    name: dict[str, object] = {of.scope: True if of.scope == "all" else of.name}
    given: dict[str, object] = {}
    removed: list[str] = []
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key not in KEYS:
            raise _not_settable(city, key)
        if value:
            given[key] = _value(key, value)
        else:
            removed.append(key)
    read = schema.read(SettingsTable, {**name, **given}, city.file, "settings")
    before = next((one for one in city.settings if one.of == of), None)
    kept: dict[str, Any] = {}
    if before is not None:
        kept = {key: getattr(before, key) for key in KEYS if key not in removed}
    return replace(read, **{**kept, **{key: getattr(read, key) for key in given}})


def _not_settable(city: Config, key: str) -> ConfigError:
    """Most keys of a router's own file are none of these, such as its broker."""
    near = difflib.get_close_matches(key, KEYS, 1)
    remedy = f"did you mean {near[0]}?" if near else f"these can: {', '.join(KEYS)}"
    return ConfigError(city.file, f"settings.{key}", "cannot be set from a distance", remedy)


def _value(key: str, text: str) -> object:
    """As TOML would have it; what cannot be is for the schema to refuse."""
    if key in LISTS:
        return _list(text)
    if key in NUMBERS and text.isascii() and text.isdigit():
        return int(text[:20])
    return FLAGS.get(text, text)


def _list(text: str) -> list[str]:
    """Also as the file has it, in brackets and quotes."""
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1].strip()
        return [one.strip().strip("\"'") for one in text.split(",")] if text else []
    return [] if text == NONE else text.split(",")


def _changes(before: Config, after: Config, routers: Sequence[Router]) -> list[SettingsChange]:
    found = (
        SettingsChange(one.name, was, now)
        for one, was, now in zip(
            routers,
            effective(routers, before.settings),
            effective(routers, after.settings),
            strict=True,
        )
    )
    return [one for one in found if one.before != one.after]


def _difference(one: SettingsChange) -> str:
    """`interval_s=30 becomes interval_s=60`, key by key."""
    parts = []
    for key in KEYS:
        if getattr(one.before, key) != getattr(one.after, key):
            was, now = (
                shown(RouterSettings(one.router, 1, **{key: getattr(side, key)}))
                for side in (one.before, one.after)
            )
            parts.append(f"{was or 'its own'} becomes {now or 'its own'}")
    return ", ".join(parts)


def show_settings(city: Config, routers: Sequence[Router]) -> None:
    """What is wished of each, what became of it and what it runs with; StoreError."""
    with opening.reading(city.store, city.file) as db:
        now_ms = server_clock.shown_ms(db)
        gathered = status.gather(db, city.city.name, now_ms)
        is_offered = SettingsOutcomes(db).is_offered
    found = {one.name: one.settings for one in gathered.routers()}
    for one, wished in zip(routers, effective(routers, city.settings), strict=True):
        known = found.get(one.name)
        state = None if known is None else known.state
        click.echo(f"{one.name}  settings: {state or 'its own'}")
        if text := shown(wished):
            click.echo(f"  wished: {text}")
        if known is not None and known.reason:
            click.echo(f"  because: {known.reason}")
        if known is not None and known.in_force is not None:
            click.echo(f"  runs with: {shown(known.in_force)}")
    states = [one.state for one in (found.get(router.name) for router in routers) if one]
    _show_remedy(city, states, is_offered)


def _wait(city: Config, changes: Sequence[SettingsChange]) -> bool:
    """Until each that is there answered, or for a minute; then who did what.

    False: one does not take them.
    """
    with opening.reading(city.store, city.file) as db:
        reachable = presence_rows.reachable(db)
    away = [one.router for one in changes if one.router not in reachable]
    if here := len(changes) - len(away):
        what = f"{amount(here, 'router')} {either(here, 'answers', 'answer')}"
        click.echo(f"waiting until {what}, for up to {WISH_WAIT_S:.0f} s ...")
    if away:
        click.echo(
            f"not waited for: {named(away)}, offline or never heard; a router that is away gets it"
            " when it is back"
        )
    deadline = time.monotonic() + WISH_WAIT_S
    while True:
        with opening.reading(city.store, city.file) as db:
            wished = SettingsOutcomes(db)
            now_ms = server_clock.shown_ms(db)
        found = {one.router: _state(one, wished, now_ms) for one in changes}
        open_now = {name for name, (state, _) in found.items() if state in ("waiting", "trying")}
        if open_now <= set(away) or time.monotonic() >= deadline:
            break
        time.sleep(LOOK_S)
    counts = Counter(state for state, _ in found.values())
    for state in STATES:
        if counts[state]:
            names = [name for name, (one, _) in found.items() if one == state]
            click.echo(f"{state}: {counts[state]} ({named(names)})")
    if open_now - set(away):
        click.echo("waiting: no answer yet; a router that is away gets it when it is back")
    for name, (_, reason) in found.items():
        if reason:
            click.echo(f"  {name}: {reason}")
    _show_remedy(city, list(counts), wished.is_offered)
    return not any(counts[one] for one in BAD)


def _state(
    one: SettingsChange, wished: SettingsOutcomes, now_ms: int
) -> tuple[SettingsState, str | None]:
    """What became of it, and why; what the collector has not taken in yet waits."""
    known = wished.of(one.router, True, now_ms)
    empty = RouterSettings(one.router, 1)
    if known is None or wishes.body_of(known.wish or empty) != wishes.body_of(one.after):
        return "waiting", None
    return known.state or "applied", known.reason


def _show_remedy(city: Config, states: Sequence[SettingsState | None], is_offered: bool) -> None:
    if "not offered" in states:
        init = f"titik broker init {city.broker.directory or 'FOLDER'} --config {city.file}"
        click.echo(f"not offered: {OLD_AGENTS if is_offered else OLD_BROKER.format(init=init)}")
