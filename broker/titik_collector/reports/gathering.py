"""From the store to a report: one subject, one month or year.

Rule: hours and days of the city's calendar are added up, as the history has them.
Rule: a site belongs to the provider and the district that it had then, minute for minute. Its
devices and its traffic are those of the whole period.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

from titik_collector.alerts.desk_facts import Maintenance
from titik_collector.figures.scope import CITY_ID, FOR_EVER_MS, Scope
from titik_collector.figures.stretches import length, shared
from titik_collector.figures.windows import Calendar, Span
from titik_collector.limits import MAX_RANKED, MAX_REPORTED
from titik_collector.queries import availability, history, place_availability
from titik_collector.queries.place_availability import PlaceService
from titik_collector.reports import period as periods
from titik_collector.reports.period import BadPeriod, Period
from titik_collector.reports.report import (
    Headline,
    Peak,
    PlaceHeadline,
    Report,
    ReportedInterruption,
    ReportedMaintenance,
    ReportKind,
    ReportSubject,
    Use,
)
from titik_collector.store import membership, report_sums, simulated, subject_names
from titik_collector.store.database import Database
from titik_collector.store.membership import Stay
from titik_collector.store.report_sums import SummedWindow, UseSums
from titik_wire.instant import HOUR_MS

# Which fact of a site says that it belongs to a group.
_FACT: Mapping[ReportKind, str] = {"provider": "provider", "district": "district"}


class CityName(NamedTuple):
    """Whose reports these are."""

    name: str
    title: str
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class CityPeriod:
    """A month or a year of a city, read once for all of its reports."""

    city: CityName
    period: Period
    span: Span  # what of it is over
    now_ms: int
    services: tuple[PlaceService, ...]
    begin_ms: Mapping[int, int]  # when the first router of each site came
    maintenance: tuple[Maintenance, ...]
    stays: Mapping[str, tuple[Stay, ...]]  # at sites, of each router by its name


def read(
    db: Database,
    city: CityName,
    period: Period,
    now_ms: int,
    maintenance: Sequence[Maintenance] = (),
) -> CityPeriod:
    """BadPeriod: it has not begun."""
    whole = period.span(city.zone)
    span = Span(whole.start_ms, min(whole.end_ms, now_ms - now_ms % HOUR_MS))
    if length(span) < HOUR_MS:
        raise BadPeriod(f"{period.name} has not begun; the newest is {_newest(now_ms, city)}")
    begin_ms: dict[int, int] = {}
    names, stays = dict(subject_names.routers(db)), defaultdict[str, list[Stay]](list)
    for one in membership.stays(db):
        stays[names[one.router_id]].append(one)
        begin_ms[one.site_id] = min(begin_ms.get(one.site_id, one.from_ms), one.from_ms)
    services = tuple(place_availability.read(db, span, city.zone, maintenance))
    touching = tuple(one for one in maintenance if length(shared(_span(one), span)))
    of_routers = {name: tuple(its) for name, its in stays.items()}
    return CityPeriod(city, period, span, now_ms, services, begin_ms, touching, of_routers)


def subjects(found: CityPeriod) -> list[ReportSubject]:
    """The city, its providers, its districts and its sites, as they were then."""
    city = ReportSubject("city", found.city.name, found.city.title)
    groups = [
        ReportSubject(kind, name, name)
        for kind in _FACT
        for name in sorted(_grouped(found.services, kind), key=str.casefold)
    ]
    sites = {one.site.name: one.site.title for one in found.services}
    return [city, *groups, *(ReportSubject("site", *one) for one in sorted(sites.items()))]


def find(found: CityPeriod, kind: ReportKind, name: str) -> ReportSubject | None:
    """By what people type; None: it was not there then."""
    return next(
        (
            one
            for one in subjects(found)
            if one.kind == kind and (kind == "city" or one.name.casefold() == name.casefold())
        ),
        None,
    )


def report(
    db: Database, found: CityPeriod, before: CityPeriod | None, subject: ReportSubject
) -> Report:
    """One of `subjects`; `before` is the period that it is compared with."""
    mine = _of(found.services, subject)
    whole = found.period.span(found.city.zone)
    places, providers, districts = _lines(db, found, subject, mine)
    rows = _interruptions(mine, found.span)
    kept = sorted(rows, key=lambda one: -one.lost_ms)[:MAX_REPORTED]
    planned = _planned(found, subject, mine)
    last = None
    if before is not None and (of_before := _of(before.services, subject)):
        last = _headline(before, of_before, _uses(db, before, of_before))
    uses = _uses(db, found, mine)
    return Report(
        period=found.period.name,
        subject=subject,
        span=found.span,
        made_ms=found.now_ms,
        headline=_headline(found, mine, uses),
        before=last,
        peak_hour=_peak_hour(db, found, subject, mine),
        busiest_day=_busiest(uses),
        parts=tuple(_parts(found, uses)),
        places=places,
        providers=providers,
        districts=districts,
        interruptions=tuple(sorted(kept, key=lambda one: (one.span, one.site))),
        left_out=len(rows) - len(kept),
        planned=tuple(planned[:MAX_REPORTED]),
        planned_left_out=len(planned[MAX_REPORTED:]),
        is_over=found.span.end_ms == whole.end_ms,
        is_simulated=simulated.touches(simulated.span(db), found.span),
        has_hours=any(one.facts.hours is not None for one in mine),
    )


def _newest(now_ms: int, city: CityName) -> str:
    return periods.at(now_ms, city.zone).name


def _grouped(services: Iterable[PlaceService], kind: ReportKind) -> dict[str, list[PlaceService]]:
    """By provider or district, as the first of each is spelled."""
    spelled: dict[str, str] = {}
    found: defaultdict[str, list[PlaceService]] = defaultdict(list)
    for one in services:
        value = getattr(one.facts, _FACT[kind])
        if value:
            found[spelled.setdefault(value.casefold(), value)].append(one)
    return found


def _of(services: Sequence[PlaceService], subject: ReportSubject) -> list[PlaceService]:
    if subject.kind == "city":
        return list(services)
    if subject.kind == "site":
        return [one for one in services if one.site.name == subject.name]
    name = subject.name.casefold()
    return [
        one
        for one in services
        if (getattr(one.facts, _FACT[subject.kind]) or "").casefold() == name
    ]


def _sites(services: Iterable[PlaceService]) -> list[int]:
    return sorted({one.site.id for one in services})


def _hours(
    db: Database, found: CityPeriod, subject: ReportSubject, mine: Sequence[PlaceService]
) -> list[SummedWindow]:
    """The city has rows of its own; of others those of their sites are added up, if few."""
    scope: Scope = "city" if subject.kind == "city" else "site"
    ids = [CITY_ID] if scope == "city" else _sites(mine)
    if history.count("1h", found.span) * len(ids) > MAX_RANKED:
        return []
    return report_sums.by_window(db, scope, ids, "1h", found.span)


def _uses(db: Database, found: CityPeriod, mine: Sequence[PlaceService]) -> list[Use]:
    """Day by day, those without any window too."""
    sites = _sites(mine)
    days = report_sums.by_window(db, "site", sites, "1d", found.span)
    known = {one.span.start_ms: one for one in days}
    uses = []
    for day in Calendar(found.city.zone).days(*found.span):
        span = shared(day, found.span)
        there_ms = sum(
            length(shared(span, Span(found.begin_ms.get(one, FOR_EVER_MS), FOR_EVER_MS)))
            for one in sites
        )
        one = known.get(day.start_ms)
        uses.append(_use(span, None if one is None else one.clients, one and one.sums, there_ms))
    return uses


def _use(span: Span, clients: float | None, sums: UseSums | None, there_ms: int) -> Use:
    if sums is None:
        return Use(span, None, 0.0 if there_ms else None, None, None, None, None, None)
    is_known = sums.traffic_ms > 0
    return Use(
        span,
        clients,
        min(1.0, sums.covered_ms / there_ms) if there_ms else None,
        sums.down_bytes if is_known else None,
        sums.up_bytes if is_known else None,
        min(1.0, sums.traffic_ms / there_ms) if there_ms else None,
        sums.visits_min,
        sums.visits_max,
        min(1.0, sums.flow_offload_ms / there_ms) if there_ms else None,
    )


def together(span: Span, uses: Sequence[Use]) -> Use:
    """Of days that follow each other; means are by length, of what is known."""
    known = [(one.clients, length(one.span)) for one in uses if one.clients is not None]
    known_ms = sum(ms for _, ms in known)
    return Use(
        span,
        sum(clients * ms for clients, ms in known) / known_ms if known_ms else None,
        _share((one.coverage, one.span) for one in uses),
        _sum(one.down_bytes for one in uses),
        _sum(one.up_bytes for one in uses),
        _share((one.traffic_coverage, one.span) for one in uses),
        _sum(one.visits_min for one in uses),
        _sum(one.visits_max for one in uses),
        _share((one.flow_offload, one.span) for one in uses),
    )


def _share(of: Iterable[tuple[float | None, Span]]) -> float | None:
    known = [(share, length(span)) for share, span in of if share is not None]
    known_ms = sum(ms for _, ms in known)
    return sum(share * ms for share, ms in known) / known_ms if known_ms else None


def _sum(of: Iterable[int | None]) -> int | None:
    known = [one for one in of if one is not None]
    return sum(known) if known else None


def _headline(found: CityPeriod, mine: Sequence[PlaceService], uses: Sequence[Use]) -> Headline:
    return Headline(
        together(found.span, uses),
        availability.together(one.availability for one in mine),
        availability.together(one.regardless for one in mine),
        len(_sites(mine)),
        _count(mine),
    )


def _parts(found: CityPeriod, uses: Sequence[Use]) -> Iterable[Use]:
    """Days of a month; a year has months."""
    if found.period.month is not None:
        yield from uses
        return
    for month in found.period.months:
        span = shared(month.span(found.city.zone), found.span)
        if length(span):
            yield together(span, [one for one in uses if length(shared(one.span, span))])


def _busiest(uses: Sequence[Use]) -> Peak | None:
    known = [Peak(one.span, one.clients) for one in uses if one.clients is not None]
    return max(known, key=lambda one: one.clients, default=None)


def _peak_hour(
    db: Database, found: CityPeriod, subject: ReportSubject, mine: Sequence[PlaceService]
) -> Peak | None:
    windows = _hours(db, found, subject, mine)
    known = [Peak(one.span, one.clients) for one in windows if one.clients is not None]
    return max(known, key=lambda one: one.clients, default=None)


def _lines(
    db: Database, found: CityPeriod, subject: ReportSubject, mine: Sequence[PlaceService]
) -> tuple[tuple[PlaceHeadline, ...], tuple[PlaceHeadline, ...], tuple[PlaceHeadline, ...]]:
    """Of places, providers and districts; a site has none."""
    if subject.kind == "site":
        return (), (), ()
    sums = report_sums.by_place(db, _sites(mine), "1d", found.span)
    by_site: defaultdict[str, list[PlaceService]] = defaultdict(list)
    for one in mine:
        by_site[one.site.name].append(one)
    places = [
        PlaceHeadline(ReportSubject("site", name, its[0].site.title), _line(found, its, sums))
        for name, its in by_site.items()
    ]
    places.sort(key=lambda one: (_worst(one.headline), one.subject.title))
    if subject.kind != "city":
        return tuple(places), (), ()
    groups = {
        kind: tuple(
            PlaceHeadline(ReportSubject(kind, name, name), _line(found, its, sums))
            for name, its in sorted(_grouped(mine, kind).items(), key=lambda one: one[0].casefold())
        )
        for kind in _FACT
    }
    return tuple(places), groups["provider"], groups["district"]


def _worst(headline: Headline) -> float:
    ratio = headline.availability.ratio
    return 2.0 if ratio is None else ratio


def _line(
    found: CityPeriod,
    its: Sequence[PlaceService],
    sums: Mapping[int, report_sums.SummedPlace],
) -> Headline:
    uses = []
    for site in _sites(its):
        begin_ms = found.begin_ms.get(site, FOR_EVER_MS)
        there_ms = length(shared(found.span, Span(begin_ms, FOR_EVER_MS)))
        one = sums.get(site)
        clients = one.device_ms / one.known_ms if one is not None and one.known_ms else None
        uses.append(_use(found.span, clients, one and one.sums, there_ms))
    added = together(found.span, uses)
    clients = _sum_of_means(uses)
    return Headline(
        added._replace(clients=clients),
        availability.together(one.availability for one in its),
        availability.together(one.regardless for one in its),
        len(uses),
        _count(its),
    )


def _sum_of_means(uses: Sequence[Use]) -> float | None:
    known = [one.clients for one in uses if one.clients is not None]
    return sum(known) if known else None


def _count(services: Sequence[PlaceService]) -> int:
    """One that goes on over a change of its place's provider or hours is one."""
    found = [(one.site.id, named.interruption) for one in services for named in one.interruptions]
    ends = {(site, one.span.end_ms, one.cause) for site, one in found}
    return sum((site, one.span.start_ms, one.cause) not in ends for site, one in found)


