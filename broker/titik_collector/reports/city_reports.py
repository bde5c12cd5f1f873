"""The reports of one city, as they are asked for: by month or year, and by place or group of them.

Rule: a report that is frozen is read as it was frozen; another one is computed.
Rule: a name that nobody knows is answered with those that are like it.
"""

import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from titik_collector.alerts.desk_facts import Maintenance
from titik_collector.config.model import Config
from titik_collector.desk import work_times
from titik_collector.figures.windows import Span
from titik_collector.reports import gathering
from titik_collector.reports import period as periods
from titik_collector.reports.gathering import CityName, CityPeriod
from titik_collector.reports.period import BadPeriod, Period
from titik_collector.reports.report import Headline, Report, ReportKind
from titik_collector.reports.report_words import ReportWords
from titik_collector.store import desk_maintenance, desk_opening, rollups
from titik_collector.store.database import Database
from titik_collector.store.desk_maintenance import MaintenanceRow
from titik_collector.store.rollups import Series
from titik_collector.wording.mendable import Mendable

Planned = Callable[[Span], Sequence[Maintenance]]


class UnknownSubject(Mendable):
    """No such provider, district or place in that time."""


class AskedReport(NamedTuple):
    """Which report."""

    period: str
    kind: ReportKind = "city"
    name: str = ""


def city_of(config: Config) -> CityName:
    """Whose reports the configuration asks for."""
    return CityName(config.city.name, config.city.title, config.city.timezone)


def planned_at_desk(config: Config) -> Planned:
    """What people entered until now; nothing where there is no desk yet."""
    if not desk_opening.exists(config.page_store):
        return planned((), config.city.timezone)
    with desk_opening.opened(config.page_store) as desk:
        return planned(all_planned(desk), config.city.timezone)


def all_planned(desk: Database) -> tuple[MaintenanceRow, ...]:
    """All maintenance that was ever entered."""
    return tuple(desk_maintenance.not_over(desk, 0))


def planned(rows: Sequence[MaintenanceRow], zone: ZoneInfo) -> Planned:
    """Maintenance, of any stretch of time."""
    return lambda span: work_times.within(rows, span, zone)


def one(db: Database, config: Config, asked: AskedReport, now_ms: int, work: Planned) -> Report:
    """Computed now; BadPeriod, UnknownSubject."""
    return compute(db, city_of(config), asked, now_ms, work)


def compute(db: Database, city: CityName, asked: AskedReport, now_ms: int, work: Planned) -> Report:
    """The same, of a city by its name."""
    period = periods.parse(asked.period)
    found, before = with_before(db, city, period, now_ms, work)
    subject = gathering.find(found, asked.kind, asked.name)
    if subject is None:
        names = [one.name for one in gathering.subjects(found) if one.kind == asked.kind]
        near = difflib.get_close_matches(asked.name, names, 3) or sorted(names)[:5]
        hint = f"; did you mean {' or '.join(near)}?" if near else "; none is given to any site"
        raise UnknownSubject(f"{asked.name!r} is no {asked.kind} of {asked.period}{hint}")
    return gathering.report(db, found, before, subject)


def with_before(
    db: Database, city: CityName, period: Period, now_ms: int, work: Planned
) -> tuple[CityPeriod, CityPeriod | None]:
    """The period, and the one that it is compared with; BadPeriod."""
    found = _read(db, city, period, now_ms, work)
    try:
        return found, _read(db, city, period.before, now_ms, work)
    except BadPeriod:
        return found, None


def _read(db: Database, city: CityName, period: Period, now_ms: int, work: Planned) -> CityPeriod:
    return gathering.read(db, city, period, now_ms, work(period.span(city.zone)))


def known_periods(db: Database, city: CityName, now_ms: int) -> list[Period]:
    """The months that have data, the newest first."""
    first_ms = rollups.known_beside(db, Series("city", 0, "1d"), Span(0, 0))[1]
    if first_ms is None:
        return []
    first, one = periods.at(first_ms, city.zone), periods.at(now_ms, city.zone)
    found = []
    while one >= first:
        found.append(one)
        one = one.before
    return found


def summary(report: Report, words: ReportWords) -> Iterator[str]:
    """In a few lines, for a terminal."""
    yield title(report, words)
    if known := words.known_part(report):
        yield known
    for name, value in figures(report.headline, words):
        yield f"{name}: {value}"


def title(report: Report, words: ReportWords) -> str:
    """Of what it is, and whether it can still change."""
    state = words.lang.say("Provisional") if report.revision is None else words.lang.say("Final")
    return f"{report.subject.title}: {words.period(report.period)} ({state})"


def figures(head: Headline, words: ReportWords) -> tuple[tuple[str, str], ...]:
    """Each with its name."""
    lang = words.lang
    return (
        (lang.say("available"), words.available(head.availability)),
        (lang.say("interruptions"), words.interruptions(head)),
        (lang.say("site visits"), words.visits(head.use)),
        (lang.say("devices, on average"), words.devices(head.use.clients)),
        (lang.say("traffic over Wi-Fi"), words.traffic_in_full(head.use)),
        (lang.say("reports received"), lang.percent(head.use.coverage)),
    )
