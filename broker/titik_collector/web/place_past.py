"""What the screens of a place and of a router show of their past."""

from collections.abc import Set as AbstractSet
from typing import Any

from titik_collector.web import asked_past, happenings, worked
from titik_collector.web.city_view import CityView

DAYS = 30  # of events


async def place_past(
    view: CityView, scope: str, name: str, names: AbstractSet[str]
) -> dict[str, Any]:
    """By the names that the templates have for it; `names` are those whose events are wanted."""
    status = view.snapshot.status
    strip_days = await view.ask(asked_past.days(view.config, scope, name, view.now_ms))
    return {
        "of": f"{scope}/{name}",
        "happened": await view.ask(happenings.of(names, view, DAYS)),
        "titles": happenings.titles(status),
        "links": happenings.links(status),
        "stands_at": {},
        "days": DAYS,
        "strip_days": strip_days,
        "strip_work": await worked.by_day(view, scope, name, strip_days),
    }
