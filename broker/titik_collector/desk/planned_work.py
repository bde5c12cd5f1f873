"""Maintenance: work that is planned, goes on, or is entered afterwards.

Rule: what begins before it is entered needs a reason, and is marked retroactive for good.
Rule: what was entered wrongly is withdrawn: it stays in the table, and counts for no time.
"""

import re
from datetime import date, datetime, timedelta, tzinfo
from typing import NamedTuple

from titik_collector.accounts import audit
from titik_collector.accounts.audit import Actor
from titik_collector.alerts.alert import AlertSubject
from titik_collector.desk.checks import PLACES, DeskError, check_subject, plain
from titik_collector.languages.codes import marked
from titik_collector.limits import (
    MAX_MAINTENANCE,
    MAX_MAINTENANCE_AHEAD_DAYS,
    MAX_MAINTENANCE_BEHIND_DAYS,
    MAX_MAINTENANCE_DAYS,
    MAX_NOTE,
    MAX_WEEKLY_HOURS,
)
from titik_collector.store import desk_maintenance
from titik_collector.store.database import Database
from titik_collector.store.desk_maintenance import MaintenanceRow, Weekly
from titik_collector.wording.sentence import Sentence
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
PROMPT_MS = MINUTE_MS  # what began so long ago was entered at once


class Entry(NamedTuple):
    """What somebody enters."""

    subject: AlertSubject
    reason: str = ""
    is_public: bool = False


def plan(db: Database, entry: Entry, from_ms: int, to_ms: int, actor: Actor) -> MaintenanceRow:
    """One stretch, now, later or before; DeskError if it cannot be."""
    reason, now_ms = _checked(entry), actor.now_ms
    is_retroactive = from_ms < now_ms - PROMPT_MS
    if to_ms <= from_ms:
        raise DeskError(marked("maintenance ends after it begins; use a later end"))
    if to_ms - from_ms > MAX_MAINTENANCE_DAYS * DAY_MS:
        long = marked("maintenance lasts at most {days} days; enter a second one after it")
        raise DeskError(Sentence(long, days=MAX_MAINTENANCE_DAYS))
    if from_ms > now_ms + MAX_MAINTENANCE_AHEAD_DAYS * DAY_MS:
        ahead = marked("maintenance begins within {days} days; enter it later")
        raise DeskError(Sentence(ahead, days=MAX_MAINTENANCE_AHEAD_DAYS))
    if from_ms < now_ms - MAX_MAINTENANCE_BEHIND_DAYS * DAY_MS:
        behind = marked("maintenance is entered within {days} days; its report is final")
        raise DeskError(Sentence(behind, days=MAX_MAINTENANCE_BEHIND_DAYS))
    if is_retroactive and not reason:
        raise DeskError(marked("maintenance that began before now needs a reason"))
    row = MaintenanceRow(
        *(0, entry.subject, from_ms, to_ms, None, actor.name, now_ms, reason),
        *(entry.is_public, is_retroactive),
    )
    return _add(db, row, "maintenance set afterwards" if is_retroactive else "maintenance", actor)


def repeat(
    db: Database, entry: Entry, weekly: Weekly, actor: Actor, until_ms: int | None = None
) -> MaintenanceRow:
    """The same hours of each week, from now on; DeskError if it cannot be."""
    reason, now_ms = _checked(entry), actor.now_ms
    if not weekly.days:
        raise DeskError(marked("choose a day of the week; weekly maintenance has at least one"))
    days = tuple(one for one in DAYS if one in weekly.days)
    if len(days) != len(weekly.days):
        wrong = marked("{days}: are no days of the week; use some of {all}, each once")
        found = ",".join(weekly.days)[:MAX_NOTE]
        raise DeskError(Sentence(wrong, days=found, all=",".join(DAYS)))
    if not 0 <= weekly.minute < DAY_MINUTES:
        raise DeskError(marked("maintenance begins at a time of the day, such as 02:00"))
    if not MINUTE_MS <= weekly.length_ms <= MAX_WEEKLY_HOURS * HOUR_MS:
        long = marked("weekly maintenance lasts from 1 minute to {hours} hours")
        raise DeskError(Sentence(long, hours=MAX_WEEKLY_HOURS))
    if until_ms is not None and until_ms <= now_ms:
        raise DeskError(marked("the last day is over already; use a later one, or none"))
    row = MaintenanceRow(
        *(0, entry.subject, now_ms, until_ms, weekly._replace(days=days), actor.name, now_ms),
        *(reason, entry.is_public),
    )
    return _add(db, row, "maintenance each week", actor)


