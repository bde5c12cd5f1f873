"""`[[site]]` and `[[router]]`: the places with free Wi-Fi, their facts, and what stands there."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

from titik_collector.config.schema import (
    HOURS,
    MOMENT,
    NAME,
    ConfigError,
    Setting,
    names,
    real,
    text,
    whole,
)
from titik_collector.limits import MAX_NAMED, MAX_TAGS


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """[[site]]"""

    name: Annotated[
        str, Setting(NAME, "the site's name; do not change it, because history refers to it")
    ]
    title: Annotated[str, Setting(text(), "the name people read")]
    latitude: Annotated[float | None, Setting(real(-90, 90), "degrees north")] = None
    longitude: Annotated[float | None, Setting(real(-180, 180), "degrees east")] = None
    capacity: Annotated[
        int | None, Setting(whole(1, 1_000_000), "how many visitors it is meant for at once")
    ] = None
    uplink_mbps: Annotated[
        float | None,
        Setting(
            real(0.01, 1_000_000), "what its lines to the internet can carry together, in Mbit/s"
        ),
    ] = None
    provider: Annotated[str | None, Setting(text(100), "who provides its line to the internet")] = (
        None
    )
    circuit: Annotated[
        str | None, Setting(text(100), "the number of that line, as the provider asks for it")
    ] = None
    district: Annotated[str | None, Setting(text(100), "the part of the city it lies in")] = None
    power: Annotated[
        str | None, Setting(text(100), "what powers it, such as a line of the grid or solar")
    ] = None
    contact: Annotated[
        str | None,
        Setting(
            text(), "who has the key, and how to reach them; shown only to people who are logged in"
        ),
    ] = None
    hours: Annotated[
        str | None,
        Setting(
            HOURS, "when it is open, in the city's time zone; a day that is not named is closed"
        ),
    ] = None
    tier: Annotated[
        int | None, Setting(whole(1, 5), "how much it matters; 1 is the most important")
    ] = None
    tags: Annotated[
        tuple[str, ...], Setting(names(MAX_TAGS), "words of your own to find it by", "none")
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """[[router]]"""

    name: Annotated[
        str, Setting(NAME, "the router's name: its user name at the broker and in its topics")
    ]
    site: Annotated[str, Setting(NAME, "the site that it stands at")]
    since: Annotated[
        date | datetime | None,
        Setting(
            MOMENT,
            "when it came to this site; looked at once, when it is first seen at the site",
            "when the collector reads it",
        ),
    ] = None
    revoked: Annotated[
        date | datetime | None,
        Setting(
            MOMENT,
            "since when it has no access; `titik router revoke` writes it, and `titik router"
            " rotate` takes it out",
        ),
    ] = None
    tags: Annotated[
        tuple[str, ...],
        Setting(names(MAX_TAGS), "words of your own to find it by, such as `roof`", "none"),
    ] = ()


def check_sites(
    file: Path, sites: Sequence[Site], routers: Sequence[Router], collector_user: str
) -> None:
    """Each name is given once, and each router stands at a site; ConfigError."""
    _check_names(file, sites, routers, collector_user)
    _check_places(file, sites, routers)


def _check_names(
    file: Path, sites: Sequence[Site], routers: Sequence[Router], collector_user: str
) -> None:
    """A name is given once, and no router is called like the collector's own user."""
    _check_unique(file, "site", (site.name for site in sites))
    _check_unique(file, "router", (router.name for router in routers))
    for number, router in enumerate(routers):
        if router.name == collector_user:
            raise ConfigError(
                file,
                f"router[{number}].name",
                f'"{router.name}" is the collector\'s user at the broker',
                "name the router otherwise",
            )


def _check_unique(file: Path, table: str, names: Iterable[str]) -> None:
    first: dict[str, int] = {}
    for number, name in enumerate(names):
        if name in first:
            raise ConfigError(
                file,
                f"{table}[{number}].name",
                f'"{name}" is {table}[{first[name]}] already',
                "allowed: each name once",
            )
        first[name] = number


def _check_places(file: Path, sites: Sequence[Site], routers: Sequence[Router]) -> None:
    known = {site.name for site in sites}
    for number, router in enumerate(routers):
        if router.site not in known:
            raise ConfigError(
                file,
                f"router[{number}].site",
                f'there is no site "{router.site}" for {router.name}',
                no_such_site(router.site, [site.name for site in sites]),
            )


def no_such_site(name: str, sites: list[str]) -> str:
    """The remedy for a site that is not there."""
    return no_such_name("site", name, sites)


def no_such_name(table: str, name: str, known: list[str]) -> str:
    """The remedy for a site or router that is not there."""
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"did you mean {near[0]}?"
    if not known:
        return f"add a [[{table}]] first"
    more = f" and {len(known) - MAX_NAMED} more" if len(known) > MAX_NAMED else ""
    return f"allowed: {', '.join(known[:MAX_NAMED])}{more}"
