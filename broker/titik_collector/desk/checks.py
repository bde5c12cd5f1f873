"""What people may enter, and what they read where they may not."""

import re
from typing import get_args

from titik_collector.alerts.alert import AlertSubject, Kind
from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_GROUP_NAME
from titik_collector.wording.mendable import Mendable
from titik_collector.wording.sentence import Sentence
from titik_wire.kinds import SLUG

KINDS = get_args(Kind)
GROUPS = ("provider", "district")
PLACES = ("router", "site", "city")  # what maintenance is of
SCOPES = (*PLACES, "group", "server")


class DeskError(Mendable):
    """Of what somebody entered."""


def plain(text: str, most: int) -> str:
    """One line without what no terminal shows; DeskError if it is too long."""
    return _bounded(" ".join(_shown(text).split()), most)


def lines(text: str, most: int) -> str:
    """The same, with its lines."""
    return _bounded("\n".join(_shown(one).rstrip() for one in text.strip().splitlines()), most)


def check_subject(subject: AlertSubject) -> None:
    """DeskError if no alert can be about it; an empty name is all of the scope."""
    scope, name = subject
    if scope not in SCOPES or not _is_name(scope, name):
        text = marked(
            "{name}: is nothing that an alert is about; use the name of a router or a place, the"
            " city, or a group such as provider:Telkom"
        )
        raise DeskError(Sentence(text, name=name[:MAX_GROUP_NAME] or scope))


def subject_of(scope: str, name: str) -> AlertSubject:
    """What a text means; DeskError if no alert can be about it."""
    subject = AlertSubject(scope, name)  # type: ignore[arg-type]  # it is checked
    check_subject(subject)
    return subject


def check_kind(kind: str | None) -> None:
    """DeskError if there is no such kind of alert."""
    if kind is not None and kind not in KINDS:
        text = marked("{kind}: is no kind of alert; use one of: {kinds}")
        raise DeskError(Sentence(text, kind=kind[:MAX_GROUP_NAME], kinds=", ".join(KINDS)))


def _is_name(scope: str, name: str) -> bool:
    if not name:
        return True
    if scope != "group":
        return re.fullmatch(SLUG, name) is not None
    of, _, value = name.partition(":")
    return of in GROUPS and 0 < len(value) <= MAX_GROUP_NAME and value.isprintable()


def _shown(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text)


def _bounded(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    long = marked("this text has {length} characters; write at most {most}")
    raise DeskError(Sentence(long, length=len(text), most=most))
