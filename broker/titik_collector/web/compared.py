"""Whose past is compared: as the address has it, as somebody types it, and what is offered.

Rule: an address means one subject, for ever. Only what somebody typed is guessed.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from starlette.requests import Request

from titik_collector.config.model import Config
from titik_collector.limits import MAX_COMPARED
from titik_collector.queries.history import Subject
from titik_collector.queries.status import CityStatus
from titik_collector.store.database import Database
from titik_collector.web import asked_past
from titik_collector.web.error_pages import BadQuery
from titik_collector.web.places import natural


def names(request: Request) -> list[str]:
    """`s`, as often as there are places; the city if there is none."""
    asked = (one.strip() for one in request.query_params.getlist("s"))
    found = list(dict.fromkeys(_exact(one) for one in asked if one))
    if len(found) > MAX_COMPARED:
        raise BadQuery("s", f"{len(found)} places", f"at most {MAX_COMPARED} are compared")
    return found or ["city"]


def _exact(name: str) -> str:
    """A name alone is of a site."""
    return name if name == "city" or "/" in name else f"site/{name}"


def typed(status: CityStatus, words: str) -> str:
    """The subject that somebody typed: its title or name, or words that are of one place alone."""
    word = words.casefold()
    if word in _called(status):
        return "city"
    sites = [(f"site/{one.name}", one.name, one.line.title.casefold()) for one in status.sites]
    exact = [subject for subject, *called in sites if word in called]
    if not exact and any(one.name == words for one in status.routers()):
        return f"router/{words}"
    like = exact or [subject for subject, *called in sites if word in " ".join(called)]
    return like[0] if len(like) == 1 else words


def _called(status: CityStatus) -> set[str]:
    """How the city is called."""
    return {"city", status.line.now.name, status.line.title.casefold()}


def find(db: Database, config: Config, name: str) -> Subject:
    """NotThere if it never was."""
    scope, _, rest = name.partition("/")
    return asked_past.find(db, config, scope, rest or name)


def places(status: CityStatus, chosen: Sequence[str]) -> list[tuple[str, str]]:
    """Those that can be added, as people count: name and title."""
    found = [(f"site/{one.name}", one.line.title) for one in status.sites]
    return _in_order(one for one in found if one[0] not in chosen)


def to_type(status: CityStatus, chosen: Sequence[str]) -> list[tuple[str, str]]:
    """What finds each of those places, and its title: the title, if nothing else is called so."""
    called = Counter(_called(status))
    called.update(word for one in status.sites for word in {one.name, one.line.title.casefold()})
    found = places(status, chosen)
    return [(title if called[title.casefold()] == 1 else name, title) for name, title in found]


def routers(status: CityStatus, chosen: Sequence[str]) -> list[tuple[str, str]]:
    """The same of routers."""
    found = [(f"router/{one.name}", one.name) for one in status.routers()]
    return _in_order(one for one in found if one[0] not in chosen)


def _in_order(found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(found, key=lambda one: natural(one[1]))
