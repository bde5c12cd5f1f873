"""What pages and the API show of alerts: incidents from the store, and what people entered.

Rule: either may be away. A desk that nobody wrote to is an empty one.
"""

import asyncio
import logging
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from titik_collector.alerts.alert import AlertEvent, AlertKey, AlertSubject, Incident, Notification
from titik_collector.alerts.desk_facts import Acknowledgement, Maintenance, Silence
from titik_collector.config.model import Config
from titik_collector.config.site_tables import Site
from titik_collector.desk import naming, work_times
from titik_collector.desk.desk_reading import facts_of
from titik_collector.figures.windows import Span
from titik_collector.limits import MAX_HAPPENED, MAX_INCIDENTS
from titik_collector.queries import failing_receivers
from titik_collector.store import (
    alert_rows,
    delivery_rows,
    desk_acks,
    desk_remarks,
    incident_rows,
    notify_opening,
    outbox_rows,
)
from titik_collector.store.alert_rows import KeptEvent
from titik_collector.store.database import Database, StoreError
from titik_collector.store.delivery_rows import DeliveryRow
from titik_collector.store.desk_maintenance import MaintenanceRow
from titik_collector.store.desk_remarks import Remark
from titik_collector.web.alert_words import SERVER
from titik_collector.web.city_view import CityView
from titik_wire.instant import DAY_MS

log = logging.getLogger(__name__)
RECENT_MS = 7 * DAY_MS
SEVERITIES = ("critical", "warning", "info")


@dataclass(frozen=True, slots=True)
class SeenIncident:
    """An incident as people see it."""

    incident: Incident
    title: str  # of its subject
    parts: int  # that fire now
    ack: Acknowledgement | None  # that counts; None: nobody handles it
    is_silenced: bool
    in_maintenance: bool

    @property
    def goes_on(self) -> bool:
        """It is not resolved."""
        return self.incident.resolved_ms is None


class SeenEvent(NamedTuple):
    """What became of an alert of an incident, or that somebody acknowledged; one of them."""

    at_ms: int
    change: AlertEvent | None = None
    ack: Acknowledgement | None = None


@dataclass(frozen=True, slots=True)
class WholeIncident:
    """An incident with all that is known of it."""

    shown: SeenIncident
    members: tuple[AlertKey, ...]
    changes: tuple[KeptEvent, ...]  # the oldest first
    acks: tuple[Acknowledgement, ...]
    remarks: tuple[Remark, ...]
    deliveries: tuple[DeliveryRow, ...] | None  # None: they cannot be read now
    waiting: tuple[Notification, ...]  # messages that are due later, the earliest first

    @property
    def log(self) -> list[SeenEvent]:
        """What happened, the oldest first."""
        found = [SeenEvent(one.event.at_ms, change=one.event) for one in self.changes]
        found += [SeenEvent(one.at_ms, ack=one) for one in self.acks]
        return sorted(found, key=lambda one: one.at_ms)


def title_of(config: Config, subject: AlertSubject) -> str:
    """As people call it; of a router also where it stands."""
    if subject.scope == "server":
        return SERVER
    title = naming.title(config, subject)
    if subject.scope != "router":
        return title
    sites = [one.site for one in config.router if one.name == subject.name]
    return ", ".join((title, *(naming.title(config, AlertSubject("site", one)) for one in sites)))


def names_of(config: Config, members: Iterable[AlertKey]) -> set[str]:
    """Of all that an incident is about, with the routers of its places: they have the outages."""
    names = {one.subject.name for one in members}
    return names | {one.name for one in config.router if one.site in names}


def site_of(config: Config, subject: AlertSubject) -> Site | None:
    """What the file has of the place that it is or stands at; of what is wider or gone, none."""
    covering = naming.covering(config, subject)
    names = {one.name for one in covering if one.scope == "site"}
    return next((one for one in config.site if one.name in names), None)


def open_incidents(view: CityView) -> list[SeenIncident]:
    """Those that go on, what matters most first, then the newest."""
    found = sorted(view.snapshot.incidents, key=lambda one: SEVERITIES.index(one.severity))
    return shown(view, found)


async def recent(view: CityView) -> list[SeenIncident]:
    """Those that are over since some days, the newest first."""
    since_ms = view.now_ms - RECENT_MS

    def question(db: Database) -> list[Incident]:
        found = incident_rows.since(db, since_ms)
        return [one for one in found if one.resolved_ms is not None]

    found = sorted(await view.ask(question), key=lambda one: -(one.resolved_ms or 0))
    return shown(view, found[:MAX_INCIDENTS])


