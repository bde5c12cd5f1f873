"""The screen of `titik events`."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from titik_collector.outputs.output import Event
from titik_collector.wording import when

_COLOURS = {
    "outage": "yellow",
    "server": "red",
    "lost": "red",
    "registered": "green",
    "removed": "magenta",
    "revoked": "magenta",
    "clone": "red",
}


def render(
    events: Sequence[Event], zone: ZoneInfo | None, now_ms: int, why: bool = False
) -> RenderableType:
    """The screen for a terminal of 80 columns or more; `why` adds the evidence of causes."""
    if not events:
        return Text("nothing happened in this time")
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(f"began ({when.zone_name(now_ms, zone)})", no_wrap=True, min_width=16)
    table.add_column("event", no_wrap=True, min_width=6)
    table.add_column("of", overflow="fold", min_width=10, max_width=24)
    table.add_column("what", overflow="fold")
    for one in events:
        kind = Text(one.kind, _COLOURS[one.kind])
        table.add_row(when.show(one.at_ms, zone), kind, one.name, one.text)
        if why and one.why:
            table.add_row("", "", "", Text(f"because {one.why}", "dim"))
    return Group(table)
