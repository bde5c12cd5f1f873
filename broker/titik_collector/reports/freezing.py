"""Freezing: on the 8th of the month after, a report is stored as it stands, and is final.

A document that was handed to an office must say the same a year later. So it lies at the desk,
beside what people entered: no backfill, no retention and no new version of the store changes it.

Rule: every report of a period gets the same revision, and all are stored together or none.
Rule: only an operator freezes again, with a higher revision. Earlier ones stay.
"""

import zlib
from dataclasses import replace

import msgspec

from titik_collector.accounts import audit
from titik_collector.accounts.audit import Actor
from titik_collector.reports import city_reports, gathering
from titik_collector.reports import period as periods
from titik_collector.reports.gathering import CityName
from titik_collector.reports.period import Period
from titik_collector.reports.report import Report, ReportKind
from titik_collector.store import desk_reports
from titik_collector.store.database import Database
from titik_collector.store.desk_reports import FrozenReport

LOOK_BACK = 3  # months: a page that was off for so long freezes what it missed


def due(city: CityName, now_ms: int, frozen: frozenset[str]) -> list[Period]:
    """What can be frozen now and is not, the oldest first."""
    month, months = periods.at(now_ms, city.zone), list[Period]()
    for _ in range(LOOK_BACK):
        month = month.before
        months.insert(0, month)
    every = [
        one
        for month in months
        for one in ((month, Period(month.year)) if month.month == 12 else (month,))
    ]
    return [one for one in every if one.frozen_ms(city.zone) <= now_ms and one.name not in frozen]


def freeze(
    db: Database,
    desk: Database,
    city: CityName,
    period: Period,
    actor: Actor,
    work: city_reports.Planned,
) -> int:
    """Every report of the period; how many. BadPeriod: it has not begun."""
    now_ms = actor.now_ms
    found, before = city_reports.with_before(db, city, period, now_ms, work)
    revision = desk_reports.revision(desk, period.name) + 1
    subjects = gathering.subjects(found)
    rows = []
    for subject in [*subjects[1:], subjects[0]]:
        made = gathering.report(db, found, before, subject)
        body = encode(replace(made, revision=revision, frozen_ms=now_ms))
        key = key_of(subject.kind, subject.name)
        rows.append(FrozenReport(period.name, *key, revision, now_ms, body))
    with desk.transaction():
        desk_reports.drop_halves(desk, period.name)
        for row in rows:
            desk_reports.add(desk, row)
        audit.record(desk, actor, "report frozen", f"{period.name} revision {revision}")
    return len(subjects)


def read(desk: Database, period: str, kind: ReportKind, name: str) -> Report | None:
    """As it was frozen; None: it was not, or not the whole period."""
    newest = desk_reports.revision(desk, period)
    row = desk_reports.newest(desk, period, *key_of(kind, name)) if newest else None
    if row is None or row.revision > newest:
        return None
    return decode(row.body)


def key_of(kind: ReportKind, name: str) -> tuple[str, str]:
    """Of a row: a city has one, whatever it is called."""
    return kind, "" if kind == "city" else name.casefold()


def encode(report: Report) -> bytes:
    """As the desk keeps it."""
    return zlib.compress(msgspec.json.encode(report))


def decode(body: bytes) -> Report:
    """The inverse."""
    return msgspec.json.decode(zlib.decompress(body), type=Report)
