"""The job that looks at the rules of alerts, and writes what people are to be sent.

Rule: all that a look changed is written in one transaction, with the collector's beat. Only then
is it published.
Rule: what a look knows of the looks before comes from the store. After a failure it is read again.
Rule: the first look waits for the broker, for a while: a start is no fault of the broker.
Rule: a bug in a rule stops this job alone. The beat then stops too, and whoever watches it notices.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from titik_collector.alerts.alert_settings import AlertSettings
from titik_collector.alerts.book import AlertBook
from titik_collector.alerts.desk_facts import DeskFacts
from titik_collector.alerts.evaluation import evaluate
from titik_collector.alerts.facts import LiveFacts
from titik_collector.config.model import Config
from titik_collector.limits import MAX_ENDED
from titik_collector.live.alert_topics import AlertTopics
from titik_collector.store import alert_rows, beat_rows, book_rows
from titik_collector.store.beat_rows import Beat
from titik_collector.store.database import Database

EVERY_S = 5.0
NOT_LOOKED_AT = "[alerts] on = false: no rule is looked at"


@dataclass(eq=False)
class Alerting:
    """One look for each `step`."""

    _db: Database
    _facts: Callable[[int], LiveFacts]
    _desk: Callable[[int], DeskFacts]  # what people entered
    _topics: AlertTopics
    _now_ms: Callable[[], int]
    _settings: AlertSettings
    _is_on: bool
    _is_settled: Callable[[], bool]  # the first look may be made
    _book: AlertBook | None = None  # None: read it first
    _begins: bool = field(default=True)  # the broker may hold what is over

    def change(self, config: Config) -> None:
        """The configuration was edited."""
        self._settings, self._is_on = config.alert_settings, config.alerts.on

    def connected(self) -> None:
        """What the broker still has is not known."""
        self._begins = True

    def due(self, _now: float) -> bool:
        """Always, once it has begun: what is wrong is found by looking."""
        return self._book is not None or self._is_settled()

    def step(self, _budget_s: float) -> bool:
        """One look."""
        now_ms = self._now_ms()
        if self._begins:
            changes = alert_rows.newest_events(self._db, MAX_ENDED)
            self._topics.begin(one.event.key for one in changes)
            self._begins = False
        if self._is_on:
            self._look(now_ms)
        else:
            self._topics.publish({})
            with self._db.transaction():
                beat_rows.write(self._db, beat_rows.COLLECTOR, Beat(now_ms, NOT_LOOKED_AT))
        return False

    def _look(self, now_ms: int) -> None:
        before, self._book = self._book or book_rows.read(self._db, now_ms), None
        live, desk = self._facts(now_ms), self._desk(now_ms)
        step = evaluate(before, live, desk, self._settings)
        with self._db.transaction():
            book_rows.write(self._db, before, step, now_ms)
            beat_rows.write(self._db, beat_rows.COLLECTOR, Beat(now_ms))
        self._book = step.book
        self._topics.report(step.book, live, desk, self._settings)
