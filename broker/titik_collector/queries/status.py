"""What `titik status` knows: every site and router now, what is wrong, and who is not registered.

Rule: these are frozen answers; screens, checks and JSON are made of them elsewhere.
Rule: what cannot be known is None, never zero.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from zoneinfo import ZoneInfo

from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_EVENTS, MAX_SPOOLED, MAX_UNKNOWN
from titik_collector.live import namesakes as two_devices
from titik_collector.live.now import LiveState
from titik_collector.live.presence import SILENT_AFTER_MS, Presence
from titik_collector.queries import events, site_facts
from titik_collector.queries.server_warnings import Warned
from titik_collector.queries.settings_status import SettingsOutcomes, SettingsStatus
from titik_collector.queries.site_facts import NO_FACTS, SiteFacts
from titik_collector.registry.registry import Registry
from titik_collector.rollups.worker import GRACE_MS
from titik_collector.store import (
    namesake_rows,
    outages,
    server_outages,
    status_rows,
    subject_names,
    unknown_routers,
)
from titik_collector.store.database import Database
from titik_collector.store.kept_messages import Decode, decoded
from titik_collector.store.presence_rows import PresenceRow
from titik_collector.store.status_rows import Tally
from titik_collector.wording.sentence import Length, Sentence, Word
from titik_wire.city_messages import Now
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS
from titik_wire.messages import Sample

Totals = tuple[int, int, int, int, int]  # taken, stored, refused, lost, in spool


@dataclass(frozen=True, slots=True)
class Line:
    """One router, site or the whole city."""

    title: str  # of a router its name
    now: Now
    coverage: float | None  # of the last hour
    spooled: int | None  # records that waited at its last sample, besides that one; if online
    lost: int  # samples, ever
    lost_today: int  # samples, in the last 24 hours


class _Place:
    """What routers and sites have in common, by the name of the line's field."""

    __slots__ = ()
    line: Line

    @property
    def name(self) -> str:
        """As in topics."""
        return self.line.now.name

    @property
    def now(self) -> Now:
        """As on the topic of that name."""
        return self.line.now


@dataclass(frozen=True, slots=True)
class RouterStatus(_Place):
    """One router, with what it last reported of itself."""

    line: Line
    site: str | None  # its name
    since_ms: int  # since when its state is what it is, its last report if away; 0: never heard
    cause: str | None  # why it is away, if that is known
    version: str | None  # of the agent
    firmware: str | None
    model: str | None
    failed: tuple[str, ...]  # sources that its last sample could not read
    sample: Sample | None  # the last one
    problems: tuple[str, ...] = ()  # what an operator should look at, each a Sentence
    settings: SettingsStatus | None = None  # from a distance; None: none were ever wished


@dataclass(frozen=True, slots=True)
class SiteStatus(_Place):
    """One site and its routers."""

    line: Line
    routers: tuple[RouterStatus, ...]
    facts: SiteFacts = NO_FACTS
    is_open: bool | None = None  # by its opening hours; None: it has none


@dataclass(frozen=True, slots=True)
class UnknownRouterStatus:
    """A router that reports and is in no configuration."""

    name: str
    messages: int
    age_ms: int


class VersionCount(NamedTuple):
    """How many routers reported this version last."""

    version: str  # of the agent
    firmware: str | None
    routers: int


@dataclass(frozen=True, slots=True)
class CityStatus:
    """Everything that is known at `at_ms`."""

    at_ms: int
    line: Line
    sites: tuple[SiteStatus, ...]
    homeless: tuple[RouterStatus, ...]  # routers without a site
    unregistered: tuple[UnknownRouterStatus, ...]
    tallies: tuple[Tally, ...]  # messages that were not stored, by reason
    totals: Totals
    warnings: tuple[Warned, ...] = ()  # of the server itself

    def versions(self) -> tuple[VersionCount, ...]:
        """How many routers run what, the most frequent first."""
        counts = Counter((one.version, one.firmware) for one in self.routers() if one.version)
        return tuple([VersionCount(*what, number) for what, number in counts.most_common()])

    def routers(self) -> Iterator[RouterStatus]:
        """All of them, site by site."""
        for site in self.sites:
            yield from site.routers
        yield from self.homeless


