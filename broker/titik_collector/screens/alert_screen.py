"""The screen of `titik alerts`."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from titik_collector.queries.alert_list import IncidentNow
from titik_collector.wording import when

_COLOURS = {"critical": "red", "warning": "yellow", "info": "cyan"}


def render(found: Sequence[IncidentNow], zone: ZoneInfo | None, now_ms: int) -> RenderableType:
    """What goes on comes first."""
    if not found:
        return Text("no alert is firing, and none did in this time")
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("no.", justify="right", no_wrap=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("of", overflow="fold", min_width=10)
    table.add_column(f"began ({when.zone_name(now_ms, zone)})", no_wrap=True, min_width=16)
    table.add_column("lasts", no_wrap=True)
    table.add_column("state", overflow="fold")
    for one in found:
        incident = one.incident
        end_ms = now_ms if incident.resolved_ms is None else incident.resolved_ms
        table.add_row(
            str(incident.number),
            Text(incident.severity, _COLOURS[incident.severity]),
            incident.kind,
            incident.subject.name,
            when.show(incident.from_ms, zone),
            when.length(end_ms - incident.from_ms),
            _state(one),
        )
    return table


def _state(one: IncidentNow) -> str:
    if one.incident.resolved_ms is not None:
        return "over"
    if not one.alerts:
        return "over, and may come again"
    firing = sum(alert.phase == "firing" for alert in one.alerts)
    state = f"{firing} firing" if firing else "recovering"
    return state if one.is_known else f"{state}, not known now"
