"""What happened: outages, lost samples, and routers registered, removed or revoked.

Rule: the time in which the server could not hear is in no router's outage.
Rule: outages that begin together, of every router of a site or of the city, are one event. One that
was over before another began is not of its event.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from titik_collector.figures.scope import FOR_EVER_MS
from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_EVENTS
from titik_collector.live.namesakes import REMEDY
from titik_collector.outputs.output import Event
from titik_collector.store import (
    event_rows,
    namesake_rows,
    outages,
    revocations,
    server_outages,
    simulated,
    subject_names,
)
from titik_collector.store.database import Database
from titik_collector.store.outages import Outage
from titik_collector.store.server_outages import ServerOutage
from titik_collector.wording import when
from titik_wire.instant import HOUR_MS

TOGETHER_MS = 120_000  # routers notice a cut within their keep-alives, and are missed within them


class Loss(NamedTuple):
    """Samples of one run that are lost for good."""

    at_ms: int
    router: str
    run: str
    samples: int


SOON_MS = 60_000  # a router that is back by then went and came while the collector could not hear
SERVER = "server"  # the name of what no router did
_WHAT = {
    "broker": "no broker",
    "store": "nothing was stored",
    "collector": "no collector",
    "line": "routers could not reach the server",
}
WHY = {
    "power cut": marked("it came back with another boot, and had not reported that it stops"),
    "reboot": marked("it reported that it stops, and came back with another boot"),
    "agent crash": marked(
        "it came back in the same boot with another run, and had not reported a stop, or a second"
        " device uses its name"
    ),
    "agent restart": marked(
        "it reported that it stops, and came back in the same boot with another run"
    ),
    "agent stopped": marked("it reported that it stops"),
    "firmware upgrade": marked(
        "it came back with another boot, and with another firmware or version of its agent"
    ),
    "uplink lost": marked("the same run of its agent went on all the time"),
    "unknown": marked("a cause is known when the router is back"),
}
_DEAF = marked("nobody could hear a goodbye in that time")
_SERVER_WHY = marked("routers are unknown in that time, and have no outage")


def gather(
    db: Database,
    since_ms: int,
    now_ms: int,
    before_ms: int = FOR_EVER_MS,
    *,
    late: bool = False,
) -> list[Event]:
    """What went on then or later, in order of time, the newest MAX_EVENTS.

    `before_ms`: what began before. `late`: with losses of before, too, of runs that went on since
    then.
    """
    found = [
        *_outages(db, since_ms, now_ms, before_ms),
        *_server(db, since_ms),
        *_registry(db, since_ms),
        *_revoked(db, since_ms),
        *_lost(db, since_ms, now_ms, 0 if late else since_ms),
        *_namesakes(db, since_ms),
    ]
    begun = [one for one in found if one.at_ms < before_ms]
    return sorted(begun, key=lambda one: (one.at_ms, one.name))[-MAX_EVENTS:]


def _outages(db: Database, since_ms: int, now_ms: int, before_ms: int) -> Iterator[Event]:
    found = outages.since(db, since_ms, MAX_EVENTS, before_ms)
    if not found:
        return
    first_ms = min(one.from_ms for one in found)
    deaf = server_outages.since(db, first_ms, MAX_EVENTS)
    made_up = simulated.span(db)
    for name, group in _named(found, subject_names.routers_by_site(db)):
        event = _outage(name, group, now_ms, deaf)
        is_made_up = made_up is not None and event.at_ms < made_up.end_ms
        if is_made_up:
            event = replace(event, text=f"{event.text} (simulated)", made_up=True)
        yield event


def _named(
    found: list[Outage], sites: dict[str | None, set[str]]
) -> Iterator[tuple[str, list[Outage]]]:
    """Those of the whole city, then of whole sites, then of single routers; each outage once."""
    left = yield from _of_all("city", found, set().union(*sites.values()))
    site_of = {router: site for site, routers in sites.items() for router in routers}
    by_site: dict[str | None, list[Outage]] = {}
    for one in left:
        by_site.setdefault(site_of.get(one.router), []).append(one)
    for site, its in by_site.items():
        for one in (yield from _of_all(site, its, sites[site])) if site else its:
            yield one.router, [one]


def _of_all(
    name: str, found: list[Outage], routers: set[str]
) -> Generator[tuple[str, list[Outage]], None, list[Outage]]:
    """Those of all these routers; the rest is returned."""
    taken: set[Outage] = set()
    for group in _together(found, routers) if len(routers) > 1 else ():
        yield name, group
        taken.update(group)
    return [one for one in found if one not in taken]


def _together(ordered: Sequence[Outage], routers: set[str]) -> Iterator[list[Outage]]:
    """Where all these routers were away at one moment, having gone within TOGETHER_MS."""
    away: dict[str, Outage] = {}
    for one in ordered:
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


def _outage(name: str, group: Sequence[Outage], now_ms: int, deaf: Sequence[ServerOutage]) -> Event:
    from_ms = min(one.from_ms for one in group)
    ends = [one.to_ms for one in group]
    causes = sorted({one.cause for one in group})
    cause = "cause unknown" if causes == ["unknown"] else " or ".join(causes)
    routers = len({one.router for one in group})
    of_many = f"all {routers} routers, " if routers > 1 else ""
    known = [end for end in ends if end is not None]
    to_ms = max(known) if len(known) == len(ends) else now_ms
    length_ms = away_ms(deaf, from_ms, to_ms)
    length = when.length(length_ms)
    over = "" if len(known) == len(ends) else "not over after "
    why = "; ".join(dict.fromkeys(one.evidence or WHY[one.cause] for one in group))
    in_deafness = any(one.from_ms <= from_ms <= one.to_ms for one in deaf)
    if in_deafness and not over and length_ms < SOON_MS:
        length = "while the server could not hear"
        why += f"; {_DEAF}"
    text = f"{of_many}{over}{length}, {cause}"
    of_all = causes[0] if len(causes) == 1 else "unknown"
    return Event(from_ms, "outage", name, text, why, bool(over), length_ms, of_all, routers)


def _server(db: Database, since_ms: int) -> Iterator[Event]:
    for one in server_outages.since(db, since_ms, MAX_EVENTS):
        length_ms = one.to_ms - one.from_ms
        text = f"{when.length(length_ms)}, {_WHAT[one.what]}"
        why = f"{one.reason}; {_SERVER_WHY}"
        yield Event(one.from_ms, "server", SERVER, text, why, length_ms=length_ms, cause=one.what)


def away_ms(deaf: Sequence[ServerOutage], from_ms: int, to_ms: int) -> int:
    """How long a router was away: this time without what of it is of the server."""
    within = (min(to_ms, one.to_ms) - max(from_ms, one.from_ms) for one in deaf)
    return max(0, to_ms - from_ms - sum(ms for ms in within if ms > 0))


def _registry(db: Database, since_ms: int) -> Iterator[Event]:
    """With the site of that time: the newest one before, else the first one after."""
    for at_ms, router, site in event_rows.registrations(db, since_ms, MAX_EVENTS):
        yield Event(
            at_ms, "registered", router, f"at {site}" if site else "at no site", place=site or ""
        )
    for at_ms, router, site in event_rows.removals(db, since_ms, MAX_EVENTS):
        yield Event(at_ms, "removed", router, f"from {site}" if site else "", place=site or "")


def _revoked(db: Database, since_ms: int) -> Iterator[Event]:
    for router, from_ms, to_ms in revocations.since(db, since_ms, MAX_EVENTS):
        text = "has no access" if to_ms is None else f"for {when.length(to_ms - from_ms)}"
        length_ms = None if to_ms is None else to_ms - from_ms
        yield Event(from_ms, "revoked", router, text, length_ms=length_ms)


def _namesakes(db: Database, since_ms: int) -> Iterator[Event]:
    for one in namesake_rows.since(db, since_ms):
        length = when.length(one.last_ms - one.from_ms)
        text = f"two devices use this name, {one.times} changes in {length}; {REMEDY}"
        yield Event(one.from_ms, "clone", one.router, text, goes_on=True)


def _lost(db: Database, since_ms: int, now_ms: int, dated_ms: int) -> Iterator[Event]:
    for one in losses(db, since_ms, now_ms, dated_ms):
        plural = "sample" if one.samples == 1 else "samples"
        text = f"{one.samples:,} {plural} of run {one.run} declared lost"
        yield Event(one.at_ms, "lost", one.router, text, number=one.samples)


def losses(db: Database, since_ms: int, now_ms: int, dated_ms: int) -> Iterator[Loss]:
    """Of runs that went on since then, with a loss at `dated_ms` or later.

    A loss is placed where its newest sample was: at the sample after it, else at the run's last.
    """
    for run in event_rows.lossy_runs(db, since_ms, MAX_EVENTS):
        at_ms = event_rows.taken_beside(db, run, event_rows.newest_lost(db, run))
        if at_ms is None:  # pruned; of its boot it is known to within an hour until when it was
            at_ms = run.alive_ms - HOUR_MS
        at_ms = min(at_ms, now_ms)
        if at_ms >= dated_ms:
            yield Loss(at_ms, run.router, run.run, run.lost)
