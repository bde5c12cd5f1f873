"""Which routers a command is for: one by its name, those of a site or with a tag, or all."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from titik_collector.config import edit
from titik_collector.config.model import Config
from titik_collector.config.schema import ConfigError
from titik_collector.config.settings_tables import SettingsOf
from titik_collector.config.site_tables import Router

Command = TypeVar("Command", bound=Callable[..., Any])


def options(command: Command) -> Command:
    """`--site`, `--tag` and `--all`, as the arguments `site`, `tag` and `every`."""
    for add in (
        click.option("--all", "every", is_flag=True, help="All routers."),
        click.option("--tag", help="All routers with this tag."),
        click.option("--site", help="All routers of a site."),
    ):
        command = add(command)
    return command


def chosen(names: Sequence[str], site: str | None, tag: str | None, every: bool) -> SettingsOf:
    """As it was typed; click.UsageError unless it is one of them."""
    found = _typed(names, site, tag, every)
    if len(found) != 1:
        raise click.UsageError("give the NAME of one router, or one of --site, --tag, --all")
    return found[0]


def many_routers(
    city: Config, names: Sequence[str], site: str | None, tag: str | None, every: bool
) -> list[Router]:
    """Of a command that takes names too, each once; click.UsageError and ConfigError as above."""
    found = _typed(dict.fromkeys(names), site, tag, every)
    if len({one.scope for one in found}) != 1:
        raise click.UsageError("give the NAMEs of routers, or one of --site, --tag, --all")
    return [router for one in found for router in routers(city, one)]


def _typed(
    names: Iterable[str], site: str | None, tag: str | None, every: bool
) -> list[SettingsOf]:
    return [
        *(SettingsOf("router", one) for one in names),
        *(SettingsOf("site", one) for one in [site] if one is not None),
        *(SettingsOf("tag", one) for one in [tag] if one is not None),
        *(SettingsOf("all") for _ in range(every)),
    ]


def routers(city: Config, of: SettingsOf) -> list[Router]:
    """The chosen ones, in the order of the file; ConfigError where there is none of that name."""
    if of.scope == "router":
        return [edit.find(city, of.name)]
    if of.scope == "site" and of.name not in {one.name for one in city.site}:
        wrong, sites = f'there is no site "{of.name}"', [one.name for one in city.site]
        near = difflib.get_close_matches(of.name, sites, 1)
        remedy = f"did you mean {near[0]}?" if near else "see: titik router list"
        raise ConfigError(city.file, "site", wrong, remedy)
    found = [
        one
        for one in city.router
        if of.scope == "all"
        or (of.scope == "site" and one.site == of.name)
        or (of.scope == "tag" and of.name in one.tags)
    ]
    if of.scope == "tag" and not found:
        wrong = f'no router has the tag "{of.name}"'
        remedy = f"give it some: titik router tag NAME --add {of.name}"
        raise ConfigError(city.file, "tag", wrong, remedy)
    return found


def some_routers(city: Config, of: SettingsOf) -> list[Router]:
    """The same, and ConfigError where they are none: nobody could be asked."""
    found = routers(city, of)
    if not found:
        raise ConfigError(city.file, "router", "there is none to ask", "see: titik router list")
    return found