def end(db: Database, number: int, actor: Actor, withdraw: bool = False) -> MaintenanceRow:
    """Nothing after now counts, and of what is withdrawn nothing at all; DeskError if it is over.

    What has not begun is withdrawn.
    """
    with db.transaction():
        row = desk_maintenance.find(db, number)
        if row is None:
            none = marked("{number}: there is no such maintenance; titik maintenance list")
            raise DeskError(Sentence(none, number=str(number)))
        end_ms = row.from_ms if withdraw else max(row.from_ms, actor.now_ms)
        if row.end_ms is not None and row.end_ms <= end_ms:
            over = marked("maintenance {number} is over already")
            raise DeskError(Sentence(over, number=str(number)))
        desk_maintenance.end(db, number, end_ms, actor.name)
        action = "maintenance withdrawn" if end_ms == row.from_ms else "maintenance ended"
        audit.record(db, actor, action, _text(row))
    return row._replace(ended_ms=end_ms, ended_by=actor.name)


def weekly_of(days: str, at: str, length_ms: int) -> Weekly:
    """As people type it, such as `mon,thu` and `02:30`; DeskError if it is no time."""
    names = tuple(one.strip().lower()[:3] for one in days.split(",") if one.strip())
    return Weekly(names, minute_of(at), length_ms)


def between(days: tuple[str, ...], begin: str, end: str) -> Weekly:
    """From one time of the day to another, else of the next day; DeskError if one is none."""
    minute = minute_of(begin)
    length = (minute_of(end) - minute) % DAY_MINUTES or DAY_MINUTES
    return Weekly(days, minute, length * MINUTE_MS)


def end_of(weekly: Weekly, last: str, zone: tzinfo) -> int:
    """When it is over for good whose last begin is on that day; DeskError if it is no date."""
    try:
        day = date.fromisoformat(last.strip())
    except ValueError as error:
        wrong = marked("{day}: is no date; write it as 2026-12-31")
        raise DeskError(Sentence(wrong, day=last[:MAX_NOTE])) from error
    after = min(day, date.max - timedelta(days=1)) + timedelta(days=1)
    midnight = datetime(after.year, after.month, after.day, tzinfo=zone)
    into_ms = max(0, weekly.minute * MINUTE_MS + weekly.length_ms - DAY_MS)
    return round(midnight.timestamp() * 1000) + into_ms


def minute_of(at: str) -> int:
    """Of the day, as people type it, such as `02:30`; DeskError if it is no time."""
    found = re.fullmatch(r"([01]?[0-9]|2[0-3])[:.]([0-5][0-9])", at.strip())
    if found is None:
        wrong = marked("{time}: is no time of the day; write it as 02:00")
        raise DeskError(Sentence(wrong, time=at[:MAX_NOTE]))
    return int(found[1]) * 60 + int(found[2])


def _checked(entry: Entry) -> str:
    """The reason, as it is kept."""
    check_subject(entry.subject)
    if entry.subject.scope not in PLACES or not entry.subject.name:
        raise DeskError(marked("maintenance is of the city, a place or a router; give its name"))
    return plain(entry.reason, MAX_NOTE)


def _add(db: Database, row: MaintenanceRow, action: str, actor: Actor) -> MaintenanceRow:
    with db.transaction():
        if len(desk_maintenance.not_over(db, actor.now_ms)) >= MAX_MAINTENANCE:
            many = marked("there are {most} maintenances that are not over; end some")
            raise DeskError(Sentence(many, most=MAX_MAINTENANCE))
        row = row._replace(number=desk_maintenance.add(db, row))
        audit.record(db, actor, action, _text(row))
    return row


def _text(row: MaintenanceRow) -> str:
    return f"{row.number} {'/'.join(row.subject)}"
