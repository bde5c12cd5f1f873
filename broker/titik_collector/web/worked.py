"""When work was planned at whose past a page or a program shows."""

from collections.abc import Sequence

from titik_collector.alerts.alert import AlertSubject
from titik_collector.alerts.desk_facts import Maintenance
from titik_collector.desk import naming
from titik_collector.figures.windows import Span
from titik_collector.queries import maintenance_spans
from titik_collector.queries.day_strip import StripDay
from titik_collector.web.city_view import CityView


async def during(view: CityView, scope: str, name: str, span: Span) -> tuple[Span, ...]:
    """Stretches inside the span, without overlaps; of a name that never was there is none."""
    config = view.config
    if scope == "city":
        name = config.city.name
    subject = AlertSubject(scope, name)  # type: ignore[arg-type]  # router, site or city
    covering, zone = naming.covering(config, subject), config.city.timezone
    nothing: list[Maintenance] = []
    found = await view.desk.ask(
        lambda db: maintenance_spans.spans(db, covering, span, zone), nothing
    )
    return tuple(maintenance_spans.merged(found, span))


async def by_day(view: CityView, scope: str, name: str, days: Sequence[StripDay]) -> dict[int, int]:
    """How long on each day that has any, by when the day begins."""
    if not days:
        return {}
    whole = Span(days[0].span.start_ms, days[-1].span.end_ms)
    work = await during(view, scope, name, whole)
    found = {
        day.span.start_ms: sum(
            max(0, min(one.end_ms, day.span.end_ms) - max(one.start_ms, day.span.start_ms))
            for one in work
        )
        for day in days
    }
    return {start_ms: length_ms for start_ms, length_ms in found.items() if length_ms}
