"""What an event says, in the language of who asks; the store's own text is English.

Rule: a page and a program read the same words.
"""

from collections.abc import Mapping

from titik_collector.languages.codes import marked
from titik_collector.languages.language import Language
from titik_collector.outputs.output import Event
from titik_collector.web.happenings import SERVER_CAUSES

CAUSE_UNKNOWN = marked("cause unknown")


def text(lang: Language, event: Event, titles: Mapping[str, str]) -> str:
    """`titles`: how people call a site, by its name."""
    words = _text(lang, event, titles)
    return f"{words} ({lang.say('simulated')})" if event.made_up else words


def _text(lang: Language, event: Event, titles: Mapping[str, str]) -> str:
    length = lang.length((event.length_ms or 0) / 1000)
    place = titles.get(event.place, event.place)
    if event.kind == "outage":
        return _outage(lang, event, length)
    if event.kind == "server":
        unknown = lang.say("routers are not known in that time")
        return f"{lang.say(SERVER_CAUSES[event.cause])}, {length} · {unknown}"
    if event.kind == "lost":
        return lang.many(
            "%(num)d sample is lost for good", "%(num)d samples are lost for good", event.number
        )
    if event.kind == "registered":
        return lang.say("at {place}").format(place=place) if place else lang.say("at no place")
    if event.kind == "removed":
        return lang.say("from {place}").format(place=place) if place else ""
    if event.kind == "revoked":
        if event.length_ms is None:
            return lang.say("has no access")
        return lang.say("for {length}").format(length=length)
    return lang.say("two devices use this name")


def _outage(lang: Language, event: Event, length: str) -> str:
    parts = [lang.say("away for {length}").format(length=length)]
    if event.goes_on:
        parts.append(lang.say("not over yet"))
    if event.number > 1:
        parts.append(lang.many("%(num)d router", "%(num)d routers", event.number))
    cause = CAUSE_UNKNOWN if event.cause == "unknown" else event.cause
    return f"{', '.join(parts)} · {lang.say(cause)}"


def why(lang: Language, event: Event) -> str:
    """What a cause is concluded from; numbers of the store's own evidence stay English."""
    return "; ".join(lang.say(one) for one in event.why.split("; ") if one)
