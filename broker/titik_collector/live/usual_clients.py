"""How many clients a site usually has at this hour of the week: the median of four weeks.

Rule: where fewer than two of these hours are known, it is not known.
Rule: rollups are asked once an hour, a few sites at a look, so that no message waits.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from titik_collector.store import rollups
from titik_collector.store.database import Database
from titik_wire.instant import HOUR_MS

WEEKS = 4
LEAST = 2  # hours that are known
STEP = 200  # sites of one look: a few milliseconds


class UsualClients:
    """Of all sites, by their ids."""

    def __init__(self, db: Database, zone: ZoneInfo) -> None:
        self._db = db
        self._zone = zone
        self._hour_ms: int | None = None
        self._waiting: list[int] = []
        self._usual: dict[int, float] = {}

    def look(self, sites: Sequence[int], now_ms: int) -> None:
        """Ask for some of those that were not asked for in this hour."""
        hour_ms = now_ms - now_ms % HOUR_MS
        if hour_ms != self._hour_ms:
            self._hour_ms, self._waiting = hour_ms, list(sites)
            self._usual.clear()
        some, self._waiting = self._waiting[:STEP], self._waiting[STEP:]
        if not some:
            return
        hours = [_weeks_before(hour_ms, weeks, self._zone) for weeks in range(1, WEEKS + 1)]
        means: dict[int, list[float]] = {}
        for site_id, mean in rollups.site_means(self._db, some, hours):
            means.setdefault(site_id, []).append(mean)
        self._usual |= {one: median(known) for one, known in means.items() if len(known) >= LEAST}

    def of(self, site_id: int) -> float | None:
        """None: not known, or not asked for yet."""
        return self._usual.get(site_id)


def _weeks_before(at_ms: int, weeks: int, zone: ZoneInfo) -> int:
    """The same time of the same day of the week, as clocks of the city show it."""
    local = datetime.fromtimestamp(at_ms / 1000, zone).replace(tzinfo=None)
    moment = (local - timedelta(weeks=weeks)).replace(tzinfo=zone)
    return round(moment.astimezone(UTC).timestamp() * 1000)
