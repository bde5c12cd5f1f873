"""What sites are, now or at a time in the past, and whether they are open then."""

from datetime import datetime
from zoneinfo import ZoneInfo

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
