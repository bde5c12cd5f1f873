"""Receivers that nothing reaches, where people look: whoever misses messages gets none about it.

Rule: what `titik notify` keeps is asked; where it cannot be read, nothing is known.
Rule: a day after the last try nothing is known either: it may be mended, and no message came since.
"""

from titik_collector.config.model import Config
from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_LISTED
from titik_collector.queries.server_warnings import Warned
from titik_collector.store import delivery_rows, notify_opening
from titik_collector.store.database import StoreError
from titik_collector.store.delivery_rows import FailingReceiver
from titik_collector.wording.sentence import Length, Sentence
from titik_wire.instant import DAY_MS, MINUTE_MS

FAILURES, FAILING_MS = 3, 15 * MINUTE_MS  # a receiver that fails so often, for so long
KNOWN_MS = DAY_MS  # since the last try


def is_long(since_ms: int, tries: int, now_ms: int) -> bool:
    """Whether a receiver failed for too long to be a moment."""
    return tries >= FAILURES and now_ms - since_ms >= FAILING_MS


def warned(settings: Config, now_ms: int) -> tuple[Warned, ...]:
    """A line for each, with what shows why."""
    found = look(settings, now_ms)[:MAX_LISTED]
    return tuple(Warned("warning", _words(one, now_ms)) for one in found)


def look(settings: Config, now_ms: int) -> list[FailingReceiver]:
    """Those of the configuration, by name."""
    names = {one.name for one in settings.receiver}
    return [
        one
        for one in _failing(settings, now_ms - KNOWN_MS)
        if one.receiver in names and (one.is_refused or is_long(one.since_ms, one.tries, now_ms))
    ]


def _failing(settings: Config, since_ms: int) -> list[FailingReceiver]:
    try:
        with notify_opening.reading(settings.page_store) as db:
            return [] if db is None else delivery_rows.failing(db, since_ms)
    except (StoreError, OSError):  # such as a user who may not look
        return []


def _words(one: FailingReceiver, now_ms: int) -> Sentence:
    text = marked(
        "messages to {name} have not arrived for {length}; as root: titik notify test {name}"
    )
    return Sentence(text, name=one.receiver, length=Length(max(0, now_ms - one.since_ms)))
