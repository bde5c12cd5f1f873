"""`titik history` as a screen: curves over the whole time, then a row for each window.

Rule: pure, so that it is tested as text. Rule: a gap is a dot in a curve and a line of its own in
the table, never a zero. What is not computed yet is no gap.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Final, Literal
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from titik_collector.figures.windows import Span, Window
from titik_collector.queries.history import Point, Subject
from titik_collector.screens.status_screen import bps
from titik_collector.wording import when
from titik_collector.wording.signs import BARS, UNKNOWN
from titik_wire.city_messages import Rollup

WIDTH = 56  # of a curve
GAP: Final = "gap"
NOT_YET: Final = "not yet"
Found = Rollup | Literal["gap", "not yet"]
_CURVES = (("clients", "clients_mean"), ("down", "down"), ("up", "up"), ("covered", "cover"))


def render(
    subject: Subject,
    window: Window,
    points: Sequence[Point],
    zone: ZoneInfo | None,
    now_ms: int,
    pending: Sequence[Span] = (),
    made_up: Span | None = None,
) -> RenderableType:
    """The screen for a terminal of 80 columns or more; `pending`: see `history`.

    `made_up`: the time that is simulated.
    """
    first = points[0].span.start_ms
    last = max(first, min(points[-1].span.end_ms, now_ms))
    head = Text(f"{subject.title} ({subject.scope} {subject.name}), windows of {window}\n", "bold")
    span = f"{when.show(first, zone)} to {when.show(last, zone)} {when.zone_name(last, zone)}"
    parts: list[RenderableType] = [head + Text(span, "not bold"), Text("")]
    if made_up is not None and first < made_up.end_ms:
        parts.insert(1, Text(f"simulated until {when.show(made_up.end_ms, zone)}", "yellow"))
    found = [_found(one, pending) for one in points]
    parts += [_curve(label, found, name) for label, name in _CURVES]
    parts += [Text(""), _table([one.span for one in points], found, zone)]
    if any(isinstance(one, Rollup) and one.flow_offload_ratio for one in found):
        parts.append(Text("down and up may be too low: flow offload was on", "yellow"))
    if NOT_YET in found and not any(isinstance(one, Rollup) for one in found):
        parts.append(Text("the collector computes a minute 40 s after its end"))
    return Group(*parts)


def _found(point: Point, pending: Sequence[Span]) -> Found:
    """That a router was powered, or what it counted over a gap, is no figure of the gap."""
    one = point.rollup()
    if one is not None and one.coverage_ratio:
        return one
    start_ms, end_ms = point.span
    late = any(start_ms < end and start < end_ms for start, end in pending)
    return NOT_YET if late else GAP


def spark(values: Sequence[float | None], width: int = WIDTH) -> str:
    """A curve from 0 to the highest value, `width` wide at most; a dot where nothing is known."""
    columns = min(width, len(values))
    edges = [at * len(values) // columns for at in range(columns + 1)]
    means = [_mean(values[first:end]) for first, end in itertools.pairwise(edges)]
    most = max((one for one in means if one is not None), default=0)
    return "".join(
        UNKNOWN if one is None else BARS[min(7, int(one / most * 8))] if most else BARS[0]
        for one in means
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return sum(known) / len(known) if known else None


def _curve(label: str, found: Sequence[Found], name: str) -> Text:
    values = [_value(one, name) for one in found]
    known = [one for one in values if one is not None]
    if label == "covered":
        most = f"mean {sum(known) / len(known):.0%}" if known else "not known"
        values = [one or None for one in values]
    elif not known:
        most = "not known"
    elif label == "clients":  # a mean is no number of clients
        most = f"up to {max(one.clients_max or 0 for one in found if isinstance(one, Rollup))}"
    else:
        most = f"up to {bps(int(max(known)))}"
    return Text(f"{label:8}") + Text(spark(values), "cyan") + Text(f" {most}")


def _value(found: Found, name: str) -> float | None:
    if found == NOT_YET:
        return None
    if found == GAP:
        return 0.0 if name == "cover" else None
    rollup = found
    if name == "cover":
        return rollup.coverage_ratio
    if name == "down":
        return _either(rollup.wifi_down_bps, rollup.uplink_down_bps)
    return (
        _either(rollup.wifi_up_bps, rollup.uplink_up_bps) if name == "up" else rollup.clients_mean
    )


def _either(wifi: int | None, uplink: int | None) -> int | None:
    """Over the air; through the uplink where that is not measured, as `titik status` does."""
    return uplink if wifi is None else wifi


def _table(spans: Sequence[Span], found: Sequence[Found], zone: ZoneInfo | None) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("window", no_wrap=True, min_width=16)
    for name, width in (
        ("clients", 7), ("min", 5), ("max", 5), ("active", 6), ("down", 5), ("up", 5),
        ("visitors", 8), ("cover", 5),
    ):  # fmt: skip
        table.add_column(name, justify="right", no_wrap=True, min_width=width)
    # Where no router has a target, nothing is known of it.
    if any(isinstance(one, Rollup) and one.internet_ratio is not None for one in found):
        table.add_column("internet", justify="right", no_wrap=True, min_width=8)
    for row in _rows(spans, found, zone):
        table.add_row(*row[: len(table.columns)])
    return table


def _rows(
    spans: Sequence[Span], found: Sequence[Found], zone: ZoneInfo | None
) -> Iterator[Sequence[RenderableType]]:
    """One for each window, and one for each run of windows without figures."""
    before: Found | None = None
    for span, one in zip(spans, found, strict=True):
        start = when.show(span.start_ms, zone)
        if isinstance(one, Rollup):
            yield _row(start, one)
        elif one != before:
            cover = "0%" if one == GAP else UNKNOWN
            yield [Text(cell, "dim") for cell in (start, one, *[UNKNOWN] * 6, cover, UNKNOWN)]
        before = one


def _row(start: str, one: Rollup) -> Sequence[RenderableType]:
    visitors = UNKNOWN
    if one.visitors_min is not None and one.visitors_max is not None:
        same = one.visitors_min == one.visitors_max
        visitors = f"{one.visitors_max}" if same else f"{one.visitors_min}-{one.visitors_max}"
    return (
        start,
        _number(one.clients_mean),
        UNKNOWN if one.clients_min is None else str(one.clients_min),
        UNKNOWN if one.clients_max is None else str(one.clients_max),
        _number(one.active_mean),
        bps(_either(one.wifi_down_bps, one.uplink_down_bps)),
        bps(_either(one.wifi_up_bps, one.uplink_up_bps)),
        visitors,
        _share(one.coverage_ratio),
        UNKNOWN if one.internet_ratio is None else _share(one.internet_ratio),
    )


def _share(ratio: float) -> Text:
    return Text(f"{ratio:.0%}", "" if ratio > 0.95 else "yellow")


def _number(value: float | None) -> str:
    """Three digits, as `bps`."""
    return UNKNOWN if value is None else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"
