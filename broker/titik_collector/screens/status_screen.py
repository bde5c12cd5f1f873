"""`titik status` and `titik top` as text: what is wrong first, then the table.

Rule: pure, so that every screen is tested as text. Unknown is shown as a dot, never as zero.
Rule: 80 columns are enough. A narrow screen lacks columns, never a part of a number.
Rule: 1,000 routers stay readable. Routers without a problem are folded where there are many.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from titik_collector.limits import MAX_PROBLEMS, MAX_ROWS, MAX_VERSIONS
from titik_collector.queries.server_warnings import Warned
from titik_collector.queries.site_groups import SiteGroup
from titik_collector.queries.status import CityStatus, Line, RouterStatus, SiteStatus
from titik_collector.wording.signs import UNKNOWN

COLOURS = {"online": "green", "silent": "yellow", "offline": "red", "unknown": "dim"}
LEVELS = {"critical": "bold red", "warning": "yellow"}
MIN_ROWS = 5


@dataclass(frozen=True, slots=True)
class TableRow:
    """A line of the table."""

    indent: int
    title: str
    line: Line


def render(
    city: CityStatus,
    *,
    height: int | None = None,
    everything: bool = False,
    collectors: str | None = None,
) -> RenderableType:
    """The whole screen. `height`: lines of the terminal; what is well is folded to fit."""
    head = [*warnings(city.warnings), *problems(city, None if height is None else height // 3)]
    if head:
        head.append(Text(""))
    foot = [Text(""), *_footer(city), *([] if collectors is None else [Text(collectors)])]
    rows = all_rows(city)
    most = MAX_ROWS if height is None else max(MIN_ROWS, height - len(head) - len(foot) - 3)
    if everything or len(rows) <= most:
        return Group(*head, StatusTable(rows), *foot)
    rows, folded = _fold(city, most)
    return Group(*head, StatusTable(rows), Text(folded, "dim"), *foot)


def render_problems(city: CityStatus) -> RenderableType:
    """Only what is wrong."""
    found = [*warnings(city.warnings), *problems(city)]
    return Group(*(found or [Text("no problem is known")]))


def render_groups(city: CityStatus, groups: Sequence[SiteGroup]) -> RenderableType:
    """The city, and each group with how many sites it has."""
    rows = [
        TableRow(0, f"{one.value or 'not given'}, {_many_sites(len(one.sites))}", one.line)
        for one in groups
    ]
    return Group(*warnings(city.warnings), StatusTable([TableRow(0, "City", city.line), *rows]))


def _many_sites(number: int) -> str:
    return f"{number} site{'' if number == 1 else 's'}"


def warnings(found: Sequence[Warned]) -> list[RenderableType]:
    """What the server reports of itself, the worst first."""
    order = sorted(found, key=lambda one: list(LEVELS).index(one.level))
    return [Text(f"{one.level}: {one.text}", LEVELS[one.level]) for one in order]


def problems(city: CityStatus, most: int | None = None) -> list[RenderableType]:
    """Routers that an operator should look at, `most` of them."""
    most = MAX_PROBLEMS if most is None else most
    found = [one for one in city.routers() if one.problems]
    lines: list[RenderableType] = []
    if found:
        have = "has" if len(found) == 1 else "have"
        of = city.line.now.routers_known
        lines.append(Text(f"{len(found)} of {of:,} routers {have} a problem:"))
    for one in found[:most]:
        where = f" at {one.site}" if one.site else ""
        lines.append(Text(f"  {one.name}{where}: {'; '.join(one.problems)}", COLOURS["silent"]))
    if len(found) > most:
        more = "--json" if most == MAX_PROBLEMS else "--problems"
        lines.append(Text(f"  and {len(found) - most} more: titik status {more}"))
    return lines


def all_rows(city: CityStatus) -> list[TableRow]:
    """The city, then each site with its routers: those with problems first."""
    rows = [TableRow(0, "City", city.line)]
    for site in sorted(city.sites, key=_is_well):
        rows += _site_rows(site)
    return rows + [TableRow(1, one.name, one.line) for one in sorted(city.homeless, key=_is_well)]


def _site_rows(site: SiteStatus) -> list[TableRow]:
    if len(site.routers) == 1:  # one line is enough for both
        (one,) = site.routers
        return [TableRow(0, f"{one.name} {site.line.title}", one.line)]
    if not site.routers:
        return []
    members = sorted(site.routers, key=_is_well)
    return [
        TableRow(0, site.line.title, site.line),
        *(TableRow(1, one.name, one.line) for one in members),
    ]


def _is_well(one: SiteStatus | RouterStatus) -> bool:
    """False sorts first."""
    return not (
        any(r.problems for r in one.routers) if isinstance(one, SiteStatus) else one.problems
    )


def _fold(city: CityStatus, most: int) -> tuple[list[TableRow], str]:
    """The city and as many sites as there is room for, and what is left out."""
    rows = [
        TableRow(0, site.line.title, site.line)
        for site in sorted(city.sites, key=_is_well)
        if site.routers
    ]
    shown = rows[: most - 1]
    routers = city.line.now.routers_known
    left = f"{len(rows) - len(shown)} sites and " if len(shown) < len(rows) else ""
    return (
        [TableRow(0, "City", city.line), *shown],
        f"{left}the lines of {routers:,} routers are left out: titik status --all",
    )


def _footer(city: CityStatus) -> Iterator[RenderableType]:
    if not city.line.now.routers_known:
        yield Text("no router is known yet; a running collector takes those of its file,")
        yield Text("and this command adds one: titik router add NAME --site SITE")
    taken, stored, refused, lost, in_spool = city.totals
    yield Text(
        f"samples taken {taken:,} = stored {stored:,} + refused {refused:,} + lost {lost:,}"
        f" + in spool {in_spool:,}"
    )
    if (versions := _versions(city)) is not None:
        yield versions
    for name, value in city.tallies:
        yield Text(f"{_TALLIES.get(name, name)}: {value:,}")
    yield from _unregistered(city)


def _versions(city: CityStatus) -> Text | None:
    """Where routers run several versions."""
    agents = Counter[str]()
    for one in city.versions():
        agents[one.version] += one.routers
    if len(agents) < 2:
        return None
    most = agents.most_common(MAX_VERSIONS)
    left = "" if len(most) == len(agents) else ", ..."
    return Text(f"agents: {', '.join(f'{many:,} run {one}' for one, many in most)}{left}")


@dataclass(frozen=True, slots=True)
class StatusTable:
    """A header and these rows; it learns of the terminal's width when it is drawn."""

    rows: Sequence[TableRow]

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        columns = dict(_COLUMNS)
        for name in _DISPENSABLE:
            if _NAMES_WIDTH + sum(width + 1 for width in columns.values()) > options.max_width:
                del columns[name]
        table = Table(box=None, pad_edge=False, padding=(0, 0, 0, 1), expand=True)
        table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
        for name, width in columns.items():  # never cut: half a number is another number
            justify: JustifyMethod = "left" if name == "state" else "right"
            table.add_column(name, justify=justify, no_wrap=True, min_width=width)
        for row in self.rows:
            title, *cells = _cells(row)
            named = zip(dict(_COLUMNS), cells, strict=True)
            table.add_row(title, *(cell for name, cell in named if name in columns))
        yield table


