"""What holds whatever happens in a city, however its looks are spaced, and whoever restarts."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.alerts.cities import MIDNIGHT_MS, MIN, NOON_MS, SETTINGS, H, Play, S, city, router, site
from titik_agent.broker_link.backoff import Backoff
from titik_collector.alerts import phases
from titik_collector.alerts.alert import Alert, AlertKey, AlertSubject, Kind, Phase, What
from titik_collector.alerts.alert_settings import AlertSettings, Rota, Route, RuleSetting
from titik_collector.alerts.desk_facts import (
    Acknowledgement,
    DeliveryTime,
    DeskFacts,
    Maintenance,
    Silence,
)
from titik_collector.alerts.evaluation import evaluate
from titik_collector.alerts.facts import LiveFacts, LiveRouter, State
from titik_collector.alerts.rules import DEFAULTS, UNKNOWN, Finding

ROUTERS = 9  # at seven places
SITES = [
    site(f"place-{n}", district=f"d{n % 2}", provider=f"p{n % 3}", tier=1 if n == 0 else 3)
    for n in range(7)
]
WARNED: set[What] = {"firing", "escalation", "flapping"}


class Change(NamedTuple):
    """What happens before one look, and how long after the last look that is."""

    after_s: int
    routers: Sequence[int]  # of those that change
    state: State
    internet: bool | None
    connected: bool
    line: bool
    is_open: bool
    desk: int  # what people entered, by its bits


CHANGES = st.lists(
    st.builds(
        Change,
        st.sampled_from([5, 20, 60, 60, 170, 600]),
        st.lists(st.integers(0, ROUTERS - 1), max_size=ROUTERS),
        st.sampled_from(["online", "online", "offline", "offline", "silent", "unknown"]),
        st.sampled_from([True, True, False, None]),
        st.integers(0, 9).map(bool),
        st.integers(0, 9).map(bool),
        st.integers(0, 5).map(bool),
        st.integers(0, 31),
    ),
    min_size=5,
    max_size=40,
)
STARTS = st.sampled_from([MIDNIGHT_MS, MIDNIGHT_MS + 6 * H + 50 * MIN, MIDNIGHT_MS + 21 * H])
SHORT = tuple(RuleSetting(kind, for_s=60, keep_s=30) for kind in ("site-offline", "router-offline"))
EAGER: AlertSettings = replace(
    SETTINGS,
    rules=SHORT,
    routes=(
        Route(("ops", "duty"), escalate=(("boss",),)),
        Route(("phone",), severities=("critical",)),
    ),
    rotas=(Rota("duty", ("ani", "budi"), MIDNIGHT_MS - 2 * 24 * H),),
)


def facts(start_ms: int, changes: Sequence[Change]) -> list[tuple[LiveFacts, DeskFacts]]:
    """What each look has before it."""
    now = [router(f"r{n}", f"place-{min(n, 6)}", since_ms=start_ms) for n in range(ROUTERS)]
    found, at_ms = [], start_ms
    for change in changes:
        at_ms += change.after_s * S
        for number in change.routers:
            now[number] = changed(now[number], change, at_ms)
        found.append((city_now(at_ms, now, change), desk_now(at_ms, change.desk)))
    return found


def changed(one: LiveRouter, change: Change, at_ms: int) -> LiveRouter:
    """The router after it."""
    since_ms = one.since_ms if one.state == change.state else at_ms - 2 * S
    failed_ms = at_ms if one.internet is not False else one.internet_since_ms
    return replace(
        one,
        state=change.state,
        since_ms=since_ms,
        internet=change.internet,
        internet_since_ms=failed_ms if change.internet is False else None,
    )


def city_now(at_ms: int, routers: Sequence[LiveRouter], change: Change) -> LiveFacts:
    """The city at one look; its last place has opening hours."""
    sites = [*SITES[:-1], replace(SITES[-1], is_open=change.is_open)]
    line_ms = None if change.line else at_ms
    return city(at_ms, routers, sites, connected=change.connected, line_down_since_ms=line_ms)


def desk_now(at_ms: int, bits: int) -> DeskFacts:
    """What people entered, some of it."""
    park, end_ms = AlertSubject("site", "place-1"), at_ms + 10 * MIN
    return DeskFacts(
        acks=(Acknowledgement(1, "ani", at_ms, end_ms),) if bits & 1 else (),
        silences=(Silence(1, park, None, at_ms, end_ms, "ani", "rain"),) if bits & 2 else (),
        maintenance=(
            (Maintenance(1, AlertSubject("city", "kupang"), at_ms, end_ms, "ani", "mast"),)
            if bits & 28 == 28
            else ()
        ),
        delivered=(DeliveryTime(1, at_ms - MIN),) if bits & 4 else (),
    )


def play(looks: Sequence[tuple[LiveFacts, DeskFacts]], *, restarts: bool = False) -> Play:
    """All looks, one after the other."""
    played = Play(EAGER, restarts=restarts)
    for live, desk in looks:
        played.desk = desk
        played.look(live)
    return played


@given(STARTS, CHANGES)
def test_each_end_follows_a_message_that_it_fires(start_ms: int, changes: list[Change]) -> None:
    """To the same receiver; nobody gets two ends, nor two beginnings, of one incident in a row."""
    outbox = play(facts(start_ms, changes)).outbox.values()
    knows: dict[tuple[int | None, str], bool] = {}
    for one in sorted(outbox, key=lambda one: (one.due_ms, one.number or 0)):
        thread = one.incident, one.receiver
        what = one.message.what
        if what == "resolved":
            assert knows.get(thread, False)
        elif what in WARNED:
            assert not knows.get(thread, False)
        elif what != "digest":
            assert knows.get(thread, False)
        knows[thread] = what != "resolved"


@given(STARTS, CHANGES)
def test_a_restart_before_any_look_changes_no_row(start_ms: int, changes: list[Change]) -> None:
    """The book that is read back gives the same steps as the one in memory."""
    looks = facts(start_ms, changes)
    one, other = play(looks), play(looks, restarts=True)
    assert one.outbox == other.outbox
    for step, again in zip(one.steps, other.steps, strict=True):
        assert step.alerts == again.alerts
        assert step.events == again.events
        assert step.incidents == again.incidents


@given(STARTS, CHANGES)
def test_what_is_late_doubled_or_out_of_order_changes_nothing(
    start_ms: int, changes: list[Change]
) -> None:
    """After each look, it is given again what it had, and what the look before had."""
    looks = facts(start_ms, changes)
    played = Play(EAGER)
    last: tuple[LiveFacts, DeskFacts] | None = None
    for live, desk in looks:
        played.desk = desk
        played.look(live)
        again = evaluate(played.book, live, desk, EAGER)
        assert (True, played.book) == (again.is_empty, again.book)
        if last is not None and live.at_ms - last[0].at_ms <= 3 * MIN:
            late = evaluate(played.book, *last, EAGER)
            assert (True, played.book) == (late.is_empty, late.book)
        last = live, desk


@given(STARTS, CHANGES)
def test_a_deaf_collector_moves_no_alert_of_routers_and_places(
    start_ms: int, changes: list[Change]
) -> None:
    """Whatever they seem to do, nothing fires and nothing ends."""
    looks = facts(start_ms, changes)
    played = Play(EAGER)
    for live, desk in looks:
        played.desk = desk
        before = stands(played)
        played.look(live)
        if not live.hears:
            assert before == stands(played)


UP_S = st.integers(90, 660)  # a message waits for a minute, and a fault withdraws it
DROPS = st.lists(st.tuples(st.integers(20, 240), UP_S), min_size=14, max_size=14)
LASTS_MS = 3 * H  # enough for a server that is there for 90 seconds in 330
AWAY_MIN = 25  # of a server that is there, between its faults
LATEST_MIN = 10  # after that, with its message; who dies long before a fault is found at once


@dataclass
class Retrying:
    """A router that is well, and tries again as the agent does whenever it is cut off."""

    name: str
    backoff: Backoff
    since_ms: int = 0
    next_ms: int | None = None  # when it tries next; None: it is online

    def live(self, at_ms: int, back_ms: int) -> None:
        """Up to a moment, with a server that is there since `back_ms` or will be then."""
        while self.next_ms is not None and self.next_ms <= at_ms:
            tried_ms = self.next_ms
            if tried_ms >= back_ms:
                self.backoff.connected(tried_ms / S)
                self.since_ms, self.next_ms = tried_ms, None
            else:
                self.next_ms = tried_ms + int(self.backoff.failed(tried_ms / S) * S)

    def cut(self, at_ms: int) -> None:
        """The server goes."""
        if self.next_ms is None:
            self.since_ms = at_ms
            self.next_ms = at_ms + int(self.backoff.failed(at_ms / S) * S)

    def seen(self) -> LiveRouter:
        """As the collector has it."""
        state: State = "online" if self.next_ms is None else "offline"
        return router(self.name, state=state, since_ms=self.since_ms)


@settings(max_examples=min(30, settings().max_examples))  # each plays an hour or two
@given(DROPS, st.integers(5, 40), st.booleans(), st.integers(0, 2**32))
@example([(180, 90)] * 14, 40, True, 1)
@example([(240, 90)] * 14, 40, False, 2)
def test_however_often_the_server_goes_a_dead_place_is_reported_and_no_other(
    drops: Sequence[tuple[int, int]], dead_min: int, has_line: bool, seed: int
) -> None:
    """All others go with each of its faults, and come back when one of their tries meets it."""
    played, at_ms, dead_ms = Play(), NOON_MS, NOON_MS + dead_min * MIN
    rand = random.Random(seed)
    others = [Retrying(f"r{n}", Backoff(rand)) for n in range(1, ROUTERS)]
    there_ms: list[int] = []  # the looks since it died at which the server was there
    back_ms = at_ms
    for down_s, up_s in itertools.cycle(drops):
        dropped_ms = at_ms
        for one in others:
            one.live(dropped_ms, back_ms)
            one.cut(dropped_ms)
        back_ms = dropped_ms + down_s * S
        while at_ms < back_ms + up_s * S:
            for one in others:
                one.live(at_ms, back_ms)
            dead = router("r0")
            if at_ms >= dead_ms:
                dead = replace(dead, state="offline", since_ms=dead_ms)
            if at_ms >= max(back_ms, dead_ms):
                there_ms.append(at_ms)
            line_ms = dropped_ms if has_line and at_ms < back_ms else None
            connected = has_line or at_ms >= back_ms
            since_ms = 0 if has_line else back_ms if connected else None
            server = {
                "connected": connected,
                "connected_since_ms": since_ms,
                "disconnected_since_ms": None if connected else dropped_ms,
            }
            now = [dead, *(one.seen() for one in others)]
            played.look(city(at_ms, now, None, line_down_since_ms=line_ms, **server))
            at_ms += 20 * S
        if at_ms >= NOON_MS + LASTS_MS:
            break
    (line,) = [one for one in played.inbox() if one.name != "kupang-1"]
    assert ("firing", "r0") == (line.what, line.name)
    waited = sum(one < NOON_MS + line.minute * MIN for one in there_ms) * 20 * S
    assert waited <= (AWAY_MIN + LATEST_MIN) * MIN


def stands(played: Play) -> dict[AlertKey, str]:
    """The phase of each alert of a router or a place that fires or waits."""
    return {
        key: one.phase
        for key, one in played.book.alerts.items()
        if key.subject.scope in ("router", "site") and one.phase != "inactive"
    }


@given(
    st.sampled_from(sorted(DEFAULTS)),
    st.sampled_from(["inactive", "pending", "firing", "recovering"]),
    st.booleans(),
    st.integers(0, H),
    st.integers(0, 24 * H),
)
def test_what_is_not_known_never_changes_a_phase(
    kind: Kind, phase: Phase, known: bool, held_ms: int, after_ms: int
) -> None:
    """However long it lasts, and it adds nothing to `for` and `keep`."""
    key = AlertKey(kind, AlertSubject("router", "park"))
    before = Alert(
        key=key,
        phase=phase,
        known=known,
        since_ms=MIDNIGHT_MS,
        from_ms=MIDNIGHT_MS,
        seen_ms=MIDNIGHT_MS,
        held_ms=held_ms,
    )
    first = phases.move(before, key, DEFAULTS[kind], UNKNOWN, MIDNIGHT_MS)
    alert = before if first is None else first.alert
    later = phases.move(alert, key, DEFAULTS[kind], UNKNOWN, MIDNIGHT_MS + after_ms)
    after = alert if later is None else later.alert
    assert phase == after.phase
    if phase in ("pending", "recovering"):
        assert held_ms == phases.held_ms(after, MIDNIGHT_MS + after_ms)


def test_of_nothing_that_is_not_known_becomes_an_alert() -> None:
    """Nor does a pending one."""
    key = AlertKey("hot", AlertSubject("router", "park"))
    for finding in (UNKNOWN, Finding(False)):
        assert phases.move(None, key, DEFAULTS["hot"], finding, MIDNIGHT_MS) is None