class _Believed(Presence):
    """Presence as the store has it, while a collector keeps it up to date.

    A collector marks a quiet router within seconds. Where none did, nothing listens, and what was
    true then is not known now.
    """

    def __init__(self, db: Database, now_ms: int) -> None:
        super().__init__(db)
        self._now_ms = now_ms

    def state(self, router_id: int) -> PresenceRow:
        state = super().state(router_id)
        quiet_ms = self._now_ms - max(state.heard_ms or 0, state.since_ms)
        if state.state == "online" and quiet_ms > SILENT_AFTER_MS + MINUTE_MS:
            return state._replace(state="unknown")
        return state


def gather(
    db: Database,
    city: str,
    now_ms: int,
    warnings: Sequence[Warned] = (),
    title: str = "City",
    zone: ZoneInfo | None = None,
    decode: Decode = decoded,
) -> CityStatus:
    """Read it from the store; where the server cannot hear, every router is unknown.

    `zone`: the city's, for opening hours. `decode`: that of one who asks again and again.
    """
    registry, presence = Registry(db, city), _Believed(db, now_ms)
    live = LiveState(db, presence, registry)
    live.hears = not any(one.level == "critical" for one in warnings)
    live.load(decode)
    now = {(one.scope, one.name): one for one in live.everything(now_ms)}
    facts = _Facts(db, now_ms, live.hears)
    routers = [
        _router(router_id, site, now["router", name], presence.state(router_id), live, facts)
        for router_id, name, site in registry.routers()
    ]
    known_facts = site_facts.at(db, now_ms)
    sites = [
        SiteStatus(
            summed(title, now["site", name], members),
            members,
            known_facts[name],
            None if zone is None else site_facts.is_open(known_facts[name], now_ms, zone),
        )
        for _, name, title in subject_names.registered_sites(db)
        for members in [tuple(one for one in routers if one.site == name)]
    ]
    known = {site.name for site in sites}
    return CityStatus(
        now_ms,
        summed(title, now["city", registry.city], routers),
        tuple(sites),
        tuple(one for one in routers if one.site not in known),
        _unknown_routers(db, now_ms),
        tuple(status_rows.tallies(db)),
        facts.totals,
        tuple(warnings),
    )


class _Facts:
    """What is read once for all routers."""

    def __init__(self, db: Database, now_ms: int, hears: bool) -> None:
        self.now_ms = now_ms
        self.hears = hears
        self.coverage = _coverage(db, now_ms)
        self.outages = outages.still_open(db)
        first_ms = min((from_ms for from_ms, _ in self.outages.values()), default=now_ms)
        self.deaf = server_outages.since(db, min(first_ms, now_ms - HOUR_MS), MAX_EVENTS)
        self.clocks_behind_ms = status_rows.clocks_behind_ms(db)
        noticed = namesake_rows.since(db, now_ms - two_devices.NOW_MS)
        self.namesakes = frozenset(one.router for one in noticed)
        self.lost: Counter[str] = Counter()
        totals = [0] * 5
        for router, *terms in status_rows.terms(db):
            totals = [total + term for total, term in zip(totals, terms, strict=True)]
            self.lost[router] += terms[3]
        taken, stored, refused, lost, in_spool = totals
        self.totals: Totals = (taken, stored, refused, lost, in_spool)
        self.wished = SettingsOutcomes(db)
        self.lost_today: Counter[str] = Counter()
        if lost:
            for one in events.losses(db, now_ms - DAY_MS, now_ms, now_ms - DAY_MS):
                self.lost_today[one.router] += one.samples


def _waiting(spooled: int) -> int | None:
    """How many records wait besides the sample itself; None for a number that no spool can hold."""
    return max(0, spooled - 1) if spooled <= MAX_SPOOLED else None


