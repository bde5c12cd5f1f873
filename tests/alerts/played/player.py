"""Plays a script: the rules look at its facts, `titik notify` takes what is due, and that is all.

Rule: `evaluate` is called at each moment at which it could find something else: where a fact or
    what people entered changes, where `for`, `keep` or a wait ends, where a row is due or may be
    followed by another, and at turns of the day.
Rule: between them looks would be empty. The book only notes each 150 seconds that they were.
Rule: looks are at whole 5 seconds, as the collector's are.
Rule: while nothing can be stored, no look leaves a trace.

`python -m tests.alerts.played.player night 10` prints the inbox beside what is expected: `=` came
as expected, `-` is missing, `+` is too many. `month 400` and so on, too.
"""

import heapq
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tests.alerts.played import inbox, script
from tests.alerts.played.courier import Courier, Delivered
from tests.alerts.played.inbox import InboxLine
from tests.alerts.played.script import (
    DIGEST,
    MORNING,
    QUIET,
    ROTA,
    ROUTES,
    ZONE,
    Acknowledged,
    Away,
    Play,
    Silenced,
    Work,
)
from tests.alerts.played.world import World, ms, troubles
from titik_collector.alerts import rules
from titik_collector.alerts.alert import AlertKey, AlertSubject, Kind, Severity
from titik_collector.alerts.alert_settings import AlertSettings, Hours, Rota, Route
from titik_collector.alerts.book import AlertBook, AlertStep
from titik_collector.alerts.desk_facts import (
    Acknowledgement,
    DeliveryTime,
    DeskFacts,
    Maintenance,
    Silence,
)
from titik_collector.alerts.evaluation import evaluate
from titik_wire.instant import DAY_MS, MINUTE_MS

LOOK_MS = 5000
REGULAR_MS = 150_000  # of three minutes without a look nothing would be known
ACK_AFTER_MS = 10 * MINUTE_MS
FEWEST = 3  # places of a group
GROUP_MS = (MINUTE_MS, 2 * MINUTE_MS)  # a member, and the group
FLAPPING_MS = (15 * MINUTE_MS, 60 * MINUTE_MS)  # down after all, and over
FORGOTTEN_MS = 30 * MINUTE_MS + LOOK_MS  # of an incident that was resolved
AFTER_SENT_MS = tuple(number * MINUTE_MS for number in (5, 30, 120, 240))
AWAY: tuple[Kind, ...] = ("site-offline", "router-offline", "no-internet")
RULES = rules.rules_of(())


def settings_of() -> AlertSettings:
    """The routes and hours of the script."""
    return AlertSettings(
        zone=ZONE,
        routes=tuple(
            Route(
                way.receivers,
                severities=tuple(_severity(one) for one in way.severities),
                kinds=tuple(_kind(one) for one in way.kinds),
                escalate=way.escalate,
            )
            for way in ROUTES
        ),
        rotas=(
            Rota(
                ROTA.name,
                ROTA.receivers,
                ms(datetime.combine(ROTA.first_monday, datetime.min.time(), ZONE)),
            ),
        ),
        quiet=Hours(QUIET[0].hour * 60, QUIET[1].hour * 60),
        morning_min=MORNING.hour * 60,
        digest_min=DIGEST.hour * 60,
    )


def _severity(text: str) -> Severity:
    known: dict[str, Severity] = {"info": "info", "warning": "warning", "critical": "critical"}
    return known[text]


def _kind(text: str) -> Kind:
    known: dict[str, Kind] = {kind: kind for kind in (*rules.DEFAULTS, *NOT_OF_RULES)}
    return known[text]


NOT_OF_RULES: tuple[Kind, ...] = ("collector-down", "delivery-failing")


# --- What people enter ------------------------------------------------------------------------