_NAMES_WIDTH = 10  # at least
_DISPENSABLE = ("active", "spool", "up", "age", "cover")  # what a narrow screen lacks, in order
_COLUMNS = (
    ("state", 8),
    ("clients", 7),
    ("active", 6),
    ("down", 5),
    ("up", 5),
    ("age", 4),
    ("cover", 5),
    ("spool", 5),
    ("lost", 4),
)
_TALLIES = {
    "poison": "messages that broke the contract (the newest are kept)",
    "later_version": "messages of a later contract (upgrade this collector)",
    "capped": "messages over a router's hourly cap (samples stay in its spool)",
    "unregistered": "messages of unregistered routers",
    "restored": "samples lost with a newer state of this store (it was restored)",
}


def _unregistered(city: CityStatus) -> Iterator[RenderableType]:
    if not city.unregistered:
        return
    site = city.sites[0].name if len(city.sites) == 1 else "SITE"
    yield Text("")
    yield Text("unregistered routers; register one with:")
    for one in city.unregistered:
        yield Text(
            f"  titik router add {one.name} --site {site}   # {one.messages} messages, last "
            f"{age(one.age_ms)} ago",
            overflow="ellipsis",
            no_wrap=True,
        )


def _cells(row: TableRow) -> Sequence[RenderableType]:
    line, now = row.line, row.line.now
    is_router = now.scope == "router"
    state = "revoked" if now.revoked else "wifi off" if now.off_air else now.state
    stale = now.state == "unknown" or (now.state != "online" and now.clients is None)
    return (
        Text("  " * row.indent + row.title, style="" if is_router else "bold"),
        Text(
            state if is_router else f"{now.routers_online}/{now.routers_known} on",
            style=COLOURS[now.state],
        ),
        whole(now.clients),
        whole(now.active),
        bps(now.wifi_down_bps if now.wifi_down_bps is not None else now.uplink_down_bps),
        bps(now.wifi_up_bps if now.wifi_up_bps is not None else now.uplink_up_bps),
        UNKNOWN if stale else age(now.age_ms),
        UNKNOWN if line.coverage is None else f"{line.coverage:.0%}",
        whole(line.spooled),
        Text(f"{line.lost:,}", style="red" if line.lost else ""),
    )


def whole(value: int | None) -> str:
    """A count, or a dot."""
    return UNKNOWN if value is None else f"{value:,}"


def bps(value: int | None) -> str:
    """Bits a second, three digits: `12.3M`."""
    if value is None:
        return UNKNOWN
    number = float(value)
    for unit in ("", "k", "M", "G"):
        if number < 999.5:
            return f"{number:.0f}{unit}" if number >= 99.5 or not unit else f"{number:.1f}{unit}"
        number /= 1000
    return f"{number:.0f}T"


def age(ms: int) -> str:
    """`12s`, `3m`, `5h`, `2d`."""
    seconds = ms // 1000
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
