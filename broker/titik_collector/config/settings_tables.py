"""`[[settings]]`: what the city wishes its routers to run with, and for which of them.

Rule: a table is for one router, one site, one tag or all. The narrower wins, key by key; of two
tags of a router the later table.
Rule: a key is one of the contract, with its limits. One that no table gives is the router's own.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args

from titik_collector.config.schema import FLAG, NAME, ConfigError, Kind, Setting, one_of, whole
from titik_collector.config.site_tables import Router, Site, no_such_name
from titik_collector.limits import MAX_SHOWN
from titik_wire.fleet_messages import (
    DnsName,
    Every,
    Interval,
    LogLevel,
    RouterSettings,
    Target,
)
from titik_wire.kinds import Text, Whole
from titik_wire.limits import MAX_REMOTE_TARGETS

Scope = Literal["router", "site", "tag", "all"]
SCOPES: Final[tuple[Scope, ...]] = ("all", "tag", "site", "router")  # the narrowest is the last


class SettingsOf(NamedTuple):
    """The routers that a table is for; of all of them the name is empty."""

    scope: Scope
    name: str = ""


def _range(annotation: Any) -> Kind:
    kind = get_args(annotation)[1]
    assert isinstance(kind, Whole)
    return whole(kind.minimum, kind.maximum)


def _list(annotation: Any, one: str, example: str) -> Kind:
    kind = get_args(annotation)[1]
    assert isinstance(kind, Text)
    assert kind.pattern is not None
    return Kind(
        f'a list of at most {MAX_REMOTE_TARGETS} {one}, such as `["{example}"]`; `[]`: none',
        partial(_read_list, re.compile(kind.pattern), kind.max_chars, one),
    )


def _read_list(
    pattern: re.Pattern[str], max_chars: int, what: str, value: object, _base: Path
) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"is no list of {what}")
    if len(value) > MAX_REMOTE_TARGETS:
        raise ValueError(f"{len(value)} {what} are too many")
    for one in value:
        if not isinstance(one, str) or len(one) > max_chars or not pattern.fullmatch(one):
            raise ValueError(f"{str(one)[:MAX_SHOWN]!r} is none of {what}")
        port = one.rpartition(":")[2]
        if what == TARGETS and not 1 <= int(port) <= 65535:
            raise ValueError(f"{one[:MAX_SHOWN]!r} has no port from 1 to 65535")
    return tuple(value)


TARGETS, NAMES = "addresses with a port", "names"
_ONE = "of `router`, `site`, `tag` and `all` a table has one"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsTable:
    """[[settings]]"""

    router: Annotated[str | None, Setting(NAME, f"the router that it is for; {_ONE}")] = None
    site: Annotated[str | None, Setting(NAME, "the site whose routers it is for")] = None
    tag: Annotated[str | None, Setting(NAME, "the tag of the routers that it is for")] = None
    all: Annotated[bool | None, Setting(FLAG, "`true`: it is for every router")] = None
    interval_s: Annotated[int | None, Setting(_range(Interval), "seconds between samples")] = None
    reach_targets: Annotated[
        tuple[str, ...] | None,
        Setting(_list(Target, TARGETS, "1.1.1.1:443"), "what routers open over TCP"),
    ] = None
    reach_names: Annotated[
        tuple[str, ...] | None,
        Setting(_list(DnsName, NAMES, "example.org"), "names that routers ask their resolver for"),
    ] = None
    reach_every_s: Annotated[int | None, Setting(_range(Every), "seconds between rounds")] = None
    probe: Annotated[
        bool | None, Setting(FLAG, "`false`: what the probe process saw is left out")
    ] = None
    compress: Annotated[bool | None, Setting(FLAG, "whether samples are packed")] = None
    log_level: Annotated[
        Literal["debug", "info", "warning"] | None,
        Setting(one_of(*get_args(LogLevel)), "from which on the agent logs"),
    ] = None

    @property
    def of(self) -> SettingsOf:
        """Which routers it is for."""
        for scope in SCOPES[1:]:
            name = getattr(self, scope)
            if name is not None:
                return SettingsOf(scope, name)
        return SettingsOf("all")


KEYS: Final = tuple(one.name for one in fields(SettingsTable) if one.name not in SCOPES)


def check_settings(
    file: Path, tables: Sequence[SettingsTable], sites: Sequence[Site], routers: Sequence[Router]
) -> None:
    """Each table is for one, and nobody has two; ConfigError."""
    first: dict[SettingsOf, int] = {}
    known = {"site": [one.name for one in sites], "router": [one.name for one in routers]}
    for number, table in enumerate(tables):
        given = [one for one in SCOPES if getattr(table, one) is not None]
        path = f"settings[{number}]"
        if len(given) != 1:
            wrong = "is for nobody" if not given else f"has {' and '.join(given)}"
            allowed = 'give one of router = "NAME", site = "NAME", tag = "WORD", all = true'
            raise ConfigError(file, path, wrong, allowed)
        if table.all is False:
            raise ConfigError(file, f"{path}.all", "is false", "allowed: true; or remove the table")
        of = table.of
        names = known.get(of.scope)
        if names is not None and of.name not in names:
            wrong = f'there is no {of.scope} "{of.name}"'
            raise ConfigError(
                file, f"{path}.{of.scope}", wrong, no_such_name(of.scope, of.name, names)
            )
        if of in first:
            wrong = f"is for the same as settings[{first[of]}]"
            raise ConfigError(file, path, wrong, "write all of its keys into one table")
        first[of] = number


def effective(
    routers: Iterable[Router], tables: Sequence[SettingsTable]
) -> Iterator[RouterSettings]:
    """What each router is to run with, as of the first revision."""
    ordered = {one.of: number for number, one in enumerate(tables)}
    for router in routers:
        tags = [SettingsOf("tag", one) for one in router.tags]
        tags = sorted((one for one in tags if one in ordered), key=lambda one: ordered[one])
        found: dict[str, Any] = {}
        for of in (
            SettingsOf("all"),
            *tags,
            SettingsOf("site", router.site),
            SettingsOf("router", router.name),
        ):
            if of in ordered:
                table = tables[ordered[of]]
                found |= {key: value for key in KEYS if (value := getattr(table, key)) is not None}
        yield RouterSettings(router.name, 1, **found)