@dataclass(eq=False)
class Desk:
    """What people entered until a moment, and who acknowledges what they get."""

    play: Play
    _acks: list[Acknowledgement] = field(default_factory=list)
    _delivered: dict[int, int] = field(default_factory=dict)
    _promised: list[tuple[int, int, str]] = field(default_factory=list)  # (when, incident, who)
    unmet: list[Acknowledged] = field(default_factory=list)  # acknowledged, but there was nothing

    def __post_init__(self) -> None:
        entered = [one for one in self.play.events if isinstance(one, Work | Silenced)]
        self._works = [one for one in entered if isinstance(one, Work)]
        self._silences = [one for one in entered if isinstance(one, Silenced)]
        self._to_do = [one for one in self.play.events if isinstance(one, Acknowledged)]
        self.moments = [ms(moment) for one in entered for moment in (one.begins, one.ends)]
        self.moments += [ms(one.begins) for one in self._to_do]

    def hear(self, one: Delivered) -> int | None:
        """Somebody has a message; when they acknowledge it, if they do."""
        if one.incident is None:
            return None
        self._delivered.setdefault(one.incident, one.at_ms)
        message = one.message
        if self.play.name == "night" or one.receiver not in ROTA.receivers:
            return None
        if message.what == "resolved":
            self._promised = [
                mine for mine in self._promised if mine[1:] != (one.incident, one.receiver)
            ]
        elif message.severity == "critical":
            when_ms = one.at_ms + ACK_AFTER_MS
            self._promised.append((when_ms, one.incident, one.receiver))
            return when_ms
        return None

    def facts(self, at_ms: int, book: AlertBook) -> DeskFacts:
        """What counts at a moment."""
        self._acknowledge(at_ms, book)
        return DeskFacts(
            acks=tuple(one for one in self._acks if one.until_ms > at_ms),
            silences=tuple(
                Silence(
                    number,
                    AlertSubject("site", one.place),
                    "site-offline",
                    ms(one.begins),
                    ms(one.ends),
                    one.actor,
                    "",
                )
                for number, one in enumerate(self._silences, 1)
                if ms(one.begins) <= at_ms < ms(one.ends)
            ),
            maintenance=tuple(
                Maintenance(
                    number,
                    AlertSubject("site", one.place),
                    ms(one.begins),
                    ms(one.ends),
                    one.actor,
                    "",
                )
                for number, one in enumerate(self._works, 1)
                if ms(one.entered) <= at_ms < ms(one.ends)
            ),
            delivered=tuple(
                DeliveryTime(incident, when_ms)
                for incident, when_ms in self._delivered.items()
                if incident in book.incidents
            ),
        )

    def _acknowledge(self, at_ms: int, book: AlertBook) -> None:
        for one in [one for one in self._to_do if ms(one.begins) <= at_ms]:
            self._to_do.remove(one)
            incident = incident_of(one.place, book)
            if incident is None:
                self.unmet.append(one)
            else:
                self._acks.append(_ack(incident, one.actor, ms(one.begins)))
        for promise in [one for one in self._promised if one[0] <= at_ms]:
            self._promised.remove(promise)
            when_ms, incident, who = promise
            self._acks.append(_ack(incident, who, when_ms))


def _ack(incident: int, actor: str, at_ms: int) -> Acknowledgement:
    return Acknowledgement(incident, actor, at_ms, at_ms + DAY_MS)


def incident_of(place: str, book: AlertBook) -> int | None:
    """The open incident that a place is in."""
    alert = book.alerts.get(AlertKey("site-offline", AlertSubject("site", place)))
    if alert is None or alert.incident is None:
        return None
    incident = book.incidents.get(alert.incident)
    return None if incident is None or incident.resolved_ms is not None else incident.number


# --- The play ---------------------------------------------------------------------------------