def _router(
    router_id: int, site: str | None, now: Now, state: PresenceRow, live: LiveState, facts: _Facts
) -> RouterStatus:
    sample = live.sample(router_id)
    agent = sample.agent if sample else None
    since_ms, cause = facts.outages.get(router_id, (state.since_ms, "unknown"))
    if cause == "unknown" and state.reported == "stopping":
        cause = "agent stopped"
    if now.state == "silent":  # an outage when it lasts, from the last report on
        since_ms = state.heard_ms or since_ms
    line = Line(
        now.name,
        now,
        facts.coverage.get(router_id),
        # The sample itself has arrived. What one that is gone held then is not known to be so now.
        _waiting(agent.spooled) if agent and now.state == "online" else None,
        facts.lost[now.name],
        facts.lost_today[now.name],
    )
    one = RouterStatus(
        line,
        site,
        since_ms,
        None if cause == "unknown" or now.state == "online" else cause,
        state.version,
        state.firmware,
        state.model,
        agent.failed if agent else (),
        sample,
        settings=facts.wished.of(now.name, now.state == "online", facts.now_ms),
    )
    behind_ms = facts.clocks_behind_ms.get(router_id)
    return replace(one, problems=tuple(_problems(one, facts, behind_ms)))


def _problems(one: RouterStatus, facts: _Facts, behind_ms: int | None) -> Iterator[Sentence]:
    """What an operator should look at, in words."""
    if one.name in facts.namesakes:
        yield Sentence(marked("two devices use this name ({remedy})"), remedy=two_devices.REMEDY)
    if one.now.revoked:
        pass  # somebody meant it
    elif one.since_ms == 0:
        yield Sentence(marked("never heard"))
    elif one.now.state == "unknown" and not facts.hears:
        pass  # the fault is the server's, whose warning says it
    elif one.now.state != "online":
        yield _away(one, Length(events.away_ms(facts.deaf, one.since_ms, facts.now_ms)))
    if behind_ms is not None and one.now.state == "online":
        behind = marked("its clock is {length} behind: check its NTP servers")
        ahead = marked("its clock is {length} ahead: check its NTP servers")
        yield Sentence(behind if behind_ms > 0 else ahead, length=Length(abs(behind_ms)))
    if one.failed and one.now.state == "online":
        yield Sentence(marked("cannot read {sources}"), sources=", ".join(one.failed))
    if one.line.lost_today:
        single = marked("{number} sample lost in 24 h")
        several = marked("{number} samples lost in 24 h")
        lost = one.line.lost_today
        yield Sentence(single if lost == 1 else several, number=lost)


def _away(one: RouterStatus, length: Length) -> Sentence:
    state = Word(one.now.state)
    if one.cause is None:
        return Sentence(marked("{state} for {length}"), state=state, length=length)
    text = marked("{state} for {length} ({cause})")
    return Sentence(text, state=state, length=length, cause=Word(one.cause))


def summed(title: str, now: Now, members: Sequence[RouterStatus]) -> Line:
    """The line of routers together; `now` is their sum."""
    lines = [one.line for one in members]
    covered = [line.coverage for line in lines if line.coverage is not None]
    spooled = [line.spooled for line in lines if line.spooled is not None]
    return Line(
        title,
        now,
        sum(covered) / len(lines) if covered else None,
        sum(spooled) if spooled else None,
        sum(line.lost for line in lines),
        sum(line.lost_today for line in lines),
    )


def _coverage(db: Database, now_ms: int) -> dict[int, float]:
    """Share of the last hour that samples cover, by router; of a new one since it is registered.

    The hour ends where minutes are computed: a minute waits for the samples that follow it.
    """
    end_ms = (now_ms - GRACE_MS) // MINUTE_MS * MINUTE_MS
    return {
        router_id: min(1.0, covered_ms / min(HOUR_MS, end_ms - registered_ms))
        for router_id, registered_ms, covered_ms in status_rows.coverage(
            db, end_ms - HOUR_MS, end_ms
        )
        if end_ms - registered_ms >= MINUTE_MS
    }


def _unknown_routers(db: Database, now_ms: int) -> tuple[UnknownRouterStatus, ...]:
    return tuple(
        [
            UnknownRouterStatus(one.name, one.messages, now_ms - one.last_ms)
            for one in unknown_routers.newest(db, MAX_UNKNOWN)
        ]
    )
