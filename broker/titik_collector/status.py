"""One screen: every site and router now, what is missing, and who knocks.

Rule: gathering reads the store and rendering is pure, so that every screen is tested as text.
Rule: unknown is shown as a dot, never as zero.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from titik_collector import body, check
from titik_collector.database import is_held
from titik_collector.now import Board
from titik_collector.presence import SILENT_AFTER_MS, Presence, State
from titik_collector.registry import Registry
from titik_collector.rollup import GRACE_MS
from titik_wire import codec, topics
from titik_wire.errors import WireError
from titik_wire.messages import Now, Sample

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
UNKNOWN = "·"
COLOURS = {"online": "green", "silent": "yellow", "offline": "red", "unknown": "dim"}


@dataclass(frozen=True, slots=True)
class Line:
    """One router's, site's or the city's line."""

    indent: int
    title: str
    now: Now
    coverage: float | None  # of the last hour
    spooled: int | None  # records that waited at its last sample, besides that one; if online
    lost: int
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Knock:
    """An unregistered router."""

    name: str
    messages: int
    age_ms: int


@dataclass(frozen=True, slots=True)
class Screen:
    """Everything that the screen shows."""

    lines: tuple[Line, ...]
    knocks: tuple[Knock, ...]
    tallies: tuple[tuple[str, int], ...]
    totals: tuple[int, int, int, int, int]  # taken, stored, refused, lost, in spool
    sites: tuple[str, ...]


class _Believed(Presence):
    """Presence as the store has it, while a collector keeps it up to date.

    A collector marks a quiet router within seconds. Where none did, nothing listens, and what was
    true then is not known now.
    """

    def __init__(self, db: sqlite3.Connection, now_ms: int) -> None:
        super().__init__(db)
        self._now_ms = now_ms

    def state(self, router_id: int) -> State:
        state = super().state(router_id)
        quiet_ms = self._now_ms - max(state.heard_ms or 0, state.since_ms)
        if state.state == "online" and quiet_ms > SILENT_AFTER_MS + MINUTE_MS:
            return replace(state, state="unknown")
        return state


def gather(db: sqlite3.Connection, city: str, now_ms: int) -> Screen:
    """Read the screen from the store."""
    registry = Registry(db, city)
    routers = list(registry.routers())
    board = Board(db, _Believed(db, now_ms), registry)
    board.load()
    now = {(one.scope, one.name): one for one in board.everything(now_ms)}
    coverage = _coverage(db, now_ms)
    lost: Counter[str] = Counter()
    for name, count in db.execute("SELECT router, lost FROM v_conservation WHERE lost > 0"):
        lost[name] += count
    by_router = {
        name: _line(db, router_id, name, now["router", name], coverage, lost)
        for router_id, name, _ in routers
    }
    lines = [_sum("City", now["city", registry.city], list(by_router.values()), 0)]
    sites = db.execute(
        "SELECT name, title FROM site WHERE registered = 1 ORDER BY title"
    ).fetchall()
    for site, title in sites:
        members = [by_router[name] for _, name, where in routers if where == site]
        if len(members) == 1:  # one line is enough for both
            lines.append(replace(members[0], title=f"{members[0].title} {title}", indent=0))
        elif members:
            lines.append(_sum(title, now["site", site], members, 0))
            lines.extend(members)
    lines.extend(by_router[name] for _, name, where in routers if where is None)
    knocks = db.execute("SELECT name, messages, last_ms FROM knock ORDER BY last_ms DESC LIMIT 20")
    return Screen(
        tuple(lines),
        tuple(Knock(name, count, now_ms - last_ms) for name, count, last_ms in knocks),
        tuple(db.execute("SELECT name, value FROM tally WHERE value > 0 ORDER BY name")),
        check.totals(db),
        tuple(site for site, _ in sites),
    )


def nobody_collects(db: sqlite3.Connection, store: Path, now_ms: int) -> str | None:
    """That no collector runs, and since when nothing was heard; None if one does."""
    if is_held(store) is not False:
        return None
    (heard_ms,) = db.execute("SELECT max(heard_ms) FROM presence").fetchone()
    if heard_ms is None:
        return "no collector is running; start it: titik collect"
    return f"no collector is running; the last report came {_age(now_ms - heard_ms)} ago"


def render(screen: Screen) -> RenderableType:
    """The screen for a terminal of 80 columns; a narrow one lacks columns, not names."""
    parts: list[RenderableType] = [_Lines(screen.lines), Text("")]
    if len(screen.lines) == 1:  # the city alone
        parts.append(Text("no router is known yet; a running collector takes those of its file,"))
        parts.append(Text("and this adds one to it: titik router add NAME --site SITE"))
    taken, stored, refused, lost, in_spool = screen.totals
    parts.append(
        Text(
            f"samples taken {taken:,} = stored {stored:,} + refused {refused:,} + lost {lost:,}"
            f" + in spool {in_spool:,}"
        )
    )
    parts.extend(Text(f"{_TALLIES.get(name, name)}: {value:,}") for name, value in screen.tallies)
    failing = [f"{line.title}: {', '.join(line.failed)}" for line in screen.lines if line.failed]
    if failing:
        parts.append(Text("sources that cannot be read: " + "; ".join(failing)))
    parts.extend(_knocks(screen))
    return Group(*parts)


