"""What happened: outages of routers and of the server, routers registered, removed or revoked,
samples lost.

Rule: the time in which the server could not hear is in no router's outage.
Rule: outages that begin together, of every router of a site or of the city, are one event; one that
was over before another began is not of its event.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from titik_collector.figures.windows import HOUR_MS
from titik_collector.live import namesakes
from titik_collector.live.namesakes import REMEDY
from titik_collector.store.database import Database
from titik_collector.wording import when

TOGETHER_MS = 120_000  # routers notice a cut within their keep-alives, and are missed within them
MAX_EVENTS = 2000  # newest; more are for `titik export` and the database's views


@dataclass(frozen=True, slots=True)
class Event:
    """One line: when it began, what of, and what."""

    at_ms: int
    kind: str  # outage, server, registered, removed, revoked, lost or clone
    name: str
    text: str
    why: str = ""  # what a cause is concluded from


class Loss(NamedTuple):
    """Samples of one run that are lost for good."""

    at_ms: int
    router: str
    run: str
    samples: int


class Outage(NamedTuple):
    """A row of the store."""

    router: str
    from_ms: int
    to_ms: int | None
    cause: str
    evidence: str | None = None


class Deaf(NamedTuple):
    """A time in which the collector could not hear."""

    from_ms: int
    to_ms: int
    what: str
    reason: str


SERVER = "server"  # the name of what no router did
SOON_MS = 60_000  # a router that is back by then went and came while nobody could hear
_WHAT = {
    "broker": "no broker",
    "store": "nothing was stored",
    "collector": "no collector",
    "line": "routers could not reach the server",
}
_WHY = {
    "power cut": "it came back with another boot, and had not reported that it stops",
    "reboot": "it reported that it stops, and came back with another boot",
    "agent crash": "it came back in the same boot with another run, and had not reported a stop",
    "agent restart": "it reported that it stops, and came back in the same boot with another run",
    "agent stopped": "it reported that it stops",
    "uplink lost": "the same run of its agent went on all the time",
    "unknown": "a cause is known when the router is back",
}


def gather(db: Database, since_ms: int, now_ms: int) -> list[Event]:
    """In order of time, the newest MAX_EVENTS."""
    found = [
        *_outages(db, since_ms, now_ms),
        *_server(db, since_ms),
        *_registered(db, since_ms),
        *_removed(db, since_ms),
        *_revoked(db, since_ms),
        *_lost(db, since_ms, now_ms),
        *_namesakes(db, since_ms),
    ]
    return sorted(found, key=lambda one: (one.at_ms, one.name))[-MAX_EVENTS:]


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


_COLOURS = {
    "outage": "yellow",
    "server": "red",
    "lost": "red",
    "registered": "green",
    "removed": "magenta",
    "revoked": "magenta",
    "clone": "red",
}


def _outages(db: Database, since_ms: int, now_ms: int) -> Iterator[Event]:
    rows = [
        Outage(*row)
        for row in db.execute(
            "SELECT router.name, from_ms, to_ms,"
            # The cause is known when the router is back; a goodbye is known at once.
            " iif(to_ms IS NULL AND said = 'stopping', 'agent stopped', cause), evidence"
            " FROM outage JOIN router ON router.id = outage.router_id"
            " LEFT JOIN presence ON presence.router_id = router.id"
            " WHERE cause != 'server' AND (from_ms >= ? OR to_ms IS NULL OR to_ms >= ?)"
            " ORDER BY from_ms DESC LIMIT ?",
            (since_ms, since_ms, MAX_EVENTS),
        )
    ]
    deaf = _deaf(db, min((one.from_ms for one in rows), default=since_ms))
    sites: defaultdict[str | None, set[str]] = defaultdict(set)
    for router, site in db.execute("SELECT router, site FROM v_router WHERE registered = 1"):
        sites[site].add(router)
    for name, outages in _named(rows[::-1], sites):
        yield _outage(name, outages, now_ms, deaf)


def _named(
    outages: list[Outage], sites: dict[str | None, set[str]]
) -> Iterator[tuple[str, list[Outage]]]:
    """Those of the whole city, then of whole sites, then of single routers; each outage once."""
    scopes = [("city", set().union(*sites.values()))]
    scopes += sorted((site, routers) for site, routers in sites.items() if site)
    for name, routers in scopes:
        if len(routers) < 2:
            continue
        for group in list(_together(outages, routers)):
            yield name, group
            taken = set(group)
            outages = [one for one in outages if one not in taken]
    for one in outages:
        yield one.router, [one]


def _together(outages: Sequence[Outage], routers: set[str]) -> Iterator[list[Outage]]:
    """Where all these routers were away at one moment, having gone within TOGETHER_MS."""
    away: dict[str, Outage] = {}
    for one in outages:
        if one.router not in routers:
            continue
        away[one.router] = one
        if len(away) < len(routers):
            continue
        moment = one.from_ms
        away = {
            router: other
            for router, other in away.items()
            if moment - other.from_ms <= TOGETHER_MS
            and (other.to_ms is None or other.to_ms > moment or other.from_ms == moment)
        }
        if len(away) == len(routers):
            yield list(away.values())
            away = {}


def _outage(name: str, outages: Sequence[Outage], now_ms: int, deaf: Sequence[Deaf]) -> Event:
    from_ms = min(one.from_ms for one in outages)
    ends = [one.to_ms for one in outages]
    causes = sorted({one.cause for one in outages})
    cause = "cause unknown" if causes == ["unknown"] else " or ".join(causes)
    routers = len({one.router for one in outages})
    of_many = f"all {routers} routers, " if routers > 1 else ""
    known = [end for end in ends if end is not None]
    to_ms = max(known) if len(known) == len(ends) else now_ms
    length_ms = to_ms - from_ms - _overlap_ms(deaf, from_ms, to_ms)
    length = when.length(length_ms)
    over = "" if len(known) == len(ends) else "not over after "
    why = "; ".join(dict.fromkeys(one.evidence or _WHY[one.cause] for one in outages))
    in_deafness = any(one.from_ms <= from_ms <= one.to_ms for one in deaf)
    if in_deafness and not over and length_ms < SOON_MS:
        length = "while the server could not hear"
        why += "; nobody could hear a goodbye in that time"
    return Event(from_ms, "outage", name, f"{of_many}{over}{length}, {cause}", why)


def _server(db: Database, since_ms: int) -> Iterator[Event]:
    for one in _deaf(db, since_ms):
        text = f"{when.length(one.to_ms - one.from_ms)}, {_WHAT[one.what]}"
        why = f"{one.reason}; routers are unknown meanwhile, and have no outage"
        yield Event(one.from_ms, "server", SERVER, text, why)


def _deaf(db: Database, since_ms: int) -> list[Deaf]:
    rows = db.execute(
        "SELECT from_ms, to_ms, what, reason FROM server_outage WHERE to_ms >= ?"
        " ORDER BY from_ms DESC LIMIT ?",
        (since_ms, MAX_EVENTS),
    )
    return [Deaf(*row) for row in rows]


def _overlap_ms(deaf: Sequence[Deaf], from_ms: int, to_ms: int) -> int:
    """How much of this time is of the server; at most all of it."""
    within = (min(to_ms, one.to_ms) - max(from_ms, one.from_ms) for one in deaf)
    return min(to_ms - from_ms, sum(ms for ms in within if ms > 0))


def _registered(db: Database, since_ms: int) -> Iterator[Event]:
    """With the site of that time: the newest one before, else the first one after."""
    for at_ms, router, site in db.execute(
        "WITH stay AS (SELECT router_id, from_ms, site.name FROM membership"
        " JOIN site ON site.id = site_id)"
        " SELECT registered_ms, name, coalesce("
        "(SELECT stay.name FROM stay WHERE router_id = router.id"
        " AND from_ms <= registered_ms ORDER BY from_ms DESC LIMIT 1),"
        "(SELECT stay.name FROM stay WHERE router_id = router.id ORDER BY from_ms LIMIT 1))"
        " FROM router WHERE registered_ms >= ? ORDER BY registered_ms DESC LIMIT ?",
        (since_ms, MAX_EVENTS),
    ):
        yield Event(at_ms, "registered", router, f"at {site}" if site else "at no site")


def _removed(db: Database, since_ms: int) -> Iterator[Event]:
    for at_ms, router, site in db.execute(
        "SELECT gone.from_ms, router.name,"
        " (SELECT site.name FROM membership AS stay JOIN site ON site.id = stay.site_id"
        "  WHERE stay.router_id = gone.router_id AND stay.from_ms < gone.from_ms"
        "  ORDER BY stay.from_ms DESC LIMIT 1)"
        " FROM membership AS gone JOIN router ON router.id = gone.router_id"
        " WHERE gone.site_id IS NULL AND gone.from_ms >= ? ORDER BY gone.from_ms DESC LIMIT ?",
        (since_ms, MAX_EVENTS),
    ):
        yield Event(at_ms, "removed", router, f"from {site}" if site else "")


def _revoked(db: Database, since_ms: int) -> Iterator[Event]:
    for at_ms, to_ms, router in db.execute(
        "SELECT from_ms, to_ms, name FROM revocation JOIN router ON router.id = router_id"
        " WHERE from_ms >= ?1 OR to_ms >= ?1 ORDER BY from_ms DESC LIMIT ?2",
        (since_ms, MAX_EVENTS),
    ):
        text = "has no access" if to_ms is None else f"for {when.length(to_ms - at_ms)}"
        yield Event(at_ms, "revoked", router, text)


def _namesakes(db: Database, since_ms: int) -> Iterator[Event]:
    for one in namesakes.since(db, since_ms):
        length = when.length(one.last_ms - one.from_ms)
        text = f"two devices use this name, {one.times} changes in {length}; {REMEDY}"
        yield Event(one.from_ms, "clone", one.router, text)


def _lost(db: Database, since_ms: int, now_ms: int) -> Iterator[Event]:
    for one in losses(db, since_ms, now_ms):
        plural = "sample" if one.samples == 1 else "samples"
        text = f"{one.samples:,} {plural} of run {one.run} declared lost"
        yield Event(one.at_ms, "lost", one.router, text)


def losses(db: Database, since_ms: int, now_ms: int) -> Iterator[Loss]:
    """Placed where the newest lost sample was: at the sample after it, else at the run's last."""
    for run_id, upto, alive_ms, router, run, lost in db.execute(
        "SELECT run.id, max(base, gone, min(floor, highest)), boot_time.last_ms,"
        " v.router, v.run, v.lost FROM v_conservation AS v"
        " JOIN run ON run.token = v.run JOIN router ON router.id = run.router_id"
        " AND router.name = v.router JOIN boot_time ON boot_time.boot_id = run.boot_id"
        " WHERE v.lost > 0 AND boot_time.last_ms >= ? ORDER BY boot_time.last_ms DESC LIMIT ?",
        (since_ms, MAX_EVENTS),
    ).fetchall():
        at_ms = _beside(db, run_id, _newest_lost(db, run_id, upto))
        if at_ms is None:  # pruned; of its boot it is known to within an hour until when it was
            at_ms = alive_ms - HOUR_MS
        at_ms = min(at_ms, now_ms)
        if at_ms >= since_ms:
            yield Loss(at_ms, router, run, lost)


def _newest_lost(db: Database, run_id: int, upto: int) -> int:
    """The highest seq up to this one that is neither stored nor refused."""
    for first, last in db.execute(
        "SELECT first_seq, last_seq FROM settled WHERE run_id = ? AND first_seq <= ?"
        " ORDER BY first_seq DESC",
        (run_id, upto),
    ):
        if last < upto:
            break
        upto = first - 1
    return upto


def _beside(db: Database, run_id: int, seq: int) -> int | None:
    """When the sample after this one was taken, or the run's last; None if none is kept."""
    row = db.execute(
        "SELECT at_ms FROM sample WHERE run_id = :run AND seq = coalesce("
        "(SELECT min(seq) FROM sample WHERE run_id = :run AND seq > :seq),"
        "(SELECT max(seq) FROM sample WHERE run_id = :run))",
        {"run": run_id, "seq": seq},
    ).fetchone()
    return None if row is None else row[0]
