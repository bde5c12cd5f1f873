"""Holds the store against the oracle: lost, doubled, invented, altered, out of order, late.

Rule: it runs when everything has stopped, and believes no counter of ours: only seqs and bytes.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from tests.collector import build
from tests.faults import oracle
from tests.faults.world import World, slopes
from tests.system.city import HOUR_MS, SLACK_MS, ZONE, wall_ms
from titik_agent.spool.spool import Spool
from titik_collector.rollups.worker import Rollups
from titik_collector.store import body
from titik_collector.store.database import Database
from titik_collector.store.rollups import COLUMNS

TIME_ERROR_MS = 1000  # what may pass between reading the clocks and appending, and not more
READINGS_MS = 20  # what may pass between reading one clock and the other
CUMULATIVE = ("client_ms", "observed_ms", "uptime_ms")  # a merged sample has those of its last


@dataclass(slots=True)
class Verdict:
    """What the checker found; everything under `wrong` makes a scenario red."""

    runs: int = 0
    generated: int = 0
    stored: int = 0  # seqs, alone or inside a merged range
    merged: int = 0  # of those, inside a merged range
    refused: int = 0
    declared: int = 0  # lost, and the store says so
    spooled: int = 0  # still with the router
    torn: int = 0  # noted, but killed before the spool had them
    cut_off: int = 0  # taken by a power cut before anyone had heard of it: a gap
    lost: int = 0
    duplicated: int = 0
    phantom: int = 0
    altered: int = 0
    disordered: int = 0
    late: int = 0  # rows placed further than TIME_ERROR_MS from the truth
    time_error_ms: int = 0
    time_errors_ms: dict[str, int] = field(default_factory=dict)  # by router
    acks: int = 0
    acks_ahead: int = 0
    rollup_rows: int = 0
    rollups_differ: int = 0
    rollups_excused: int = 0  # of those that differ, what they were computed from is pruned
    findings: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    processes: dict[str, Any] = field(default_factory=dict)

    def wrong(self, kills: int = 0, declared: int = 0, late: bool = False) -> list[str]:
        """In words; `kills` agents were killed, so many samples may be declared lost."""
        must_be_none = {"lost", "duplicated", "phantom", "altered", "acks_ahead", "rollups_differ"}
        must_be_none |= {"refused"} | (set() if late else {"late", "disordered"})
        figures = asdict(self)
        found = [f"{name} {figures[name]}" for name in sorted(must_be_none) if figures[name]]
        found += self.findings
        if self.torn > kills:
            found.append(f"torn {self.torn} with {kills} kills")
        if self.declared > declared:
            found.append(f"declared {self.declared} with {declared} expected")
        return found


def judge(world: World) -> Verdict:
    """Close the books of a world whose agents have stopped, and compare."""
    verdict = Verdict(processes=slopes(world.watched))
    try:
        world.city.close_books(slack_ms(world.settings.speed))
    except AssertionError as error:
        # What is wrong with the rows says more than that the store's own audit failed.
        verdict.findings.append(f"the books do not close: {error}")
    runs = oracle.read(world.folder / "oracle")
    spooled = _spooled(world)
    with world.city.reader() as db:
        ours = {name for name in _known(db) if name[0] in world.routers}
        for name in sorted({*runs, *ours}):
            cut_off = world.cut_off.get(name, set())
            _compare(db, name, runs.get(name, {}), spooled.get(name, set()), cut_off, verdict)
    verdict.acks, verdict.acks_ahead = world.witness.seen, len(world.witness.ahead)
    verdict.examples += world.witness.ahead[:5]
    with world.city.writer() as db:
        rebuild(db, wall_ms() + 2 * HOUR_MS, verdict)
    return verdict


def slack_ms(speed: float) -> int:
    """By how much seconds may overlap: two readings of a faster clock are further apart."""
    return max(SLACK_MS, round(READINGS_MS * speed))


def _known(db: Database) -> list[tuple[str, str]]:
    return db.execute(
        "SELECT router.name, run.token FROM run JOIN router ON router.id = run.router_id"
    ).fetchall()


def _spooled(world: World) -> dict[tuple[str, str], set[int]]:
    """What the routers still hold."""
    found: dict[tuple[str, str], set[int]] = {}
    for router in world.routers:
        spool = Spool(str(world.spool(router)))
        held = spool.keys()
        for key in held:
            found.setdefault((router, key.run), set()).update(range(key.first_seq, key.seq + 1))
        spool.close()
    return found


def _compare(
    db: Database,
    name: tuple[str, str],
    taken: dict[int, oracle.Taken],
    spooled: set[int],
    cut_off: set[int],
    verdict: Verdict,
) -> None:
    """One run."""
    verdict.runs += 1
    verdict.generated += len(taken)
    settled = terms(db, name)
    stored, refused, declared = settled["stored"], settled["refused"], settled["declared"]
    kept = {seq for seq, one in taken.items() if one.kept}
    missing = kept - stored - refused - declared - spooled
    heard = max(stored | refused | declared, default=0)
    gap = {seq for seq in missing & cut_off if seq > heard}
    missing -= gap
    verdict.cut_off += len(gap)
    verdict.stored += len(stored)
    verdict.refused += len(refused)
    verdict.declared += len(declared & taken.keys())
    verdict.spooled += len(spooled - stored)
    verdict.torn += len(taken.keys() - kept - stored - spooled - declared)
    verdict.lost += len(missing)
    verdict.phantom += len((stored | refused | declared) - taken.keys())
    _note(verdict, name, "lost", missing)
    _note(verdict, name, "phantom", (stored | refused | declared) - taken.keys())
    _compare_rows(db, name, taken, verdict)


def terms(db: Database, name: tuple[str, str]) -> dict[str, set[int]]:
    """The seqs of a run that are stored, refused and declared lost."""
    found: dict[str, set[int]] = {"stored": set(), "refused": set(), "declared": set()}
    row = db.execute(
        "SELECT run.id, base, gone, floor, highest FROM run"
        " JOIN router ON router.id = run.router_id WHERE router.name = ? AND token = ?",
        name,
    ).fetchone()
    if row is None:
        return found
    for kind, first, last in db.execute(
        "SELECT kind, first_seq, last_seq FROM settled WHERE run_id = ?", (row[0],)
    ):
        found[kind].update(range(first, last + 1))
    base, gone, floor, highest = row[1:]
    bound = max(base, gone, min(floor, highest))
    found["declared"] = set(range(1, bound + 1)) - found["stored"] - found["refused"]
    return found


def _compare_rows(
    db: Database,
    name: tuple[str, str],
    taken: dict[int, oracle.Taken],
    verdict: Verdict,
) -> None:
    """Every row against the samples that it stands for."""
    seen: set[int] = set()
    before_ms = 0
    for seq, first, at_ms, client_ms, observed_ms, uptime_ms, packed in db.execute(
        "SELECT sample.seq, first_seq, at_ms, client_ms, observed_ms, uptime_ms, packed FROM sample"
        " JOIN run ON run.id = sample.run_id JOIN router ON router.id = run.router_id"
        " LEFT JOIN body ON body.run_id = sample.run_id AND body.seq = sample.seq"
        " WHERE router.name = ? AND token = ? ORDER BY sample.seq",
        name,
    ):
        covered = set(range(first, seq + 1))
        verdict.duplicated += len(seen & covered)
        seen |= covered
        verdict.merged += len(covered) if first < seq else 0
        verdict.disordered += at_ms < before_ms
        before_ms = at_ms
        truth = taken.get(seq)
        if truth is None:
            continue  # counted as phantom
        error_ms = abs(at_ms - truth.true_ms)
        verdict.time_error_ms = max(verdict.time_error_ms, error_ms)
        errors = verdict.time_errors_ms
        errors[name[0]] = max(errors.get(name[0], 0), error_ms)
        verdict.late += error_ms > TIME_ERROR_MS
        figures = tuple(truth.payload.get(one) for one in CUMULATIVE)
        same = (client_ms, observed_ms, uptime_ms) == figures and packed is not None
        if same and first == seq:
            same = hashlib.sha256(body.unpack(packed)).hexdigest() == truth.sha
        elif same:
            same = _is_merge(
                json.loads(body.unpack(packed)), [taken[one] for one in sorted(covered)]
            )
        if not same:
            verdict.altered += 1
            _note(verdict, name, "altered", covered)


def _is_merge(merged: dict[str, Any], parts: list[oracle.Taken]) -> bool:
    """Counters of the last, extremes and time covered of all."""
    payloads = [one.payload for one in parts]
    lows = [one["clients_min"] for one in payloads if "clients_min" in one]
    highs = [one["clients_max"] for one in payloads if "clients_max" in one]
    return (
        merged["covers_ms"] == sum(one["covers_ms"] for one in payloads)
        and merged.get("clients_min") == min(lows, default=None)
        and merged.get("clients_max") == max(highs, default=None)
        and _counters(merged) == _counters(payloads[-1])
        and _ended(merged, payloads)
    )


def _counters(payload: dict[str, Any]) -> set[tuple[str, str, int, int]]:
    """Of what the newest sample has; what ended before it is in `past`."""
    return {
        (one["ifname"], one["since"], one["rx_bytes"], one["tx_bytes"])
        for one in [*payload.get("bss", []), *payload.get("net", [])]
        if "since" in one and "rx_bytes" in one
    }


def _ended(merged: dict[str, Any], parts: list[dict[str, Any]]) -> bool:
    """Of every counter that was there on the way, the merged sample has the last value."""
    found = {one[:2]: one for part in parts for one in sorted(_counters(part))}
    past = {
        (one["ifname"], one["since"], one["rx_bytes"], one["tx_bytes"])
        for one in merged.get("past", [])
    }
    return _counters(merged) | past == set(found.values())


def _note(verdict: Verdict, name: tuple[str, str], what: str, seqs: Iterable[int]) -> None:
    found = sorted(seqs)
    if found and len(verdict.examples) < 20:
        verdict.examples.append(f"{name[0]} {name[1]} {what} {found[:10]} of {len(found)}")


def rebuild(db: Database, now_ms: int, verdict: Verdict) -> None:
    """Count the rows of the rollups, and how many differ when they are computed from nothing."""
    before = _rollups(db)
    with db.transaction():
        db.execute("DELETE FROM rollup")
    later = Rollups(db, ZoneInfo(ZONE), lambda: now_ms)
    build.rebuild(db, later)
    after = _rollups(db)
    stretches = _beside_pruned(db)
    differ = before ^ after
    excused = {row for row in differ if _is_beside(row, stretches)}
    verdict.rollup_rows = len(before)
    verdict.rollups_differ = len(differ - excused)
    verdict.rollups_excused = len(excused)


def _beside_pruned(db: Database) -> list[tuple[int, int, int]]:
    """Router, start and end of what a rebuild attributes otherwise, because a sample is pruned.

    A clock that is set back by years puts samples behind the seal, where they are pruned among
    others of their boot that stay. A row was computed while they were there, and is the better
    one: from nothing, the next sample that stayed speaks for their time too.
    """
    return db.execute(
        "SELECT router_id, at_ms - (uptime_ms - coalesce(was_ms, 0)), at_ms FROM ("
        " SELECT run_id, router_id, first_seq, uptime_ms, at_ms,"
        "  lag(uptime_ms) OVER run AS was_ms, coalesce(lag(seq) OVER run, 0) AS was_seq"
        "  FROM sample WINDOW run AS (PARTITION BY run_id ORDER BY seq)) AS one"
        " WHERE first_seq > was_seq + 1 AND EXISTS (SELECT 1 FROM settled"
        "  WHERE kind = 'stored' AND run_id = one.run_id AND settled.first_seq < one.first_seq"
        "  AND settled.last_seq > was_seq)"
    ).fetchall()


def _is_beside(row: tuple[Any, ...], stretches: Iterable[tuple[int, int, int]]) -> bool:
    """A window of such a router, or one that it is summed up in, touches such a stretch."""
    scope, scope_id, _, start_ms, end_ms = row[:5]
    return any(
        start_ms <= to_ms and from_ms < end_ms and (scope != "router" or scope_id == router_id)
        for router_id, from_ms, to_ms in stretches
    )


def _rollups(db: Database) -> set[tuple[object, ...]]:
    """What is known of every window, without its revision: how often it was computed."""
    return set(
        db.execute(
            f"SELECT scope, scope_id, length, start_ms, end_ms, {COLUMNS} FROM rollup"
            f" WHERE {build.IS_KNOWN}"
        )
    )