async def whole(view: CityView, number: int) -> WholeIncident | None:
    """One incident; None if there is none of the number."""

    def question(
        db: Database,
    ) -> tuple[Incident | None, list[KeptEvent], list[Notification]]:
        changes = alert_rows.events_of(db, number, MAX_HAPPENED)
        return incident_rows.one(db, number), changes, _waiting(db, number, view.now_ms)

    incident, changes, waiting = await view.ask(question)
    if incident is None:
        return None
    nothing: tuple[list[Acknowledgement], list[Remark]] = ([], [])
    acks, remarks = await view.desk.ask(lambda db: _entered(db, number), nothing)
    members = dict.fromkeys(one.event.key for one in changes)
    (one,) = shown(view, [incident])
    deliveries = await asyncio.to_thread(_deliveries, view, incident)
    return WholeIncident(
        *(one, tuple(members), tuple(changes), tuple(acks), tuple(remarks)),
        *(deliveries, tuple(waiting)),
    )


def _waiting(db: Database, number: int, now_ms: int) -> list[Notification]:
    """Who is asked next if nobody acknowledges is left out: that may never be."""
    found = [
        one.notification
        for one in outbox_rows.of_incidents(db, [number])
        if one.withdrawn_ms is None and one.notification.due_ms > now_ms
    ]
    some = [one for one in found if one.message.what != "escalation"]
    return sorted(some, key=lambda one: one.due_ms)


async def unreached(view: CityView) -> list[str]:
    """Receivers that nothing reaches, each in a sentence."""
    found = await asyncio.to_thread(failing_receivers.warned, view.config, view.now_ms)
    return [one.text for one in found]


def _deliveries(view: CityView, incident: Incident) -> tuple[DeliveryRow, ...] | None:
    """Those of before are of another incident: a store that was restored gives numbers again."""
    try:
        with notify_opening.reading(view.config.page_store) as db:
            if db is None:
                return ()
            found = delivery_rows.of_incident(db, incident.number, MAX_HAPPENED)
    except StoreError as error:
        log.warning("deliveries cannot be read reason=%s", error)
        return None
    return tuple(one for one in found if one.made_ms >= incident.first_ms)


def _entered(desk: Database, number: int) -> tuple[list[Acknowledgement], list[Remark]]:
    return desk_acks.of_incident(desk, number), desk_remarks.of_incident(desk, number)


def shown(view: CityView, incidents: Sequence[Incident]) -> list[SeenIncident]:
    """With what people entered about them."""
    facts = facts_of(view.desk.posted, view.now_ms, view.config.city.timezone)
    acks = {one.incident: one for one in facts.acks}
    return [
        SeenIncident(
            one,
            title_of(view.config, one.subject),
            view.snapshot.parts.get(one.number, 0),
            acks.get(one.number) if one.resolved_ms is None else None,
            is_silenced(view.config, facts.silences, one),
            bool(_at(view.config, facts.maintenance, one.subject)),
        )
        for one in incidents
    ]


def version(view: CityView) -> str:
    """Another one as soon as what pages say of open incidents is another.

    A page takes it before it looks at anything: it asks again for what changed meanwhile.
    """
    seen, zone = view.snapshot, view.config.city.timezone
    facts = facts_of(view.desk.posted, view.now_ms, zone)
    cards = (seen.incidents, seen.incidents_open, sorted(seen.parts.items()))
    entered = (facts.acks, facts.silences, facts.maintenance)
    return f"{zlib.crc32(msgspec.json.encode((cards, entered))):08x}"


def is_silenced(config: Config, silences: Sequence[Silence], incident: Incident) -> bool:
    """Whether a silence names its subject, or what that is a part of, and its kind."""
    covering = naming.covering(config, incident.subject)
    return any(
        (one.subject in covering or one.subject == (incident.subject.scope, ""))
        and one.kind in (None, incident.kind)
        for one in silences
    )


def work_now(view: CityView, subject: AlertSubject) -> list[Maintenance]:
    """Maintenance that goes on there now."""
    facts = facts_of(view.desk.posted, view.now_ms, view.config.city.timezone)
    return _at(view.config, facts.maintenance, subject)


def work_ahead(view: CityView) -> list[MaintenanceRow]:
    """Maintenance that goes on or is planned, in the whole city, by its begin."""
    rows = [
        one
        for one in view.desk.posted.maintenance
        if one.end_ms is None or one.end_ms > view.now_ms
    ]
    return sorted(rows, key=lambda one: (one.weekly is not None, one.from_ms))


def work_of(view: CityView, subject: AlertSubject, span: Span) -> list[Maintenance]:
    """Of what is posted: what goes on there or comes."""
    covering = naming.covering(view.config, subject)
    rows = [one for one in view.desk.posted.maintenance if one.subject in covering]
    return work_times.within(rows, span, view.config.city.timezone)


def silences_now(view: CityView) -> list[Silence]:
    """That count, the first to end first."""
    found = [one for one in view.desk.posted.silences if one.until_ms > view.now_ms]
    return sorted(found, key=lambda one: one.until_ms)


def _at(
    config: Config, maintenance: Sequence[Maintenance], subject: AlertSubject
) -> list[Maintenance]:
    covering = naming.covering(config, subject)
    return [one for one in maintenance if one.subject in covering]