def _interruptions(services: Iterable[PlaceService], span: Span) -> list[ReportedInterruption]:
    return [
        ReportedInterruption(
            one.site.name,
            one.site.title,
            one.facts.provider,
            one.facts.circuit,
            named.interruption.span,
            named.interruption.lost_ms,
            named.interruption.cause,
            availability.party(named.interruption.cause),
            named.evidence,
            named.interruption.span.end_ms == span.end_ms,
        )
        for one in services
        for named in one.interruptions
    ]


def _span(one: Maintenance) -> Span:
    return Span(one.from_ms, one.to_ms)


def _planned(
    found: CityPeriod, subject: ReportSubject, mine: Sequence[PlaceService]
) -> list[ReportedMaintenance]:
    """What counts for these places, and of their routers."""
    names, sites = {one.site.name for one in mine}, set(_sites(mine))
    planned = []
    for one in found.maintenance:
        of_place = one.subject.scope == "site" and one.subject.name in names
        of_all = one.subject.scope == "city" or subject.kind == "city"
        if of_all or of_place or _is_of_router(found, one, sites):
            span = shared(_span(one), found.span)
            name = found.city.name if one.subject.scope == "city" else one.subject.name
            planned.append(
                ReportedMaintenance(one.subject.scope, name, span, one.reason, one.is_retroactive)
            )
    return planned


def _is_of_router(found: CityPeriod, one: Maintenance, sites: Collection[int]) -> bool:
    """Of a router that was at one of these sites then."""
    span = shared(_span(one), found.span)
    return one.subject.scope == "router" and any(
        stay.site_id in sites and length(shared(Span(stay.from_ms, stay.to_ms), span))
        for stay in found.stays.get(one.subject.name, ())
    )
