"""`titik status SITE|ROUTER` as text: everything known of one.

Rule: pure. What is not known is left out or a dot, never zero.
"""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from titik_collector.queries.settings_status import SettingsStatus, shown
from titik_collector.queries.status import CityStatus, RouterStatus, SiteStatus
from titik_collector.screens.status_screen import (
    StatusTable,
    TableRow,
    bps,
    warnings,
    whole,
)
from titik_collector.wording import when
from titik_collector.wording.signs import UNKNOWN
from titik_wire.messages import Bss, Net, Sample


def render(
    city: CityStatus, one: SiteStatus | RouterStatus, zone: ZoneInfo | None
) -> RenderableType:
    """One site or router."""
    parts = [*warnings(city.warnings), Text(_title(one), "bold")]
    if isinstance(one, RouterStatus):
        parts += [Text(f"  {problem}", "yellow") for problem in one.problems]
        return Group(*parts, StatusTable([TableRow(0, one.name, one.line)]), *_router(one, zone))
    rows = [TableRow(0, one.line.title, one.line)]
    rows += [TableRow(1, router.name, router.line) for router in one.routers]
    parts.append(StatusTable(rows))
    parts += [Text(f"{label}: {value}") for label, value in _of_site(one)]
    for router in one.routers:
        lines = [*router.problems, *_kept(router)]
        parts.append(Text(f"{router.name}: {'; '.join(lines)}"))
    return Group(*parts)


def _of_site(one: SiteStatus) -> Iterator[tuple[str, str]]:
    for label, value in one.facts._asdict().items():
        if label == "hours" and one.is_open is not None:
            yield label, f"{value} ({'open' if one.is_open else 'closed'} now)"
        elif value:
            yield label, " ".join(value) if label == "tags" else str(value)


def _title(one: SiteStatus | RouterStatus) -> str:
    if isinstance(one, SiteStatus):
        return f"{one.line.title} (site {one.name})"
    return f"{one.name} (router{f' at {one.site}' if one.site else ''})"


def _kept(one: RouterStatus) -> Iterator[str]:
    """What it runs on, as far as it reported it."""
    for label, value in (("agent", one.version), ("", one.firmware), ("", one.model)):
        if value:
            yield f"{label} {value}".strip()


def _router(one: RouterStatus, zone: ZoneInfo | None) -> Iterator[RenderableType]:
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for label, value in _facts(one, zone):
        facts.add_row(label, value)
    yield Text("")
    yield facts
    if one.sample is None:
        return
    if one.sample.bss:
        yield Text("")
        yield _bss(one.sample.bss)
    if one.sample.net:
        yield Text("")
        yield _net(one.sample.net)


def _facts(one: RouterStatus, zone: ZoneInfo | None) -> Iterator[tuple[str, str]]:
    if one.since_ms:
        name = when.zone_name(one.since_ms, zone)
        yield f"{one.now.state} since", f"{when.show(one.since_ms, zone)} {name}"
    if one.cause:
        yield "probable cause", one.cause
    for label, value in (
        ("agent", one.version),
        ("firmware", one.firmware),
        ("model", one.model),
    ):
        yield label, value or UNKNOWN
    if one.settings is not None:
        yield from _settings(one.settings, zone)
    if one.sample is not None:
        yield from _of_sample(one.sample)


def _settings(one: SettingsStatus, zone: ZoneInfo | None) -> Iterator[tuple[str, str]]:
    """What is wished from a distance, what became of it, and what is in force."""
    if one.wish is not None and one.since_ms is not None:
        yield "settings", shown(one.wish) or "none"
        reason = f": {one.reason}" if one.reason else ""
        yield "", f"{one.state}{reason}; wished {when.show(one.since_ms, zone)}"
    if one.in_force is not None:
        yield "runs with", shown(one.in_force)


def _of_sample(sample: Sample) -> Iterator[tuple[str, str]]:
    yield "up for", when.length(sample.uptime_ms)
    yield "clock", sample.clock
    host = sample.host
    if host is not None and host.load_1m is not None:
        yield "load", f"{host.load_1m:.2f}"
    if host is not None and host.temp_c is not None:
        yield "temperature", f"{host.temp_c:.0f} °C"
    if sample.leases is not None:
        yield "leases", whole(sample.leases)
    if sample.visitors is not None:
        yield "visitors", whole(sample.visitors.count)
    if sample.flow_offload:
        yield "flow offload", "on, bytes may be too low: titik-agent check on the router"
    if sample.agent is not None and sample.agent.failed:
        yield "cannot read", f"{', '.join(sample.agent.failed)}: titik-agent check on the router"


def _bss(found: tuple[Bss, ...]) -> RenderableType:
    grid = _grid("Wi-Fi", "ssid", "band", "channel", "clients", "active", "weak")
    for one in found:
        channel = UNKNOWN if one.channel is None else str(one.channel)
        grid.add_row(
            one.ifname,
            one.ssid or UNKNOWN,
            one.band or UNKNOWN,
            "off the air" if one.off_air else channel,
            whole(one.clients) + ("+" if one.undercounted else ""),
            whole(one.active),
            whole(one.weak),
        )
    return grid


def _net(found: tuple[Net, ...]) -> RenderableType:
    grid = _grid("interface", "role", "link", "received", "sent")
    for one in found:
        link = UNKNOWN if one.up is None else "up" if one.up else "down"
        # Bytes since the counter began: `12.3M`.
        grid.add_row(one.ifname, one.role, link, bps(one.rx_bytes), bps(one.tx_bytes))
    return grid


def _grid(*names: str) -> Table:
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, name in enumerate(names):
        grid.add_column(name, no_wrap=number != 1, overflow="fold")
    return grid