@dataclass(frozen=True, slots=True)
class _Lines:
    """The table; it learns of the terminal's width when it is drawn."""

    lines: Sequence[Line]

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
        for line in self.lines:
            title, *cells = _cells(line)
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
    "poison": "messages that broke the contract (quarantined)",
    "later_version": "messages of a later contract (upgrade this collector)",
    "capped": "messages over a router's hourly cap (samples stay in its spool)",
    "unregistered": "messages of unregistered routers",
}


def _knocks(screen: Screen) -> list[RenderableType]:
    if not screen.knocks:
        return []
    site = screen.sites[0] if len(screen.sites) == 1 else "SITE"
    lines: list[RenderableType] = [Text("")]
    lines.append(Text("unregistered routers that knock; register one with:"))
    lines.extend(
        Text(
            f"  titik router add {one.name} --site {site}   # {one.messages} messages, last "
            f"{_age(one.age_ms)} ago",
            overflow="ellipsis",
            no_wrap=True,
        )
        for one in screen.knocks
    )
    return lines


def _cells(line: Line) -> Sequence[RenderableType]:
    now = line.now
    state = now.state
    of_many = f"{now.routers_online}/{now.routers_known} on"
    of_one = "wifi off" if now.off_air else state
    state_text = of_one if now.scope == "router" else of_many
    stale = now.state == "unknown" or (now.state != "online" and now.clients is None)
    return (
        Text("  " * line.indent + line.title, style="bold" if now.scope != "router" else ""),
        Text(state_text, style=COLOURS[state]),
        _whole(now.clients),
        _whole(now.active),
        bps(now.wifi_down_bps if now.wifi_down_bps is not None else now.uplink_down_bps),
        bps(now.wifi_up_bps if now.wifi_up_bps is not None else now.uplink_up_bps),
        UNKNOWN if stale else _age(now.age_ms),
        UNKNOWN if line.coverage is None else f"{line.coverage:.0%}",
        _whole(line.spooled),
        Text(f"{line.lost:,}", style="red" if line.lost else ""),
    )


def _line(
    db: sqlite3.Connection,
    router_id: int,
    name: str,
    now: Now,
    coverage: dict[int, float],
    lost: dict[str, int],
) -> Line:
    sample = _last(db, router_id, name)
    agent = sample.agent if sample else None
    return Line(
        1,
        name,
        now,
        coverage.get(router_id),
        # The sample itself has arrived. What one that is gone held then is not known to be so now.
        max(0, agent.spooled - 1) if agent and now.state == "online" else None,
        lost.get(name, 0),
        agent.failed if agent else (),
    )


def _sum(title: str, now: Now, members: list[Line], indent: int) -> Line:
    covered = [line.coverage for line in members if line.coverage is not None]
    spooled = [line.spooled for line in members if line.spooled is not None]
    return Line(
        indent,
        title,
        now,
        sum(covered) / len(members) if covered else None,
        sum(spooled) if spooled else None,
        sum(line.lost for line in members),
    )


def _coverage(db: sqlite3.Connection, now_ms: int) -> dict[int, float]:
    """Share of the last hour that samples cover, by router; of a new one since it is registered.

    The hour ends where minutes are computed: a minute waits for the samples that follow it.
    """
    end_ms = (now_ms - GRACE_MS) // MINUTE_MS * MINUTE_MS
    rows = db.execute(
        "SELECT router.id, router.registered_ms, sum(covered_ms) FROM router"
        " JOIN rollup ON rollup.scope = 'router' AND rollup.scope_id = router.id"
        " WHERE window = '1m' AND start_ms >= ? AND start_ms < ? GROUP BY router.id",
        (end_ms - HOUR_MS, end_ms),
    )
    return {
        router_id: min(1.0, covered / min(HOUR_MS, end_ms - registered_ms))
        for router_id, registered_ms, covered in rows
        if end_ms - registered_ms >= MINUTE_MS
    }


def _last(db: sqlite3.Connection, router_id: int, name: str) -> Sample | None:
    row = db.execute(
        "SELECT packed FROM (SELECT run_id, seq FROM sample WHERE router_id = ?"
        " ORDER BY at_ms DESC LIMIT 1) JOIN body USING (run_id, seq)",
        (router_id,),
    ).fetchone()
    if row is None:
        return None
    try:
        message = codec.decode(topics.sample(name), body.unpack(row[0]))
    except (ValueError, WireError):
        return None
    return message if isinstance(message, Sample) else None


def _whole(value: int | None) -> str:
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


def _age(ms: int) -> str:
    """`12s`, `3m`, `5h`, `2d`."""
    seconds = ms // 1000
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