@dataclass(eq=False)
class Player:
    """Plays it once, to its end."""

    play: Play
    every_look: bool = False  # each 5 seconds, instead of where something can change
    looks: int = 0
    book: AlertBook = field(default_factory=AlertBook)
    steps: list[AlertStep] = field(default_factory=list)
    _times: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = settings_of()
        self.world, self.desk = World(self.play), Desk(self.play)
        self.courier = Courier(self.play, self.settings)
        self._begin_ms, self._end_ms = ms(self.play.begins), ms(self.play.ends)
        self._failing = [
            (ms(one.begins), ms(one.ends)) for one in troubles(self.play, "store fails")
        ]
        for at_ms in (self._begin_ms, *self.world.moments, *self.desk.moments, *self._turns()):
            self._look_at(at_ms)

    def run(self) -> list[Delivered]:
        """All that anybody got, in order of time."""
        at_ms = self._begin_ms
        while at_ms <= self._end_ms:
            if not self._is_failing(at_ms):
                self._look(at_ms)
            for one in self.courier.advance(at_ms):
                acks_ms = self.desk.hear(one)
                if acks_ms is not None:
                    self._look_at(acks_ms)
            at_ms = self._next_look(at_ms)
        return self.courier.inbox

    def _look(self, at_ms: int) -> None:
        self.looks += 1
        desk = self.desk.facts(at_ms, self.book)
        step = evaluate(self.book, self.world.at(at_ms), desk, self.settings)
        self.book = step.book
        for number in step.withdrawn:
            self.courier.withdraw(number)
        for row in step.notifications:
            assert row.number is not None
            self.courier.put(row.number, row)
        for moment in _later(step):
            self._look_at(moment)

    def _is_failing(self, at_ms: int) -> bool:
        return any(begins_ms <= at_ms < ends_ms for begins_ms, ends_ms in self._failing)

    def _look_at(self, moment_ms: int) -> None:
        heapq.heappush(self._times, -(-moment_ms // LOOK_MS) * LOOK_MS)

    def _next_look(self, at_ms: int) -> int:
        if self.every_look:
            return at_ms + LOOK_MS
        while self._times and self._times[0] <= at_ms:
            heapq.heappop(self._times)
        next_ms = self._times[0] if self._times else self._end_ms + LOOK_MS
        if not self._is_failing(at_ms):  # else no look is noted
            empty_ms = (next_ms - at_ms - 1) // REGULAR_MS * REGULAR_MS
            self.book = replace(self.book, looked_ms=at_ms + empty_ms)
        return next_ms

    def _turns(self) -> Iterator[int]:
        """Of each day."""
        day = self.play.begins.date()
        while day <= self.play.ends.date():
            for turn in (datetime.min.time(), MORNING, DIGEST, *QUIET):
                yield ms(datetime.combine(day, turn, ZONE))
            day += timedelta(days=1)


def _later(step: AlertStep) -> Iterator[int]:
    """When a look may find something else, by what this one changed."""
    after = step.book
    for alert in step.alerts:
        if alert.phase in ("pending", "recovering") and alert.known and alert.seen_ms is not None:
            rule = RULES[alert.key.kind]
            wait_ms = rule.for_ms if alert.phase == "pending" else rule.keep_ms
            yield alert.seen_ms + wait_ms - alert.held_ms
    away = [one for one in after.alerts.values() if one.key.kind in AWAY]
    if len(away) >= FEWEST and any(one.key.kind in AWAY for one in step.alerts):
        yield from (one.from_ms + after_ms for one in away for after_ms in GROUP_MS if one.from_ms)
    flapping = [one for one in after.alerts.values() if one.key.kind == "flapping"]
    if flapping and step.events:
        yield from (event.at_ms + after_ms for event in after.events for after_ms in FLAPPING_MS)
    for incident in step.incidents:
        if incident.resolved_ms is not None:
            yield incident.resolved_ms + FORGOTTEN_MS
    for row in step.notifications:
        yield from (row.due_ms, row.due_ms + LOOK_MS)
        if row.message.severity == "critical":
            yield from (row.due_ms + after_ms for after_ms in AFTER_SENT_MS)


def lines_of(play: Play, delivered: Iterable[Delivered]) -> list[InboxLine]:
    """As an expected file has them."""
    noise = {
        (one.router or one.place, ms(one.begins))
        for one in play.events
        if isinstance(one, Away) and one.is_noise
    }
    lines = [
        (
            inbox.line_of(one.message, one.receiver, one.at_ms),
            (one.message.subject.name, one.message.from_ms) in noise,
        )
        for one in delivered
    ]
    if play.name == "month" and play.size > 10:
        return sorted(inbox.counted(lines))
    return sorted(line for line, _ in lines)


def play_of(name: str, size: int) -> Play:
    """Of the script."""
    return script.night(size) if name == "night" else script.month(size)


def main(name: str, size: int) -> None:
    """Print both inboxes."""
    play = play_of(name, size)
    player = Player(play)
    actual = lines_of(play, player.run())
    expected = list(inbox.read(inbox.expected_file(play).read_text()))
    print("\n".join(inbox.beside(expected, actual)))
    wrong = inbox.differences(expected, actual)
    print("\n".join(["", *map(str, wrong)]))
    for one in player.desk.unmet:
        print(f"acknowledged without an incident: {one.place} {one.begins:%d %H:%M}")
    for (shift, who), pages in inbox.pages_by_shift(actual).most_common(3):
        print(f"pages in one shift: {pages} {shift} {who}")
    print(f"{player.looks} looks, {len(actual)} lines, {len(wrong)} differ")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
