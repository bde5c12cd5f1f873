"""The city as anybody may see it now: what is read of the store leaves by `suppression.publish`.

Rule: the present is the newest quarter of an hour that is over, so nobody is seen arriving.
Rule: no router, no person and no figure of a single moment is in it.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

from titik_collector.alerts.alert import AlertSubject
from titik_collector.config.model import Config
from titik_collector.desk.desk_reading import DeskReading
from titik_collector.figures.windows import Calendar, Span
from titik_collector.public import public_outages
from titik_collector.public.public_outages import PublicOutage
from titik_collector.public.public_past import SETTLED_MS, sites
from titik_collector.public.suppression import USED, Cell, Raw, Total, publish
from titik_collector.queries import history, status
from titik_collector.queries.history import Subject
from titik_collector.queries.server_warnings import Warned
from titik_collector.store import simulated
from titik_collector.store.database import Database
from titik_collector.timeline import pruning
from titik_collector.web.basemap import positions
from titik_collector.web.places import UP, Place
from titik_wire.instant import MINUTE_MS

QUARTER_MS = 15 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class PublicPlace:
    """One site."""

    name: str
    title: str
    state: str  # online, silent, offline, off the air, unknown or closed
    since_ms: int | None  # when it went away; None: it did not, or that is not known
    hours: str | None  # opening hours
    capacity: int | None  # visitors that it is meant for
    position: tuple[float, float] | None  # degrees east and north
    is_closed: bool  # now, by its hours; False: it has none
    figures: Cell  # of the quarter
    coverage: float | None  # of the quarter
    outages: tuple[PublicOutage, ...]  # of the last days, the newest first
    work: "PublicMaintenance | None" = None  # that goes on now, and that anybody may know of

    @property
    def closed_now(self) -> bool:
        """It works, and nobody should go there: closed, and not as used as if it were open."""
        return self.state == "online" and self.is_closed and self.figures.load not in USED


class PublicMaintenance(NamedTuple):
    """Maintenance whose operator let anybody read why."""

    until_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class PublicCity:
    """Everything that leaves, but for the past."""

    title: str
    made_ms: int
    quarter: Span
    places: tuple[PublicPlace, ...]
    total: Total
    kept_days: int  # that counts of single moments are kept
    is_simulated: bool  # a demo


class KnownQuarter(NamedTuple):
    """What is known of a site's quarter."""

    site_id: int
    raw: Raw
    coverage: float | None


def quarter(now_ms: int) -> Span:
    """The newest one that is over and computed."""
    end_ms = (now_ms - SETTLED_MS) // QUARTER_MS * QUARTER_MS
    return Span(end_ms - QUARTER_MS, end_ms)


def gather(
    db: Database, config: Config, now_ms: int, warnings: Sequence[Warned] = ()
) -> PublicCity:
    """The present."""
    of, span = config.city, quarter(now_ms)
    found = status.gather(db, of.name, now_ms, warnings, of.title, of.timezone)
    windows = _quarters(db, config, span)
    known = [Place(one, None) for one in found.sites if one.name in windows]
    meant = {one.name: one.capacity for one in config.site}
    published = publish(
        [
            windows[one.name].raw._replace(
                cause=one.cause if one.state == "offline" else None,
                capacity=meant[one.name] if one.state in UP else None,
            )
            for one in known
        ]
    )
    where = positions(config)
    away = public_outages.read(
        db,
        {windows[one.name].site_id: one.site.facts.hours for one in known},
        of.timezone,
        now_ms,
    )
    work, of_all = _work_now(config, now_ms), AlertSubject("city", of.name)
    places = [
        PublicPlace(
            one.name,
            one.title,
            "online" if one.state in UP else one.state,
            one.since_ms if one.state in ("offline", "silent") else None,
            one.site.facts.hours,
            meant[one.name],
            where.get(one.name),
            one.site.is_open is False,
            cell,
            windows[one.name].coverage,
            away[windows[one.name].site_id],
            work.get(AlertSubject("site", one.name)) or work.get(of_all),
        )
        for one, cell in zip(known, published.cells, strict=True)
    ]
    return PublicCity(
        of.title,
        now_ms,
        span,
        tuple(places),
        published.total,
        max(pruning.days(db, config.store)),
        simulated.span(db) is not None,
    )


def _work_now(config: Config, now_ms: int) -> dict[AlertSubject, PublicMaintenance]:
    """Of places, or of the whole city; that of a router is not for everybody."""
    with closing(DeskReading(config.page_store, config.city.timezone)) as desk:
        found = desk.facts(now_ms).maintenance
    return {
        one.subject: PublicMaintenance(one.to_ms, one.reason)
        for one in sorted(found, key=lambda one: one.to_ms)
        if one.is_public and one.subject.scope != "router"
    }


def _quarters(db: Database, config: Config, span: Span) -> dict[str, KnownQuarter]:
    """By site; the mean over the minutes that are known."""
    calendar = Calendar(config.city.timezone)
    return {one.name: _quarter(db, one, span, calendar) for one in sites(db, config)}


def _quarter(db: Database, site: Subject, span: Span, calendar: Calendar) -> KnownQuarter:
    minutes = [one.rollup() for one in history.read(db, site, "1m", span, calendar)]
    known = [one for one in minutes if one is not None]
    covered = sum(one.coverage_ratio for one in known)
    return KnownQuarter(
        site.id,
        Raw(
            _mean([one.clients_mean for one in known]),
            _mean([one.wifi_down_bps for one in known]),
            _mean([one.wifi_up_bps for one in known]),
        ),
        covered / len(minutes) if minutes else None,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return sum(known) / len(known) if known else None
