"""How well four rules find faults: `python -m bench.alert_evidence` prints it, a few minutes.

Rule: thresholds are tuned on the first seeds alone. The others have cities that no tuning saw.
Rule: a minute of a place becomes the facts that the collector would have. The product's own rules
and phases look at them once a minute.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import click

from bench import alert_city
from bench.alert_city import DAYS, Lived, Minute, Place
from bench.results import ROOT, commit
from titik_collector.alerts import phases, rules
from titik_collector.alerts.alert import Alert, Kind
from titik_collector.alerts.facts import LiveFacts, LiveRouter, LiveServer, LiveSite
from titik_collector.alerts.phases import REOPEN_MS
from titik_collector.alerts.rules import DEFAULTS, PlaceNow, Rule, places_of
from titik_collector.live.quarter_hour import QuarterHour
from titik_collector.live.reach_rounds import ReachRounds, ReachState
from titik_collector.simulation.world import DAY_MINUTES
from titik_wire.instant import MINUTE_MS
from titik_wire.messages import AgentState, Reach, Sample

FILE = ROOT / "bench" / "alert_evidence.json"
COMMAND = "python -m bench.alert_evidence"
TUNED_ON, TRIED_ON = (1, 2, 3), (4, 5, 6)
PLACES = 30
LATE_MS = 15 * MINUTE_MS  # after a fault it may still be found
SETTLED = 10  # rounds that answered, after which older ones show nothing
KINDS: tuple[Kind, ...] = ("crowded", "uplink-full", "radio-stuck", "no-internet")
SERVER = LiveServer(collector="kupang-1", connected=True, connected_since_ms=0)
ANSWERS = ReachState(True)


def _grid() -> dict[Kind, tuple[Rule, ...]]:
    """What is tried; the first of each rule is as the product has it."""
    crowded, full = DEFAULTS["crowded"], DEFAULTS["uplink-full"]
    stuck, internet = DEFAULTS["radio-stuck"], DEFAULTS["no-internet"]
    tried: dict[Kind, tuple[Rule, ...]] = {
        "crowded": tuple(
            crowded._replace(threshold=least, clear=clear)
            for least, clear in ((0.9, 0.75), (0.95, 0.8), (1.0, 0.85), (1.05, 0.9))
        ),
        "uplink-full": tuple(
            full._replace(threshold=least, clear=clear)
            for least, clear in ((0.8, 0.65), (0.85, 0.7), (0.9, 0.75), (0.95, 0.8))
        ),
        "radio-stuck": tuple(
            stuck._replace(for_ms=minutes * MINUTE_MS, threshold=least)
            for least, minutes in ((60, 0), (120, 0), (30, 30), (10, 50), (30, 60))
        ),
        "no-internet": tuple(
            internet._replace(for_ms=minutes * MINUTE_MS) for minutes in (3, 5, 8, 12)
        ),
    }
    return {
        kind: (DEFAULTS[kind], *(one for one in some if one != DEFAULTS[kind]))
        for kind, some in tried.items()
    }


class Look(NamedTuple):
    """What the collector would know in one minute."""

    at_ms: int
    minute: Minute
    clients_mean: float | None
    down_bps: float | None
    without_clients_ms: int
    internet: ReachState
    is_calm: bool  # no rule finds anything, whatever is tried


class Present(NamedTuple):
    """The same as the rules look at it."""

    facts: LiveFacts
    places: dict[str, PlaceNow]


class Raised(NamedTuple):
    """An alert that fired, and ended."""

    fired_ms: int
    ended_ms: int


@dataclass(frozen=True, slots=True)
class Score:
    """How a rule did in one city."""

    kind: Kind
    seed: int
    for_minutes: float
    threshold: float
    clear: float
    faults: int
    found: int
    false: int  # alerts without a fault
    delays: tuple[int, ...]  # minutes from begin to firing, of what was found


def looks(lived: Lived) -> Iterator[Look]:
    """What the collector would gather, minute by minute."""
    people, down, rounds = QuarterHour(), QuarterHour(), ReachRounds()
    settled, attempts, answered = SETTLED, 0, 0
    empty_ms: int | None = None
    fullest, busiest = 0.85 * lived.place.capacity, 0.75e6 * lived.place.line_mbps
    for number, minute in enumerate(lived.minutes):
        at_ms = lived.starts_ms + number * MINUTE_MS
        internet = ANSWERS
        if minute.is_online:
            settled = settled + 1 if minute.answers else 0
            if settled <= SETTLED:
                attempts, answered = attempts + 1, answered + minute.answers
                rounds.hear(_sample(attempts, answered, at_ms), at_ms)
                internet = rounds.internet(at_ms)
            people.add(minute.clients, at_ms)
            down.add(minute.down_bps, at_ms)
        else:
            people.add(None, at_ms)
            down.add(None, at_ms)
        if not minute.is_online or minute.clients:
            empty_ms = None
        elif empty_ms is None:
            empty_ms = at_ms
        without_ms = 0 if empty_ms is None else max(1, at_ms - empty_ms)
        mean, down_bps = people.mean(), down.mean()
        is_calm = (
            minute.is_online
            and internet.answers is True
            and without_ms == 0
            and (mean or 0.0) < fullest
            and (down_bps or 0.0) < busiest
        )
        yield Look(at_ms, minute, mean, down_bps, without_ms, internet, is_calm)


def present(lived: Lived, look: Look) -> Present:
    """Its facts."""
    place, name, is_online = lived.place, lived.place.name, look.minute.is_online
    site = LiveSite(
        name=name,
        title=name,
        is_open=_is_open(place, (look.at_ms - lived.starts_ms) // MINUTE_MS % DAY_MINUTES),
        capacity=place.capacity,
        uplink_mbps=place.line_mbps,
        clients=look.minute.clients if is_online else None,
        clients_mean=look.clients_mean,
        uplink_down_bps=look.down_bps,
        without_clients_ms=look.without_clients_ms if is_online else None,
        usual_clients=look.minute.usual,
    )
    router = LiveRouter(
        name=name,
        site=name,
        state="online" if is_online else "offline",
        since_ms=lived.starts_ms if is_online else look.at_ms,
        internet=look.internet.answers if is_online else None,
        internet_since_ms=look.internet.failing_ms,
    )
    facts = LiveFacts(
        at_ms=look.at_ms,
        hears=True,
        routers=(router,),
        sites=(site,),
        server=SERVER,
        city="kupang",
        city_title="Kupang",
    )
    return Present(facts, places_of(facts))


class Past:
    """A place with all its looks; their facts are made where a rule needs them."""

    def __init__(self, lived: Lived) -> None:
        self.lived = lived
        self.looks = list(looks(lived))
        self._made: dict[int, Present] = {}

    def raised(self, rule: Rule) -> list[Raised]:
        """The alerts of one rule; one that fires again soon is the same."""
        found: list[Raised] = []
        alert: Alert | None = None
        fired_ms: int | None = None
        for look in self.looks:
            if look.is_calm and alert is None:
                continue
            for moved in self._move(rule, alert, look):
                alert = None if moved.alert.phase == "inactive" else moved.alert
                if moved.event is None:
                    continue
                if moved.event.became == "firing" and fired_ms is None:
                    fired_ms = look.at_ms
                elif moved.event.became == "inactive" and fired_ms is not None:
                    found.append(Raised(fired_ms, moved.alert.since_ms))
                    fired_ms = None
        if fired_ms is not None:
            found.append(Raised(fired_ms, self.looks[-1].at_ms))
        return _reopened(found)

    def _move(self, rule: Rule, alert: Alert | None, look: Look) -> Iterator[phases.Moved]:
        now = self._made.get(look.at_ms)
        if now is None:
            now = self._made[look.at_ms] = present(self.lived, look)
        known: dict[Kind, dict[str, Alert]] = {}
        if alert is not None:
            known[rule.kind] = {alert.key.subject.name: alert}
        for key, _, finding in rules.look(now.facts, {rule.kind: rule}, now.places, known):
            moved = phases.move(alert, key, rule, finding, look.at_ms)
            if moved is not None:
                yield moved


def score(seed: int, tried: Mapping[Kind, Sequence[Rule]], days: int, places: int) -> list[Score]:
    """How each rule does in the city of a seed, with all that is tried of it."""
    sums: dict[Rule, Score] = {
        rule: Score(kind, seed, rule.for_ms / MINUTE_MS, rule.threshold, rule.clear, 0, 0, 0, ())
        for kind, some in tried.items()
        for rule in some
    }
    for lived in alert_city.city(seed, days, places):
        past = Past(lived)
        for rule, before in sums.items():
            sums[rule] = add(before, lived, past.raised(rule))
    return list(sums.values())


def add(before: Score, lived: Lived, alerts: Sequence[Raised]) -> Score:
    spans = [
        (lived.starts_ms + one.begins * MINUTE_MS, lived.starts_ms + one.ends * MINUTE_MS)
        for one in lived.faults
        if one.kind == before.kind
    ]
    delays = list(before.delays)
    found = 0
    for begins_ms, ends_ms in spans:
        of_it = [one for one in alerts if _is_of(one, begins_ms, ends_ms)]
        if of_it:
            found += 1
            delays.append(max(0, of_it[0].fired_ms - begins_ms) // MINUTE_MS)
    false = sum(not any(_is_of(one, *span) for span in spans) for one in alerts)
    return Score(
        before.kind,
        before.seed,
        before.for_minutes,
        before.threshold,
        before.clear,
        before.faults + len(spans),
        before.found + found,
        before.false + false,
        tuple(delays),
    )


def _is_of(alert: Raised, begins_ms: int, ends_ms: int) -> bool:
    return alert.fired_ms <= ends_ms + LATE_MS and alert.ended_ms >= begins_ms


def _reopened(alerts: Sequence[Raised]) -> list[Raised]:
    found: list[Raised] = []
    for one in alerts:
        if found and one.fired_ms - found[-1].ended_ms <= REOPEN_MS:
            found[-1] = Raised(found[-1].fired_ms, one.ended_ms)
        else:
            found.append(one)
    return found


def _is_open(place: Place, minute: int) -> bool | None:
    if place.opens is None or place.closes is None:
        return None
    return place.opens <= minute < place.closes


def _sample(attempts: int, answered: int, at_ms: int) -> Sample:
    """A round as it is reported."""
    return Sample(
        router="router",
        run="0" * 16,
        first_seq=attempts,
        seq=attempts,
        spool=(),
        boot="0" * 32,
        uptime_ms=attempts,
        taken_at=at_ms,
        clock="ntp",
        covers_ms=MINUTE_MS,
        agent=AgentState(rss_bytes=0, spooled=0, merged=0, lost=0, corrupt=0),
        reach=Reach(
            tcp_failures=attempts - answered,
            attempts=attempts,
            answered=answered,
        ),
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """The file: how all that was tried did on the first seeds, and the defaults on the others."""

    commit: str
    date: str
    days: int
    places: int
    tuning: tuple[Score, ...]
    trial: tuple[Score, ...]


def gather(days: int, places: int, *, only_tuning: bool) -> Evidence:
    """Play all the cities; two at a time."""
    plain = {kind: (DEFAULTS[kind],) for kind in KINDS}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        tuning = [pool.submit(score, one, _grid(), days, places) for one in TUNED_ON]
        tried_on = () if only_tuning else TRIED_ON
        trial = [pool.submit(score, one, plain, days, places) for one in tried_on]
        return Evidence(
            commit(),
            time.strftime("%Y-%m-%d", time.gmtime()),
            days,
            places,
            tuple(one for some in tuning for one in some.result()),
            tuple(one for some in trial for one in some.result()),
        )


def load(path: Path = FILE) -> Evidence:
    """As it was written."""
    kept = json.loads(path.read_text())
    tuning, trial = (tuple(_score(**one) for one in kept.pop(name)) for name in ("tuning", "trial"))
    return Evidence(**kept, tuning=tuning, trial=trial)


def _score(delays: Sequence[int], **rest: Any) -> Score:
    return Score(delays=tuple(delays), **rest)


def together(scores: Sequence[Score]) -> list[Score]:
    """The same over all cities, by what was tried; of seed 0."""
    sums: dict[tuple[Kind, float, float, float], Score] = {}
    for one in scores:
        key = one.kind, one.for_minutes, one.threshold, one.clear
        old = sums.get(key) or Score(*key[:1], 0, *key[1:], 0, 0, 0, ())
        sums[key] = Score(
            *key[:1],
            0,
            *key[1:],
            old.faults + one.faults,
            old.found + one.found,
            old.false + one.false,
            old.delays + one.delays,
        )
    return list(sums.values())


def precision(one: Score) -> float | None:
    """Of the alerts, how many had a fault; faults that were found are counted once."""
    return one.found / (one.found + one.false) if one.found + one.false else None


def recall(one: Score) -> float | None:
    """Of the faults, how many were found."""
    return one.found / one.faults if one.faults else None


def table(scores: Sequence[Score]) -> str:
    """One row for each rule and what was tried of it."""
    text = (
        "| rule | for | threshold | faults | found | missed | false | precision | recall"
        " | delay, median | delay, 9 of 10 |\n" + "|---" * 11 + "|\n"
    )
    for one in together(scores):
        delays = sorted(one.delays)
        late = f"{delays[len(delays) * 9 // 10]} min" if delays else ""
        middle = f"{median(delays):.0f} min" if delays else ""
        text += (
            f"| `{one.kind}` | {one.for_minutes:.0f} min | {_threshold(one)} | {one.faults}"
            f" | {one.found} | {one.faults - one.found} | {one.false} | {_share(precision(one))}"
            f" | {_share(recall(one))} | {middle} | {late} |\n"
        )
    return text


def _threshold(one: Score) -> str:
    if one.kind == "radio-stuck":
        return f"{one.threshold:.0f} min"
    return f"{one.threshold:.0%}, {one.clear:.0%}".replace("%", " %") if one.threshold else ""


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


@click.command()
@click.option("--quick", is_flag=True, help="Two days of six places: does it work?")
@click.option("--only-tuning", is_flag=True, help="Leave out the cities that no tuning may see.")
@click.option("--out", type=click.Path(path_type=Path), default=FILE, show_default=True)
def main(quick: bool, only_tuning: bool, out: Path) -> None:
    """Play the cities, print how the rules did, and write it as JSON."""
    days, places = (2, 6) if quick else (DAYS, PLACES)
    found = gather(days, places, only_tuning=only_tuning)
    out.write_text(json.dumps(asdict(found), indent=1) + "\n")
    click.echo(f"Tuned on cities {TUNED_ON}:\n\n{table(found.tuning)}")
    click.echo(f"Tried on cities {TRIED_ON}:\n\n{table(found.trial)}")


if __name__ == "__main__":
    main()
