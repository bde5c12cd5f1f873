"""What people mean by a name: a router, a place, the city, a group, or alerts about them."""

import difflib
from typing import Final, NamedTuple

from titik_collector.alerts.alert import AlertSubject
from titik_collector.config.model import Config
from titik_collector.desk.checks import GROUPS, KINDS, PLACES, SCOPES, DeskError, subject_of
from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_GROUP_NAME
from titik_collector.wording.sentence import Sentence

CITY: Final = "city"  # is the city, whatever its name is
MORE = "titik status --all"


class NamedAlerts(NamedTuple):
    """Which alerts somebody means; `kind` None: of every kind."""

    subject: AlertSubject
    kind: str | None = None


def place(config: Config, text: str) -> AlertSubject:
    """A router, a place or the city, by name or as `site/NAME`; DeskError if there is none."""
    scope, slash, name = text.strip().partition("/")
    if not slash:
        scope, name = "", scope
    elif scope not in PLACES:
        raise _unknown(config, text)
    found = [one for one in _known(config, name) if scope in ("", one.scope)]
    if not found:
        raise _unknown(config, name)
    return found[0]  # a place before its router of the same name


def alerts(config: Config, text: str) -> NamedAlerts:
    """`NAME`, or `scope[/name][/kind]`; DeskError if there are no such alerts."""
    parts = text.strip().split("/")
    kind = parts.pop() if len(parts) > 1 and parts[-1] in KINDS else None
    if len(parts) == 1 and parts[0] in SCOPES:
        name = config.city.name if parts[0] == CITY else ""
        return NamedAlerts(subject_of(parts[0], name), kind)
    if len(parts) == 1 and parts[0].partition(":")[0] in GROUPS:
        parts = ["group", parts[0]]
    if parts[0] in ("group", "server") and len(parts) > 1:
        return NamedAlerts(subject_of(parts[0], "/".join(parts[1:])), kind)
    if len(parts) > 2:
        raise _unknown(config, text)
    return NamedAlerts(place(config, "/".join(parts)), kind)


def title(config: Config, subject: AlertSubject) -> str:
    """As people call it."""
    scope, name = subject
    if scope == CITY:
        return config.city.title
    if scope == "site":
        return next((one.title for one in config.site if one.name == name), name)
    if scope == "group":
        return name.partition(":")[2] or name
    return name


def covering(config: Config, subject: AlertSubject) -> tuple[AlertSubject, ...]:
    """Itself, and what it is a part of: what is of any of them is of it."""
    found = [subject]
    if subject.scope == "router":
        sites = [one.site for one in config.router if one.name == subject.name]
        found += [AlertSubject("site", site) for site in sites]
    names = {one.name for one in found if one.scope == "site"}
    for site in (one for one in config.site if one.name in names):
        groups = (("provider", site.provider), ("district", site.district))
        found += [AlertSubject("group", f"{of}:{name}") for of, name in groups if name]
    if subject.scope != CITY:
        found.append(AlertSubject(CITY, config.city.name))
    return tuple(found)


def _known(config: Config, name: str) -> list[AlertSubject]:
    found = []
    if name in (CITY, config.city.name):
        found.append(AlertSubject(CITY, config.city.name))
    if any(one.name == name for one in config.site):
        found.append(AlertSubject("site", name))
    if any(one.name == name for one in config.router):
        found.append(AlertSubject("router", name))
    return found


def _unknown(config: Config, name: str) -> DeskError:
    known = [*(one.name for one in config.site), *(one.name for one in config.router)]
    near = difflib.get_close_matches(name, known, 3)
    text = marked("{name}: there is no such router or place; did you mean {near}?")
    if near:
        return DeskError(Sentence(text, name=name[:MAX_GROUP_NAME], near=", ".join(near)))
    text = marked("{name}: there is no such router or place; {command} lists them")
    return DeskError(Sentence(text, name=name[:MAX_GROUP_NAME], command=MORE))
