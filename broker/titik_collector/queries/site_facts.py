"""What sites are, now or at a time in the past, and whether they are open then."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from titik_collector.figures import stretches
from titik_collector.figures.windows import Span
from titik_collector.store import site_fact_rows, subject_names
from titik_collector.store.database import Database
from titik_collector.store.site_fact_rows import SiteFacts as SiteFacts
from titik_collector.wording import opening_hours

NO_FACTS = SiteFacts()


def at(db: Database, at_ms: int) -> dict[str, SiteFacts]:
    """What was so then, of every site that there ever was, by name."""
    found = site_fact_rows.at(db, at_ms)
    return {one.name: found.get(one.id, NO_FACTS) for one in subject_names.sites(db)}


def is_open(facts: SiteFacts, at_ms: int, zone: ZoneInfo) -> bool | None:
    """By its opening hours; None if it has none."""
    if facts.hours is None:
        return None
    moment = datetime.fromtimestamp(at_ms / 1000, zone)
    return opening_hours.parse(facts.hours).is_open(moment)


def opened(hours: str | None, days: Sequence[Span], zone: ZoneInfo) -> list[Span]:
    """When a place is open, by the clocks of the zone, which a day may set; None: always.

    The night before the first of the days has hours of its own, which are not in it.
    """
    if hours is None:
        return [Span(days[0].start_ms, days[-1].end_ms)]
    week = opening_hours.parse(hours).week
    return stretches.united(
        Span(_ms(midnight, start), _ms(midnight, end))
        for day in days
        for midnight in [datetime.fromtimestamp(day.start_ms / 1000, zone)]
        for start, end in week[midnight.weekday()]
    )


def _ms(midnight: datetime, minutes: int) -> int:
    return round((midnight + timedelta(minutes=minutes)).timestamp() * 1000)
