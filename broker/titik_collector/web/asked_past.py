"""What of the past an address asks for: whose, from when to when, by which windows.

Rule: pages and programs ask with the same words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from titik_collector.config.model import Config
from titik_collector.figures.windows import Calendar, Span, Window
from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_ASKED
from titik_collector.queries import columnar, day_strip, history
from titik_collector.queries.columnar import Columns
from titik_collector.queries.day_strip import StripDay
from titik_collector.queries.history import WINDOW_MS, Subject, UnknownName
from titik_collector.store.database import Database
from titik_collector.web.api import parameters
from titik_collector.web.error_pages import NotThere, TooMuch
from titik_collector.wording.sentence import Sentence
from titik_wire.instant import MINUTE_MS

WINDOWS: tuple[Window, ...] = ("1m", "1h", "1d")


@dataclass(frozen=True, slots=True)
class AskedTime:
    """A span, and the windows it is asked in; without, the server picks them."""

    span: Span
    window: Window | None
    now_ms: int


def asked_time(request: Request, config: Config, at_ms: int, since: str) -> AskedTime:
    """`from`, `to` and `w`; now is the last full minute, so that an answer can be kept."""
    now_ms = at_ms // MINUTE_MS * MINUTE_MS
    span = parameters.span(request, since, config.city.timezone, now_ms)
    word = parameters.choice(request, "w", WINDOWS, None)
    window = next((one for one in WINDOWS if one == word), None)
    return AskedTime(span, window, now_ms)


def check_size(windows: int, window: Window, address: str) -> None:
    """TooMuch, with the address of a first part that is answered."""
    if windows > MAX_ASKED:
        raise TooMuch(
            "w",
            f"{windows:,} windows of {window}, and at most {MAX_ASKED:,} are answered",
            "use a longer window, or ask in parts",
            next=address,
        )


def find(db: Database, config: Config, scope: str, name: str) -> Subject:
    """NotThere if it never was."""
    city = config.city
    wanted = "city" if scope == "city" and name in ("city", city.name) else f"{scope}/{name}"
    try:
        return history.find(db, wanted, city.name, city.title)
    except UnknownName as error:
        wrong, _, remedy = str(error).partition("; ")
        remedy = remedy or "titik status --all lists them"
        raise NotThere("name", wrong, remedy, _spoken(name, error.near)) from error


def _spoken(name: str, near: Sequence[str]) -> Sentence:
    """For people in front of the page, who have no command line."""
    if near:
        text = marked("There is no place or router {name}. Did you mean {near}?")
        return Sentence(text, name=name, near=", ".join(near))
    text = marked("There is no place or router {name}. Choose one from the list.")
    return Sentence(text, name=name)


def read(
    db: Database, config: Config, subjects: Sequence[Subject], asked: AskedTime, fields: list[str]
) -> list[Columns]:
    """Of each subject; the window that fits the span, if none is asked for."""
    window = asked.window or columnar.fitting(asked.span, _oldest_ms(db, subjects))
    calendar = Calendar(config.city.timezone)
    return columnar.compare(db, subjects, window, asked.span, calendar, asked.now_ms, fields)


def _oldest_ms(db: Database, subjects: Sequence[Subject]) -> int | None:
    known = [columnar.oldest_minute_ms(db, one) for one in subjects]
    return min((one for one in known if one is not None), default=None)


def days(
    config: Config, scope: str, name: str, now_ms: int
) -> Callable[[Database], list[StripDay]]:
    """The question for ninety days of a place at a glance."""
    calendar = Calendar(config.city.timezone)
    return lambda db: day_strip.read(db, find(db, config, scope, name), calendar, now_ms)


def windows(asked: AskedTime, subjects: int = 1) -> int:
    """How many are read at most."""
    window = asked.window or columnar.fitting(asked.span, 0)
    return history.count(window, asked.span) * subjects


def first_part(asked: AskedTime) -> Span:
    """As much as is answered at once."""
    length_ms = MAX_ASKED * WINDOW_MS[asked.window or "1d"]
    return Span(asked.span.start_ms, min(asked.span.end_ms, asked.span.start_ms + length_ms))
